"""Who stands where with the training plan; plans that are wrong; who may not sign; how points came about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.catalog import catalog
from opsbook.core.model.approval import Identity
from opsbook.errors import InputError
from opsbook.training import plan_file
from opsbook.training.plan_file import Member, Requirement, TrainingPlan, TrainingRole
from opsbook.training.qualification import Pass, Qualification, State, holds, moment, standing, standings
from opsbook.training.sign_offs import SignOff, took_part
from tests.support.trained import GOOD

DAY = 86400.0
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEEDS = Requirement("on-call", "drill", "down", valid=180 * DAY, first_check=30 * DAY, points=60)


def passed(days_ago: float, *, points: int = 100, signed: bool = True) -> Pass:
    when = NOW - timedelta(days=days_ago)
    return Pass("ann", "drill", "down", f"run-{days_ago:g}", "training", when, points, signed=signed)


def at(*passes: Pass) -> Qualification:
    return standing("ann", NEEDS, passes, NOW)


@pytest.mark.parametrize(
    ("passes", "state", "days"),
    [
        ([], State.MISSING, None),
        ([passed(1)], State.PASSED, 29),
        ([passed(15.9)], State.PASSED, 14.1),
        ([passed(16)], State.DUE, 14),
        ([passed(29.9)], State.DUE, 0.1),
        ([passed(30)], State.EXPIRED, 0),
        ([passed(3), passed(2)], State.PASSED, 178),
        ([passed(3), passed(2.5)], State.PASSED, 27.5),
        ([passed(2), passed(3)], State.PASSED, 178),
        ([passed(200), passed(170)], State.DUE, 10),
        ([passed(400), passed(200)], State.EXPIRED, -20),
        ([passed(400), passed(2)], State.PASSED, 178),
        ([passed(2, signed=False)], State.UNSIGNED, None),
        ([passed(40), passed(2, signed=False)], State.UNSIGNED, -10),
        ([passed(20), passed(2, signed=False)], State.DUE, 10),
        ([passed(40, signed=False)], State.MISSING, None),
        ([passed(2, points=59)], State.MISSING, None),
        ([passed(2, points=60)], State.PASSED, 28),
        ([passed(40, points=10), passed(2)], State.PASSED, 28),
        ([passed(-1)], State.MISSING, None),
    ],
)
def test_where_somebody_stands(passes: list[Pass], state: State, days: float | None) -> None:
    found = at(*passes)
    assert found.state == state
    assert found.until == (None if days is None else NOW + timedelta(days=days))


def test_which_run_it_stands_on_and_which_waits() -> None:
    assert at(passed(3), passed(2)).run == "run-2"
    assert at(passed(3), passed(2)).unsigned == ""
    assert at(passed(20), passed(2, signed=False)).unsigned == "run-2"
    assert at(passed(20), passed(2, signed=False)).run == "run-20"
    # The later one is signed, and counts longer once the first one is too.
    assert at(passed(20, signed=False), passed(18)).unsigned == "run-20"
    assert at(passed(1, signed=False)).run == ""
    assert at(passed(2, points=59)).why == "59 points; it needs 60"
    assert at(passed(40, signed=False)).why == "it was never signed off in time"


def test_until_when_one_run_counts() -> None:
    both = [passed(20), passed(2)]
    assert holds("run-20", NEEDS, both) == NOW + timedelta(days=10)
    assert holds("run-2", NEEDS, both) == NOW + timedelta(days=178)
    assert holds("run-2", NEEDS, [passed(2, signed=False)]) is None
    assert holds("gone", NEEDS, both) is None


def test_the_command_to_do_next() -> None:
    role = TrainingRole(drills=("down", "slow", "full"), runbooks=("deploy",), points=60)
    plan = TrainingPlan({"on-call": role}, {"ann": Member(roles=("on-call",)), "bob": Member()})
    passes = [passed(1), replace(passed(2, signed=False), name="slow"), replace(passed(1), person="bob")]
    found = list(standings(plan, passes, NOW, {"full": "lab", "deploy": "dev -p version=VERSION"}))
    assert [(each.needs.name, each.state, each.next) for each in found] == [
        ("down", "passed", ""),
        ("slow", "unsigned", "opsbook training sign-off run-2 --note TEXT"),
        ("full", "missing", "opsbook drill start full -e lab"),
        ("deploy", "missing", "opsbook run deploy -e dev -p version=VERSION"),
    ]
    assert next(standings(plan, [], NOW, {})).next == "opsbook drill start down -e training"


@pytest.mark.parametrize("text", [None, "", "soon", "2026-11-20T10:00:00", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_moment(text: object) -> None:
    assert moment(text) is None


# -- who may not sign


@pytest.mark.parametrize(
    ("signer", "took"),
    [
        (Identity("bob@host", "bob@example.org", "k"), False),
        (Identity("ann@other", "bob@example.org", "k"), True),
        (Identity("bob@host", "ann@example.org", "k"), True),
        (Identity("bob@host", "ann", "k"), True),
        (Identity("joe@host", "joe@example.org", "k"), True),
    ],
)
def test_who_took_part(signer: Identity, took: bool) -> None:
    assert took_part(replace(GOOD, operator="joe@host"), signer) is took


def test_a_statement_is_of_one_training_record_only() -> None:
    said = SignOff(
        run=GOOD.run, seal=GOOD.seal, training="1" * 64, person="ann", note="", by="bob@host", signed=NOW.isoformat()
    )
    assert said.is_of(GOOD, "1" * 64)
    assert not said.is_of(GOOD, "2" * 64)
    for changed in ({"run": "x"}, {"seal": "x"}, {"person": "bob"}):
        assert not said.is_of(replace(GOOD, **changed), "1" * 64)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({}, []),
        ({"hints": 2}, [("2 hints", 20)]),
        ({"wrong": ("a", "b")}, [("2 wrong changes", 30)]),
        ({"diagnosed": None}, [("no right diagnosis before it was mended", 10)]),
        ({"mended": 180.0, "hints": 1}, [("1 hint", 10), ("1m 00s over par", 10)]),
        ({"mended": 9000.0}, [("2h 28m over par", 40)]),
    ],
)
def test_what_took_points(changes: dict[str, object], lost: list[tuple[str, float]]) -> None:
    assert list(replace(GOOD, **changes).lost()) == lost  # type: ignore[arg-type]


def test_a_drill_that_was_not_mended_lost_nothing_there_is_to_tell() -> None:
    assert list(replace(GOOD, mended=None).lost()) == []


# -- training.yml

PAGE = "---\ntitle: {name}\nkind: {kind}\n{more}---\n\n# {name}\n"


@pytest.fixture
def project(tmp_path: Path) -> settings.Settings:
    (tmp_path / "opsbook.toml").touch()
    for path, kind, more in (
        ("training/drills/down", "training", "drill: {solved_by: [deploy]}\n"),
        ("slow", "training", "drill: {solved_by: [deploy]}\n"),
        ("deploy", "deploy", ""),
    ):
        file = tmp_path / f"runbooks/{path}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PAGE.format(name=file.stem, kind=kind, more=more))
    return settings.load(tmp_path, given=True)


def load(project: settings.Settings, text: str) -> TrainingPlan:
    (project.root / "training.yml").write_text(text)
    found = plan_file.load(project, catalog.entries(project))
    assert found is not None
    return found


def test_a_plan(project: settings.Settings) -> None:
    assert plan_file.load(project, []) is None
    plan = load(
        project,
        "roles:\n  on-call: {title: On call, drills: [down, slow, down], runbooks: [deploy], valid: 20d, points: 60}\n"
        "people:\n  ann: {roles: [on-call], since: 2026-11-20}\n  bob:\n",
    )
    needs = list(plan.needs("ann"))
    assert [(each.kind, each.name, each.points) for each in needs] == [
        ("drill", "down", 60),
        ("drill", "slow", 60),
        ("runbook", "deploy", 0),
    ]
    # What holds for less than 30 days is never checked for the first time behind its end.
    assert {(each.valid, each.first_check) for each in needs} == {(20 * DAY, 20 * DAY)}
    assert plan.members("on-call") == ["ann"]
    assert list(plan.needs("bob")) == []


@pytest.mark.parametrize("text", ["", "roles:\n", "people: {}\n"])
def test_a_plan_with_nobody_in_it(project: settings.Settings, text: str) -> None:
    assert load(project, text).people == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("role: {}", "unknown key role. Did you mean roles?"),
        ("- a", "it is not a list of `key: value` lines."),
        ("a: [", "not valid YAML"),
        ("roles: [a]", "roles: write names, each with its keys below it."),
        ("roles: {a: {drils: []}}", "roles.a: unknown key drils. Did you mean drills?"),
        ("roles: {a: [b]}", "roles.a: write keys below it."),
        ("roles: {a: {drills: down}}", "roles.a.drills: write a list of names."),
        ("roles: {a: {drills: [dwon]}}", "roles.a.drills: there is no drill dwon. Did you mean down?"),
        ("roles: {a: {drills: [deploy]}}", "roles.a.drills: deploy is no drill; write it under runbooks."),
        ("roles: {a: {runbooks: [down]}}", "roles.a.runbooks: down is a drill; write it under drills."),
        ("roles: {a: {runbooks: [depoly]}}", "roles.a.runbooks: there is no runbook depoly. Did you mean deploy?"),
        ("roles: {a: {valid: long}}", "roles.a.valid: 'long' is not a duration"),
        ("roles: {a: {valid: 0d}}", "roles.a.valid: 0d is not between a moment and ten years"),
        ("roles: {a: {valid: 9999d}}", "roles.a.valid: 9999d is not between"),
        ("roles: {a: {valid: 10d, first_check: 30d}}", "roles.a: first_check (30d) is longer than valid (10d)."),
        ("roles: {a: {points: 101}}", "roles.a.points: "),
        ("people: {ann: {role: [a]}}", "people.ann: unknown key role. Did you mean roles?"),
        ("roles: {a: {}}\npeople: {ann: {roles: [b]}}", "people.ann.roles: there is no role b. There is: a."),
        ("people: {ann: {since: 1}}", "people.ann.since: 1 is not a date; write one such as 2026-11-20."),
        ("people: {ann@host: {}}", "people.ann@host: write the user's name alone, such as ann."),
        ("people: {ann: {}, ann: {}}", "the key ann is there twice"),
    ],
)
def test_a_plan_that_is_wrong(project: settings.Settings, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(project, text)
    assert any(problem.startswith("training.yml: ") and said in problem for problem in caught.value.problems), (
        caught.value.problems
    )


def test_all_that_is_wrong_is_said_at_once(project: settings.Settings) -> None:
    with pytest.raises(InputError) as caught:
        load(project, "x: 1\nroles: {a: {drils: [], valid: 0d}, b: {drills: [x]}}\npeople: {ann: {roles: [c]}}\n")
    assert len(caught.value.problems) == 5
