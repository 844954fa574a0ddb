"""Records with a secret in them: find and quarantine them, and bring them back once the secret is changed."""

import argparse
from dataclasses import asdict

from opsbook.console import common, inputs
from opsbook.core.model.plan import PROMPT
from opsbook.core.planning import context, environment
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import scanning

_HINT = "Use a terminal: what is not known is not found."


def scan(options: argparse.Namespace) -> int:
    """Search records for the current secrets of environments."""
    settings = common.project(options)
    chosen = [store.find(settings.records, options.run)] if options.run else list(store.records(settings.records))
    known = context.redactor(settings, options.environment or environment.names(settings))
    found = list(scanning.scan(settings, chosen, known, move=options.quarantine))
    more = []
    if any(not each.quarantined for each in found):
        more = ["opsbook records scan --quarantine takes them away; then change those secrets."]
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
    record = store.find(settings.records, options.run)
    prompted = [name for name, reference in scanning.references(record).items() if reference == PROMPT]
    typed = inputs.unseen(prompted)
    if absent := [name for name in prompted if name not in typed]:
        raise InputError([f"Somebody typed the secret {name}: it has to be typed again." for name in absent], _HINT)
    names = options.environment or environment.names(settings)
    run = scanning.restore(settings, record, names, typed, options.reason)
    said = f"{run} is back; everybody who may read records can read it again."
    return common.tell(options, {"run": run, "restored": True}, said)
