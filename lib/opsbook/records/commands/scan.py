"""Search records for the current secrets of environments."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.planning import environment, known_secrets
from opsbook.core.record import store
from opsbook.records import scanning


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    add_environments(parser)
    parser.add_argument(
        "--quarantine", action="store_true", help="move records with one to where only you can read them"
    )
    common.add_json(parser)


def add_environments(parser: argparse.ArgumentParser) -> None:
    """Add the option for environments whose secrets are searched for."""
    parser.add_argument(
        "-e", "--environment", action="append", metavar="ENV", help="only its secrets; all, unless given"
    )


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    chosen = [store.find(settings.records, options.run)] if options.run else list(store.records(settings.records))
    known = known_secrets.redactor(settings, options.environment or environment.names(settings))
    found = list(scanning.scan(settings, chosen, known, move=options.quarantine))
    if options.json:
        common.print_json([asdict(each) for each in found])
        return 1 if found else 0
    for each in found:
        say(f"{each.run}: a secret in {', '.join(each.files)}{'; in quarantine' if each.quarantined else ''}")
    say(f"{len(chosen)} records, {len(found)} with a secret in them")
    if any(not each.quarantined for each in found):
        say("opsbook records scan --quarantine takes them away; then change those secrets.")
    return 1 if found else 0
