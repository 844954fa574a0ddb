"""Passed drills: sign-offs and certificates."""

import argparse
import sys
from collections.abc import Iterator

from opsbook.console import common
from opsbook.training import certificates, qualifications, sign_offs
from opsbook.training.certificates import Certificate


def sign_off(options: argparse.Namespace) -> int:
    """Sign that somebody else passed a drill. Nobody who took part in it can sign."""
    settings = common.project(options)
    drilled = sign_offs.sign_off(settings, options.run, options.note, ask=sys.stdin.isatty())
    told = {"run": drilled.run, "drill": drilled.drill, "person": drilled.person, "signed_off": True}
    said = f"{drilled.run} is signed off: {drilled.person} passed {drilled.drill} with {drilled.points} points."
    counts = certificates.certificate(settings, drilled.run).counts
    return common.tell(options, told, said, *(f"  {each}" for each in counts))


def certificate(options: argparse.Namespace) -> int:
    """Show the certificate of a passed drill: its points, who signed it off, and until when it counts."""
    settings = common.project(options)
    found = certificates.certificate(settings, options.run)
    lines = list(_lines(found))
    if not found.drilled.passed:
        lines = [f"{found.drilled.person} did not pass {found.title}: there is no certificate of {found.drilled.run}."]
    elif options.to is not None:
        certificates.write_certificate(found, options.to)
        lines = [f"The certificate is in {options.to}. It opens in any browser, and prints on one sheet."]
    return common.tell(options, found.told(), *lines, code=0 if found.drilled.passed else 1)


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
    said = found.verdict
    if said.good and said.signer:
        yield f"  signed off by {said.signer.principal} ({said.signer.key}) on {common.local(said.signed)}"
        yield f"    {said.note}"
    else:
        yield f"  NOT SIGNED OFF: {said.problem}"
        yield f"    somebody else: opsbook training sign-off {drilled.run} --note TEXT"
    for each in found.counts:
        yield f"  {each}"
    if not found.counts:
        yield f"  No role of {qualifications.PLAN} asks {drilled.person} for it."
