"""A trainee's actions in a drill, apart from mending it: take a hint, name a diagnosis, end it."""

from datetime import UTC, datetime

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.operate.run_requests import send
from opsbook.settings import Settings
from opsbook.training import trained
from opsbook.training.drill_clock import DIAGNOSIS, HINT, DrillProgress, progress, progress_of
from opsbook.training.drills import about, drill
from opsbook.training.training import Drilled, Feedback

_TRIES, _PAUSE = 50, 0.1
"""Checks whether a note has reached the journal, and seconds between them."""


def hint(settings: Settings, now: DrillProgress) -> str:
    """The next hint, noted in the journal first. Raises InputError if there is none, or the drill is over."""
    hints = about(drill(settings, now.drill)).hints
    if now.hints >= len(hints):
        raise InputError(f"You have had all {len(hints)} hints of {now.drill}.", "opsbook drill stop ends it.")
    send(settings, now.run, {"kind": "note", "text": f"{HINT}{now.hints + 1}"})
    if files.again(lambda: progress_of(settings, now.run).hints > now.hints, _TRIES, _PAUSE):
        return hints[now.hints]
    raise InputError("The hint was not noted, and is not shown.", "opsbook drill status says whether it goes on.")


def diagnose(settings: Settings, now: DrillProgress, runbook: str) -> None:
    """Note which runbook the trainee thinks mends it. Raises InputError if there is no such runbook."""
    catalog.find(settings, runbook)
    send(settings, now.run, {"kind": "note", "text": f"{DIAGNOSIS}{runbook}"})


def finish(settings: Settings, run: str, feedback: Feedback | None) -> Drilled:
    """Write the training record of a finished drill. Raises InputError if its record is not sealed.

    An existing training record is never overwritten: it may be signed.
    """
    record = store.find(settings.records, run)
    if (there := trained.path(settings.records, record.id)).exists():
        return trained.read(there)
    now = progress(settings, record, datetime.now(UTC))
    if record.state != "sealed" or now.started is None or not now.par:
        lacks = "its fault never showed" if now.started is None else "it had no par time"
        why = lacks if record.state == "sealed" else "it goes on"
        raise InputError(f"{run} leaves no training record: {why}.", "opsbook records show says more.")
    drilled = Drilled(
        kind="training",
        run=record.id,
        seal=files.sha256(record.folder / store.SEAL),
        drill=now.drill,
        environment=now.environment,
        person=now.person,
        operator=str(record.summary()["operator"]),
        started=now.started,
        ended=str(record.summary()["ended"]),
        par=now.par,
        diagnosed=now.diagnosed,
        mended=now.mended,
        hints=now.hints,
        wrong=now.wrong,
        feedback=feedback,
    )
    trained.write(settings.records, drilled)
    return drilled
