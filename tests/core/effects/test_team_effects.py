"""Effects of a team's own."""

from typing import Any

import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow

HELPER = '''
    """Effects of a team."""

    from pathlib import Path

    from opsbook import EffectFailed, command, effect, note
    from opsbook.params import Secret

    @effect(changes=False)
    def measured(name: str, times: int = 2, *, token: Secret | None = None) -> dict:
        said = [command(["echo", f"{name}-{n}"], changes=False).stdout.strip() for n in range(times)]
        return {"said": said, "pair": (1, 2), "known": token.reveal() == "long-enough" if token else None}

    @effect(changes=True)
    def marked(name: str) -> dict:
        command(["touch", name])
        return {"changed": True}

    @effect(changes=False)
    def sly(name: str) -> None:
        command(["touch", name])

    @effect(changes=True)
    def broken() -> None:
        raise EffectFailed("the pump is dry")

    @effect(changes=True)
    def deaf() -> str:
        try:
            command(["sh", "-c", "touch half; sleep 20"], timeout=0.5)
        except Exception as error:
            return f"swallowed {error}"
        return "not stopped"

    @effect(changes=False)
    def odd(value: str) -> float:
        return {"nan": float("nan"), "inf": float("inf"), "large": 10**5000}[value]

    @effect(changes=True)
    def chatty() -> None:
        note("inside")
'''


@pytest.fixture
def team(project: Project) -> Project:
    project.write("lib/pumps/__init__.py", "")
    project.write("lib/pumps/effects.py", HELPER)
    return project


def step(code: str, section: str = "Steps") -> str:
    before = "" if section == "Steps" else "\n## Steps\n"
    return f"{before}\n## {section}\n\n### One\n```python\nfrom pumps.effects import *\n{code}\n```\n"


def intents(project: Project) -> list[dict[str, Any]]:
    return [e["data"] for e in project.events() if e["type"] == "effect-intent"]


def test_it_is_asked_for_journaled_and_answered_in_its_json_form(team: Project) -> None:
    team.env["TOKEN"] = "long-enough"
    team.write("playbooks/inventories/dev/environment.yml", "secrets: {token: 'env:TOKEN'}\n")
    code = "from opsbook import secret\nt = secret('token')\nprint(measured('pump', token=t, key='mine'))"
    team.page(step(code, "Prerequisites"))
    done = team.opsbook("run", "page", "-e", "dev", check=True)
    assert "{'said': ['pump-0', 'pump-1'], 'pair': [1, 2], 'known': True}" in done.out
    _, intent = intents(team)
    assert intent["kind"] == "pumps.effects.measured"
    assert intent["key"].endswith("/pumps.effects.measured/mine")
    assert intent["request"] == {"arguments": {"name": "pump", "times": 2, "token": {"secret": "token"}}}
    assert intent["summary"] == "measured(name='pump', times=2, token=secret token)"
    assert intent["changes"] is False


def test_one_that_changes_may_use_effects_that_change(team: Project) -> None:
    team.page(step("marked('made')"))
    team.opsbook("run", "page", "-e", "dev", check=True)
    assert (team.root / "made").exists()
    (effect,) = team.summary()["effects"]
    assert (effect["changes"], effect["changed"]) == (True, True)


@pytest.mark.parametrize(
    ("code", "section", "reason"),
    [
        ("sly('made')", "Steps", "the effect it is part of may only read"),
        ("marked('made')", "Prerequisites", "its section may only read"),
        ("chatty()", "Steps", "cannot be part of another effect"),
    ],
)
def test_what_the_gate_refuses(team: Project, code: str, section: str, reason: str) -> None:
    team.page(step(code, section))
    done = team.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert reason in done.out
    assert not (team.root / "made").exists()


def test_its_failure_is_a_sentence(team: Project) -> None:
    team.page(step("broken()"))
    done = team.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert "Steps, One: the pump is dry" in done.out


def test_what_it_swallows_is_unknown_all_the_same(team: Project) -> None:
    team.page(step("print(deaf())"))
    done = team.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert "swallowed" not in done.out
    assert team.summary()["unknown"] == ["deaf()"]


@pytest.mark.parametrize("value", ["nan", "inf", "large"])
def test_a_number_that_json_has_not_is_refused(team: Project, value: str) -> None:
    team.page(step(f"odd({value!r})"))
    done = team.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert "cannot be recorded" in done.out
    assert "NaN" not in (team.records()[-1] / "journal.jsonl").read_text(encoding="utf-8")


def test_an_argument_without_a_json_form_is_the_authors_mistake(team: Project) -> None:
    team.page(step("measured(object())"))
    done = team.opsbook("run", "page", "-e", "dev")
    assert done.code == 1
    assert "TypeError: object cannot be recorded" in done.out
    assert intents(team) == []
