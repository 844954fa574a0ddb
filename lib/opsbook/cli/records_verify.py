"""Compare every file of a record with its seal."""

import argparse
from dataclasses import asdict

from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.record import seal, store


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    parser.add_argument("--all", action="store_true", help="every record")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if not options.all and options.run is None:
        raise InputError("Which record?", "opsbook records verify RUN, or --all.")
    chosen = list(store.records(settings.records)) if options.all else [store.find(settings.records, options.run)]
    found = {record.id: seal.verify(record.folder) for record in chosen if record.state != "running"}
    bad = {run: flaws for run, flaws in found.items() if flaws}
    if options.json:
        common.print_json({run: [asdict(flaw) for flaw in flaws] for run, flaws in found.items()})
        return 1 if bad else 0
    for run, flaws in bad.items():
        for flaw in flaws:
            event = f", event {flaw.event}" if flaw.event else ""
            say(f"{run}: {flaw.file}{event}: {flaw.message}")
    say(f"{len(found) - len(bad)} records are as they were sealed (seals are not signed), {len(bad)} are not")
    return 1 if bad else 0
