"""Keep records, and remove those that the retention policy no longer keeps."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.records import keeping


def hold(options: argparse.Namespace) -> int:
    """Keep a record regardless of the retention policy, until the hold is released."""
    held = keeping.hold(common.project(options), options.run, options.reason)
    said = f"{held.run} is kept until opsbook records release."
    return common.tell(options, {"run": held.run, "action": "hold"}, said)


def release(options: argparse.Namespace) -> int:
    """End a hold: the retention policy applies again."""
    held = keeping.release(common.project(options), options.run, options.reason)
    said = f"{held.run} is no longer held; it was since {common.local(held.since)}: {held.reason}"
    return common.tell(options, {"run": held.run, "action": "release"}, said)


def prune(options: argparse.Namespace) -> int:
    """Show the records that the retention policy in opsbook.toml no longer keeps; with --yes, remove them.

    Never removed: records of runs that are running, lost or hold a lock, and damaged, quarantined or held ones. For
    each removed record, records/pruned.jsonl keeps the id, the outcome and the digest of its seal.
    """
    pruned = keeping.prune(common.project(options), remove=options.yes)
    rows = [(one.run, one.environment, one.outcome, one.rule) for one in pruned.old]
    if rows and not options.json:
        common.table(("RUN", "ENVIRONMENT", "OUTCOME", "NO LONGER KEPT BY"), rows)
    said = f"{len(rows)} records would be removed; opsbook records prune --yes removes them."
    if not rows:
        said = "Every record is kept."
    if pruned.removed:
        said = f"{len(rows)} records removed."
    told = {"removed": pruned.removed, "records": [asdict(one) for one in pruned.old]}
    return common.tell(options, told, *(f"{run} is in use and stays." for run in pruned.busy), said)
