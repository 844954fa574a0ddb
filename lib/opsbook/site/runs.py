"""Runs for the docs site: all of them count, and each is shown as far as its environment allows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from opsbook.core.model.run_status import RunStatus
from opsbook.core.model.runbook import Runbook
from opsbook.core.record import store
from opsbook.core.trust.signing import known_signers
from opsbook.errors import InputError
from opsbook.operate.under_way import under_way
from opsbook.settings import Settings
from opsbook.site import facts
from opsbook.site.facts import Run
from opsbook.training import trained
from opsbook.training.sign_offs import proved
from opsbook.training.training import Drilled

_BROKEN = (InputError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Errors from reading a damaged record. It is left out, since it is unknown what may be shown of it; `opsbook records
verify` reports it."""


def runs(settings: Settings, shows: Mapping[str, str]) -> Iterator[Run]:
    """Every finished run, lost ones included; `shows`: environment -> publish_records."""
    for folder in store.newest(settings.records):
        record = store.exact(settings.records, folder.name)
        if record is None or record.folder != folder or record.state == "running":
            continue
        with suppress(*_BROKEN):
            run = _run(record, record.summary(), shows)
            if run is not None:
                yield run


def _run(record: store.Record, told: Mapping[str, Any], shows: Mapping[str, str]) -> Run | None:
    # The run's id becomes part of paths: a record whose id is not its folder's name is rejected.
    if told.get("run") != record.id:
        return None
    show = shows.get(told["environment"], "summary")
    whole = show == "full" and record.state == "sealed"
    return facts.run(told, page=whole, shown=show != "none")


def drills(settings: Settings, runbooks: Iterable[Runbook], shows: Mapping[str, str]) -> dict[str, Drilled]:
    """The last proved drill of each page: the page's own, or one that the page mends."""
    known = known_signers(settings)
    mended = {each.name: (each.name, *each.front.drill.solved_by) for each in runbooks if each.front.drill}
    last: dict[str, Drilled] = {}
    for each in sorted(trained.every(settings.records), key=lambda drilled: drilled.run, reverse=True):
        new = [name for name in mended.get(each.drill, ()) if name not in last]
        if new and shows.get(each.environment, "summary") != "none":
            with suppress(*_BROKEN):
                last.update(dict.fromkeys(new, each) if proved(settings, each, known) else {})
    return last


def pages(settings: Settings, found: tuple[Run, ...]) -> tuple[tuple[Run, ...], dict[str, str]]:
    """The runs, and the pages of their records by run, without unreadable ones."""
    texts: dict[str, str] = {}
    for run in found:
        record = store.exact(settings.records, run.id) if run.page else None
        with suppress(InputError):
            if record is not None:
                texts[run.id] = record.text(store.PAGE)
    return tuple(replace(run, page=run.id in texts) for run in found), texts


def going_on(settings: Settings, shows: Mapping[str, str]) -> tuple[RunStatus, ...]:
    """Unfinished runs that may be shown, without those whose record names no environment."""
    found = under_way(settings)
    return tuple(now for now in found if now.environment and shows.get(now.environment, "summary") != "none")
