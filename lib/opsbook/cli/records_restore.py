"""Put a record in quarantine back among the others, once the secret in it is changed."""

import argparse

from opsbook import flow
from opsbook.cli import common, records_scan
from opsbook.cli.text import say
from opsbook.policy import environment


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    records_scan.add_environments(parser)
    parser.add_argument("--reason", required=True, help="why nobody can do anything with it; it is written down")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    known = flow.secrets_of(settings, options.environment or environment.names(settings))
    run = flow.restore(settings, options.run, known, options.reason)
    if options.json:
        common.print_json({"run": run, "restored": True})
    else:
        say(f"{run} is back; everybody who may read records can read it again.")
    return 0
