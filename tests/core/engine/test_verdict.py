"""What becomes of an effect: every row of the table, without a kernel."""

import pytest

from opsbook.core.engine.cell_context import CellContext
from opsbook.core.engine.recheck import Recheck
from opsbook.core.engine.verdict import Act, Case, verdict
from opsbook.core.model.effect import Effect, Mode, Status
from opsbook.core.model.past import Before, KnownEffect, Past
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Role


def effect(kind: str = "command", *, changes: bool = True, idempotent: bool = False) -> Effect:
    return Effect(kind, f"act/1/{kind}/1", "uptime", changes, idempotent, {"argv": ["uptime"]})


def before(wanted: Effect, status: Status | None, *, cell: str = "", **more: bool) -> Before:
    """A journal with one attempt at the effect."""
    known = KnownEffect(wanted, wanted.digest, "act/1", False, 1, status, None, "why", bool(more.get("marked")), 2)
    return Before({wanted.key: known}, cell or None, bool(more.get("kept")))


CHANGE, READ = effect(), effect(changes=False)
PLAYBOOK, SECRET, ASK, WAIT = (
    effect("playbook"),
    *(effect(kind, changes=False) for kind in ("secret", "ask", "wait_until")),
)


@pytest.mark.parametrize(
    ("wanted", "mode", "role", "more", "act"),
    [
        (CHANGE, Mode.LIVE, Role.CHANGE, {}, Act.RUN),
        (CHANGE, Mode.LIVE, Role.UNDO, {}, Act.RUN),
        (CHANGE, Mode.LIVE, Role.READ, {}, Act.REFUSE),
        (CHANGE, Mode.CHECK, Role.READ, {}, Act.REFUSE),
        (CHANGE, Mode.SESSION, Role.READ, {}, Act.REFUSE),
        (READ, Mode.LIVE, Role.READ, {}, Act.RUN),
        (READ, Mode.LIVE, Role.READ, {"stopped": "cancelled"}, Act.REFUSE),
        (CHANGE, Mode.SESSION, Role.CHANGE, {"closed": "it is closed"}, Act.REFUSE),
        (READ, Mode.SESSION, Role.CHANGE, {"closed": "it is closed"}, Act.RUN),
        (SECRET, Mode.NOTEBOOK, Role.CHANGE, {}, Act.REFUSE),
        (SECRET, Mode.LIVE, Role.CHANGE, {}, Act.PERFORM),
        (ASK, Mode.LIVE, Role.CHANGE, {}, Act.PERFORM),
        (ASK, Mode.SESSION, Role.CHANGE, {}, Act.RUN),
        (SECRET, Mode.SESSION, Role.CHANGE, {}, Act.PERFORM),
        (PLAYBOOK, Mode.CHECK, Role.CHANGE, {}, Act.SIMULATE),
        (CHANGE, Mode.CHECK, Role.CHANGE, {}, Act.SKIP),
        (READ, Mode.CHECK, Role.CHANGE, {}, Act.RUN),
        (WAIT, Mode.CHECK, Role.CHANGE, {}, Act.RUN),
        (WAIT, Mode.CHECK, Role.CHANGE, {"simulated": True}, Act.SKIP),
        (CHANGE, Mode.REPLAY, Role.CHANGE, {"plays": True}, Act.PLAY),
        (CHANGE, Mode.REPLAY, Role.READ, {"plays": True}, Act.REFUSE),
    ],
)
def test_what_is_asked_for_the_first_time(
    wanted: Effect, mode: Mode, role: Role, more: dict[str, object], act: Act
) -> None:
    assert verdict(Case(wanted, CellContext("act", "act/1", role), mode, **more)).act is act  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "journal", "more", "act"),
    [
        (CHANGE, before(CHANGE, Status.SUCCEEDED), {}, Act.ANSWER),
        (CHANGE, before(CHANGE, Status.SUCCEEDED, marked=True), {}, Act.WITHHOLD),
        (CHANGE, before(effect(idempotent=True), None), {}, Act.ASK),
        (effect(idempotent=True), before(effect(idempotent=True), None), {"retry_unknown": True}, Act.AGAIN),
        (CHANGE, before(CHANGE, Status.INTERRUPTED), {"retry_unknown": True}, Act.ASK),
        (CHANGE, before(CHANGE, Status.FAILED, cell="failed"), {}, Act.RUN),
        (CHANGE, before(CHANGE, Status.FAILED, cell="succeeded"), {}, Act.FAIL),
        (READ, before(READ, None), {}, Act.RUN),
        (effect("other"), before(CHANGE, Status.SUCCEEDED, kept=True), {}, Act.LEAVE_OUT),
        (CHANGE, before(CHANGE, Status.SUCCEEDED), {"stopped": "cancelled"}, Act.REFUSE),
        (CHANGE, before(CHANGE, Status.SUCCEEDED), {"plays": True}, Act.PLAY),
    ],
)
def test_what_the_journal_knows(wanted: Effect, journal: Before, more: dict[str, object], act: Act) -> None:
    place = CellContext("act", "act/1", Role.CHANGE, journal)
    assert verdict(Case(wanted, place, Mode.LIVE, **more)).act is act  # type: ignore[arg-type]


def test_another_request_under_the_same_key_is_refused_with_what_differs() -> None:
    other = Effect("command", CHANGE.key, "uptime", True, request={"argv": ["uptime", "-p"]})
    found = verdict(Case(other, CellContext("act", "act/1", Role.CHANGE, before(CHANGE, Status.SUCCEEDED)), Mode.LIVE))
    assert found.act is Act.REFUSE and "asks for something else than in the journal" in found.why


def test_a_look_asks_nobody_and_reads_again() -> None:
    look = Recheck(Past(), Redactor())
    place = CellContext("act", "act/1", Role.READ, Before(), look)
    assert verdict(Case(ASK, place, Mode.LIVE)).act is Act.REMEMBER
    assert verdict(Case(READ, place, Mode.LIVE)).act is Act.RUN


def test_a_verdict_changes_nothing() -> None:
    journal = before(CHANGE, Status.SUCCEEDED)
    verdict(Case(effect("other"), CellContext("act", "act/1", Role.CHANGE, journal), Mode.LIVE))
    assert not journal.anew
