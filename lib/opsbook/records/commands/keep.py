"""Keep records, remove those that the retention policy no longer keeps, and take away those with a secret in them."""

import argparse
from dataclasses import asdict

from opsbook.console import common, inputs
from opsbook.core.model.plan import PROMPT
from opsbook.core.planning import context, environment
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import keeping, scanning


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

    Never removed: records of runs that are running, lost or hold a lock; damaged, quarantined or held ones; incidents,
    and the runs of incidents whose review is not closed. For each removed record, records/pruned.jsonl keeps the id,
    the outcome and the digest of its seal.
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


_HINT = "Use a terminal: what is not known is not found."


def scan(options: argparse.Namespace) -> int:
    """Search records for the current secrets of environments."""
    settings = common.project(options)
    chosen = [*store.records(settings.records), *store.incidents(settings.records)]
    if options.run:
        chosen = [store.find_any(settings.records, options.run)]
    names = options.environment or environment.names(settings)
    known = context.knowing(settings, {name: {} for name in names}, {})
    found = list(scanning.scan(settings, chosen, known, move=options.quarantine))
    more = []
    if any(not each.quarantined for each in found):
        more = ["opsbook records scan --quarantine takes them away, except open incidents; then change those secrets."]
    return common.tell(
        options,
        [asdict(each) for each in found],
        *(f"{e.run}: a secret in {', '.join(e.files)}{'; in quarantine' if e.quarantined else ''}" for e in found),
        f"{len(chosen)} records, {len(found)} with a secret in them",
        *more,
        code=1 if found else 0,
    )


def restore(options: argparse.Namespace) -> int:
    """Move a record out of quarantine, once the secret in it is changed."""
    settings = common.project(options)
    record = store.find_any(settings.records, options.run)
    prompted = [name for name, reference in scanning.references(record).items() if reference == PROMPT]
    typed = inputs.unseen(prompted)
    if absent := [name for name in prompted if name not in typed]:
        raise InputError([f"Somebody typed the secret {name}: it has to be typed again." for name in absent], _HINT)
    names = options.environment or environment.names(settings)
    run = scanning.restore(settings, record, names, typed, options.reason)
    said = f"{run} is back; everybody who may read records can read it again."
    return common.tell(options, {"run": run, "restored": True}, said)
