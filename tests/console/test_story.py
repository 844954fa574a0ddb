"""What the views say of a run while it goes on: the place of a step, the time left, a step with nothing to do."""

from opsbook.console.printed import Printed
from opsbook.console.story import Story
from opsbook.core.model import events as kinds
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Role


def started(step: str, *, manual: bool = False) -> kinds.StepStarted:
    return kinds.StepStarted(
        step=step, title=step, section="Steps", role=Role.CHANGE, manual=manual, expected="", replay=False
    )


def story(usual: dict[str, float]) -> Story:
    found = Story()
    found.begin(Plan("page", "page.md", "Page", "dev", {}, {}, (), (), {}), usual)
    steps = [{"step": name, "role": "change"} for name in "abcd"] + [{"step": "back", "role": "undo"}]
    run = kinds.RunStarted(
        run="r",
        runbook="page",
        title="Page",
        environment="dev",
        operator="me@here",
        parameters={},
        plan="",
        mode="live",
        locks=(),
        versions={},
        pid=1,
        steps=steps,
    )
    found.take(run)
    return found


def test_the_place_of_a_step_and_the_time_that_is_left() -> None:
    told = story({"a": 10.0, "b": 20.0, "c": 30.0})
    told.usual("b")
    assert told.place == "step 2 of 4"
    assert told.left(5.0) == "about 45 s left"
    assert told.left(500.0) == "about 30 s left"
    told.usual("d")
    assert (told.place, told.left(1.0)) == ("step 4 of 4", "")
    told.usual("back")
    assert (told.place, told.left(1.0)) == ("", "")
    few = story({"a": 10.0})
    few.usual("a")
    assert few.left(0.0) == ""


def test_a_step_that_had_nothing_to_do() -> None:
    told = story({})
    told.take(started("a"))
    assert told.idle
    told.take(kinds.Output(cell="a/1", output={"output_type": "stream", "name": "stdout", "text": "x"}))
    assert not told.idle
    told.take(started("b", manual=True))
    assert not told.idle
    told.take(started("c"))
    assert told.idle


def test_a_result_that_counts_tasks_is_brief_below_them() -> None:
    printed = Printed()
    data = {"text/plain": "playbook x.yml: changed, 1 hosts\n  host  ok\n  a     1"}
    result = kinds.Output(cell="a/1", output={"output_type": "execute_result", "data": data, "metadata": {}})
    assert len(printed.take(result)) == 3
    printed.take(kinds.EffectProgress(intent=1, text="Go  ok: [a]", ended=True))
    assert printed.take(result) == ["playbook x.yml: changed, 1 hosts"]
