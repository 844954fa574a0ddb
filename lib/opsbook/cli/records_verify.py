"""Compare every file of a record with its seal, and the seal with its signature."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from opsbook import flow
from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.record import store


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    parser.add_argument("--all", action="store_true", help="every record")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if not options.all and options.run is None:
        raise InputError("Which record?", "opsbook records verify RUN, or --all.")
    chosen = list(store.records(settings.records)) if options.all else [store.find(settings.records, options.run)]
    found = list(flow.verified(settings, [record for record in chosen if record.state != "running"]))
    if options.json:
        common.print_json({each.run: asdict(each) for each in found})
    else:
        _show(found)
    return 1 if any(each.flaws for each in found) else 0


def _show(found: Sequence[flow.Verified]) -> None:
    for each in found:
        for flaw in each.flaws:
            event = f", event {flaw.event}" if flaw.event else ""
            say(f"{each.run}: {flaw.file}{event}: {flaw.message}")
    good = [each for each in found if not each.flaws]
    say(f"{len(good)} records are as they were sealed, {len(found) - len(good)} are not")
    for signer, count in Counter(each.signer for each in good if each.signer).most_common():
        say(f"  {count} signed by {signer}")
    for why, count in Counter(each.unsigned for each in good if each.unsigned).most_common():
        say(f"  {count} not signed: {why}")
