"""What a cell that ran before meets at the gate: each row of ADR 11."""

from typing import Any

import pytest

from opsbook.core.model.effect import Effect
from opsbook.core.model.event import Event
from opsbook.core.model.past import Before, KnownEffect, Meets, Past
from tests.support.events import whole


class Story:
    """Events of one run, as a runner writes them."""

    def __init__(self) -> None:
        self.past = Past()
        self._seq = 0

    def tell(self, kind: str, /, **data: Any) -> int:
        self._seq += 1
        self.past.take(Event(self._seq, f"2026-11-20T00:00:{self._seq:02d}.000Z", kind, whole(kind, **data)))
        return self._seq

    def step(self, name: str = "act", role: str = "change", *, manual: bool = False) -> None:
        self.tell("step-started", step=name, title=name, section="Steps", role=role, manual=manual)

    def cell(self, name: str = "act/1") -> None:
        self.tell("cell-started", cell=name)

    def over(self, status: str, name: str = "act/1") -> None:
        self.tell("cell-finished", cell=name, status=status)

    def effect(self, order: object, status: str | None = "succeeded", **given: Any) -> None:
        """One effect with its end; without a status it never reported."""
        asked = effect(order, **{k: v for k, v in given.items() if k in ("changes", "kind", "what")})
        told = {"kind": asked.kind, "summary": asked.summary, "changes": asked.changes, "request": asked.request}
        more = {"cell": "act/1", "keyed": given.get("keyed", False), "anew": given.get("anew", False)}
        intent = self.tell("effect-intent", key=asked.key, digest=asked.digest, **told, **more)
        if status is not None:
            self.tell("effect-result", intent=intent, key=asked.key, status=status, result={"n": order}, why="because")


def effect(order: object, *, changes: bool = True, kind: str = "command", what: str = "") -> Effect:
    return Effect(kind, f"act/1/{kind}/{order}", f"{kind} {order}", changes, request={"argv": [what or str(order)]})


def meet(before: Before, asked: Effect, *, keyed: bool) -> tuple[Meets, KnownEffect | None]:
    """What an effect meets that a cell asks for."""
    met, known = before.look_up(asked, keyed=keyed)
    before.pass_by(asked, met)
    return met, known


def begun() -> Story:
    story = Story()
    story.step()
    story.cell()
    return story


def test_a_lost_cell_is_answered_until_its_journal_ends() -> None:
    story = begun()
    story.effect(1, changes=False)
    story.effect(2)
    before = story.past.before("act/1")
    assert meet(before, effect(1, changes=False), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(2), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(3), keyed=False)[0] is Meets.LIVE


def test_another_request_is_not_guessed() -> None:
    story = begun()
    story.effect(1)
    assert meet(story.past.before("act/1"), effect(1, what="else"), keyed=False)[0] is Meets.OTHER


@pytest.mark.parametrize(("changes", "meets"), [(True, Meets.UNKNOWN), (False, Meets.LIVE)])
@pytest.mark.parametrize("status", [None, "interrupted"])
def test_an_unknown_one_is_asked_only_if_it_may_have_changed_something(
    status: str | None, changes: bool, meets: Meets
) -> None:
    story = begun()
    story.effect(1, status, changes=changes)
    assert meet(story.past.before("act/1"), effect(1, changes=changes), keyed=False)[0] is meets
    assert story.past.changed is changes
    assert bool(story.past.unsettled()) is changes


def test_a_failure_the_cell_lived_with_stays_a_failure() -> None:
    story = begun()
    story.effect(1, "failed")
    story.effect(2)
    story.over("succeeded")
    before = story.past.before("act/1")
    assert meet(before, effect(1), keyed=False)[0] is Meets.FAILURE
    assert meet(before, effect(2), keyed=False)[0] is Meets.RESULT


def test_in_a_cell_that_failed_reads_are_read_again_and_changes_are_not_made_again() -> None:
    story = begun()
    story.effect(1, changes=False)
    story.effect(1, kind="playbook")
    story.effect(2, changes=False)
    story.over("failed")
    before = story.past.before("act/1")
    assert meet(before, effect(1, changes=False), keyed=False)[0] is Meets.LIVE
    assert meet(before, effect(1, kind="playbook"), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(2, changes=False), keyed=False)[0] is Meets.LIVE


def test_a_second_attempt_that_is_lost_does_not_forget_what_the_first_changed() -> None:
    story = begun()
    story.effect(1, changes=False)
    story.effect(1, kind="playbook")
    story.over("failed")
    story.cell()
    story.effect(1, changes=False, anew=False)
    before = story.past.before("act/1")
    assert meet(before, effect(1, changes=False), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(1, kind="playbook"), keyed=False)[0] is Meets.RESULT


def test_behind_the_first_that_runs_anew_the_rest_does_too() -> None:
    """A: done, B: failed, C: cleaned up. When B runs again and fails again, C has to clean up again."""
    story = begun()
    story.effect(1)
    story.effect(2, "failed")
    story.effect(3)
    story.effect("kept", keyed=True)
    story.over("failed")
    before = story.past.before("act/1")
    assert meet(before, effect(1), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(2), keyed=False)[0] is Meets.LIVE
    assert meet(before, effect(3), keyed=False)[0] is Meets.LIVE
    assert meet(before, effect("kept"), keyed=True)[0] is Meets.RESULT


def test_what_ran_anew_replaces_what_was_behind_it() -> None:
    story = begun()
    story.effect(1)
    story.effect(2, "failed")
    story.effect(3)
    story.over("failed")
    story.cell()
    story.effect(2, anew=True)
    before = story.past.before("act/1")
    assert meet(before, effect(2), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(3), keyed=False)[0] is Meets.LIVE


def test_a_skipped_step_is_replayed_with_its_failures() -> None:
    story = begun()
    story.effect(1, changes=False)
    story.effect(2, "failed")
    story.over("failed")
    story.tell("step-finished", step="act", status="failed")
    story.tell("step-finished", step="act", status="skipped")
    before = story.past.before("act/1")
    assert story.past.finished("act") and story.past.replays("act/1")
    assert meet(before, effect(1, changes=False), keyed=False)[0] is Meets.RESULT
    assert meet(before, effect(2), keyed=False)[0] is Meets.FAILURE


def test_a_replay_changes_nothing_of_what_is_known() -> None:
    story = begun()
    story.effect(1, "failed")
    story.over("succeeded")
    story.tell("step-finished", step="act", status="succeeded")
    story.tell("step-started", step="act", role="change", manual=False, replay=True)
    story.tell("cell-started", cell="act/1", replay=True)
    assert story.past.finished("act")
    assert meet(story.past.before("act/1"), effect(1), keyed=False)[0] is Meets.FAILURE


def test_marked_as_done_is_done_without_a_result() -> None:
    story = begun()
    story.effect(1, None)
    story.tell("effect-result", intent=3, key="act/1/command/1", status="succeeded", marked=True, result=None)
    met, known = meet(story.past.before("act/1"), effect(1), keyed=False)
    assert met is Meets.RESULT and known is not None and known.marked
    assert story.past.unsettled() == []


@pytest.mark.parametrize(("status", "changed"), [("succeeded", True), ("skipped", False), ("waiting", False)])
def test_a_step_by_hand_may_have_changed_something(status: str, changed: bool) -> None:
    story = Story()
    story.step(manual=True)
    assert story.past.changed
    story.tell("step-finished", step="act", status=status)
    assert story.past.changed is changed


def test_a_check_changes_nothing() -> None:
    story = Story()
    story.tell("run-started", mode="check")
    story.step()
    story.cell()
    story.effect(1, None)
    assert not story.past.changed


def test_a_look_is_no_part_of_what_the_run_did() -> None:
    story = begun()
    intent = story.tell(
        "effect-intent", key="look:act/1/http/1", kind="http", summary="", changes=False, request={}, digest=""
    )
    story.tell("effect-result", intent=intent, key="look:act/1/http/1", status="succeeded", result=1)
    assert not story.past.effects


def test_steps_from_which_the_run_goes_on_are_forgotten_but_not_what_they_may_have_changed() -> None:
    story = begun()
    story.effect(1)
    story.effect(2, None)
    story.past.forget({"act"})
    assert [known.effect.summary for known in story.past.effects.values()] == ["command 2"], "nobody knows of it yet"
    assert story.past.changed and story.past.begun("act") and not story.past.finished("act")
