"""Show the records that the retention policy in opsbook.toml no longer keeps; with --yes, remove them.

Never removed: records of runs that are running, lost or hold a lock, and damaged, quarantined or held ones. For each
removed record, records/pruned.jsonl keeps the id, the outcome and the digest of its seal.
"""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.records import keeping


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="remove them")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    pruned = keeping.prune(common.project(options), remove=options.yes)
    if options.json:
        common.print_json({"removed": pruned.removed, "records": [asdict(one) for one in pruned.old]})
        return 0
    rows = [(one.run, one.environment, one.outcome, one.rule) for one in pruned.old]
    if rows:
        common.table(("RUN", "ENVIRONMENT", "OUTCOME", "NO LONGER KEPT BY"), rows)
    for run in pruned.busy:
        say(f"{run} is in use and stays.")
    if pruned.removed:
        say(f"{len(rows)} records removed.")
    elif rows:
        say(f"{len(rows)} records would be removed; opsbook records prune --yes removes them.")
    else:
        say("Every record is kept.")
    return 0
