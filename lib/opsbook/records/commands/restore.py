"""Move a record out of quarantine, once the secret in it is changed."""

import argparse

from opsbook.console import common, inputs
from opsbook.core.model.plan import PROMPT
from opsbook.core.planning import environment
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import scanning
from opsbook.records.commands import scan

_HINT = "Use a terminal: what is not known is not found."


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser)
    scan.add_environments(parser)
    parser.add_argument("--reason", required=True, help="why the secret is useless now; it is written down")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
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
