"""List the records of runs, newest first."""

import argparse

from opsbook.console import common
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.text import duration, nearest
from opsbook.core.record import store
from opsbook.errors import InputError

OUTCOMES = (*map(str, Outcome), "running", store.DAMAGED)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.limit < 1:
        raise InputError(f"--limit {options.limit} would show nothing.", "Give a number from 1 on.")
    if options.outcome is not None and options.outcome not in OUTCOMES:
        raise InputError(f"There is no outcome {options.outcome}.", nearest(options.outcome, OUTCOMES))
    rows = []
    for record in store.records(settings.records):
        told = record.glance()
        if options.runbook in (None, told["runbook"]) and options.outcome in (None, told["outcome"]):
            rows.append(told | {"run": record.id})
        if len(rows) == options.limit:
            break
    # Ids have whole seconds.
    rows.sort(key=lambda told: (told["run"][: store.SECOND], told["started"] or ""), reverse=True)
    none = "No run has left a record here yet. Start one: opsbook list, then opsbook run NAME -e ENV."
    if options.runbook or options.outcome:
        none = "No record fits. opsbook records list without options shows the newest."
    columns = ("RUN", "ENVIRONMENT", "OUTCOME", "TOOK", "STARTED", "BY")
    shown = [
        (
            told["run"],
            told["environment"] or "—",
            told["outcome"],
            duration(told["seconds"]),
            common.local(told["started"]),
            told["operator"] or "—",
        )
        for told in rows
    ]
    return common.tell_rows(options, rows, columns, shown, none)
