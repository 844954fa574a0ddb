"""Show the certificate of a passed drill: its points, who signed it off, and until when it counts."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from opsbook.console import common
from opsbook.console.text import say
from opsbook.training import certificates, qualifications
from opsbook.training.certificates import Certificate


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    parser.add_argument("--to", type=Path, metavar="FILE.html", help="write it as a page, for one sheet of paper")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = certificates.certificate(settings, options.run)
    if options.json:
        common.print_json(found.told())
    elif not found.drilled.passed:
        say(f"{found.drilled.person} did not pass {found.title}: there is no certificate of {found.drilled.run}.")
    elif options.to is None:
        for line in _lines(found):
            say(line)
    if options.to is not None and found.drilled.passed:
        certificates.write_certificate(found, options.to)
        if not options.json:
            say(f"The certificate is in {options.to}. It opens in any browser, and prints on one sheet.")
    return 0 if found.drilled.passed else 1


def _lines(found: Certificate) -> Iterator[str]:
    drilled = found.drilled
    yield f"{drilled.person} passed {drilled.drill} ({found.title}) with {drilled.points} points"
    yield f"  on {common.local(drilled.ended)}, in {drilled.environment}; operator {drilled.operator}"
    yield ""
    for name, value in (*found.times(), *found.points()):
        yield f"  {name:<40} {value:>8}"
    for run in drilled.wrong:
        yield f"  wrong change in {run}"
    if drilled.feedback:
        yield f"  feedback: {drilled.feedback.key} of 5. {drilled.feedback.text}"
    yield ""
    yield f"  run   {drilled.run}"
    yield f"  seal  SHA-256 {drilled.seal}"
    if found.record or found.gone:
        yield f"  RECORD: {found.record or 'it is not here any more; its seal was signed'}"
    yield from _verdict(found)
    for each in found.counts:
        yield f"  {each}"
    if not found.counts:
        yield f"  No role of {qualifications.PLAN} asks {drilled.person} for it."


def _verdict(found: Certificate) -> Iterator[str]:
    said = found.verdict
    if said.good and said.signer:
        yield f"  signed off by {said.signer.principal} ({said.signer.key}) on {common.local(said.signed)}"
        yield f"    {said.note}"
    else:
        yield f"  NOT SIGNED OFF: {said.problem}"
        yield f"    somebody else: opsbook training sign-off {found.drilled.run} --note TEXT"
