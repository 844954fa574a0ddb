"""Show open incidents and who is on call; what runs, waits, is lost or ended in the last hour; and what is locked."""

import argparse
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from opsbook.console import common
from opsbook.console.text import hanging, say
from opsbook.core.locks import lock
from opsbook.core.model.effect import Mode
from opsbook.core.model.outcome import GOOD, Outcome
from opsbook.core.model.text import number_of, one_line, quoted
from opsbook.core.record.store import DAMAGED
from opsbook.core.trust import requests, reviewing
from opsbook.operate import under_way
from opsbook.operate.commands import locks, review
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.incidents.incident import Incident

_NEXT = {
    "running": "opsbook attach {run}",
    Outcome.LOST: "opsbook resume {run}",
    DAMAGED: "opsbook records verify {run}",
}


_LATELY = timedelta(hours=1)
"""How long an ended run is shown."""


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = under_way.under_way(settings)
    ended = under_way.ended_since(settings, datetime.now(UTC) - _LATELY)
    incidents = _incidents(settings)
    # To know that takes longer than all the rest.
    on_call = _on_call(settings) if incidents else {}
    plans, reviews = list(requests.waiting(settings.state)), list(reviewing.follow_ups(settings))
    if options.json:
        told = {"plans": [each.to_json() for each in plans], "reviews": [asdict(each) for each in reviews]}
        told |= {"ended": [asdict(each) for each in ended], "locks": list(map(asdict, lock.holders(settings.state)))}
        told |= {"incidents": [each.brief() for each in incidents]}
        return common.tell(options, {"runs": [asdict(now) for now in found], "on_call": on_call, **told})
    for incident in incidents:
        _show_incident(incident)
    for rota, person in on_call.items():
        say(f"on call   {quoted(person) if person else 'nobody: opsbook oncall says why'} ({rota})")
    if not (incidents or found or plans or reviews):
        say("Nothing runs, and nothing waits for anybody.")
    for now in found:
        _show(now)
    for request in plans:
        _show_plan(request)
    for each in reviews:
        review.show(each)
    for over in ended:
        _show_ended(over)
    say()
    return locks.execute(options)


def _incidents(settings: Settings) -> "list[Incident]":
    """Open incidents; a project without any loads nothing for them."""
    if not (settings.records / "incidents").is_dir():
        return []
    from opsbook.incidents import store

    return list(store.open_(settings))


def _block(head: str, *lines: str) -> None:
    say(head)
    for line in filter(None, lines):
        say(*(f"          {each}" for each in hanging(line)))


def _on_call(settings: Settings) -> dict[str, str]:
    """Who is on call now in each rota, or nobody; a project without rotas loads nothing for them."""
    if not any((settings.root / "oncall").glob("*.ics")):
        return {}
    from opsbook.incidents import rotas

    now = datetime.now(UTC)
    return {rota: rotas.paged(settings, (rota,), "", now).person for rota in rotas.names(settings)}


def _show_incident(found: "Incident") -> None:
    firing = f", {number_of(len(found.firing), 'alert')} firing" if found.firing else ""
    said = f"{found.id}, {found.state}, since {common.local(found.opened)}{firing}"
    _block(
        f"{found.severity:<8}  {quoted(found.title)}  {found.environment}", said, f"opsbook incident show {found.id}"
    )


def _show(now: under_way.RunStatus) -> None:
    said = f"{now.run}, {quoted(now.operator)}, since {common.local(now.since)}"
    lines = (said, now.doing, now.reason, *_asked(now), _next(now).format(run=now.run))
    _block(f"{now.state:<8}  {quoted(now.title)}  {now.environment}", *lines)


def _next(now: under_way.RunStatus) -> str:
    if now.mode not in (Mode.LIVE, ""):
        # Nobody resumes a check, or a notebook.
        return {"running": _NEXT["running"], Outcome.LOST: "opsbook cancel {run}"}.get(
            now.state, "opsbook unlock TARGET"
        )
    return _NEXT.get(now.state, "opsbook resume {run}, or opsbook rollback {run}")


def _show_ended(over: under_way.EndedRun) -> None:
    head = f"{over.outcome}  {quoted(over.title)}  {over.environment}, ended {common.local(over.ended)}"
    _block(head, f"{over.run}, {quoted(over.operator)}", "" if over.outcome in GOOD else one_line(over.reason, 160))


def _show_plan(request: requests.ApprovalRequest) -> None:
    planned, asked = request.plan, request.asked
    said = f"{planned.id}, {quoted(asked.by)}, since {common.local(asked.time)}"
    _block(f"approval  {quoted(planned.title)}  {planned.environment}", said, f"opsbook approve {planned.id}")


def _asked(now: under_way.RunStatus) -> list[str]:
    """The question that a run waits for, and whether its terminal is gone."""
    if now.asks is None:
        return []
    choices = f" [{'/'.join(map(quoted, now.asks.choices))}]" if now.asks.choices else ""
    gone = "; its terminal is gone" if now.detached else ""
    return [f"asks {now.asks.name}: {now.asks.text}{choices}", f"  since {common.local(now.asks.since)}{gone}"]
