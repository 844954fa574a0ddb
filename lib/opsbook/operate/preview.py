"""What a plan is about to do, for the decision whether to run it: steps, playbooks and their hosts, changed values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from opsbook.core.model.environment import Environment
from opsbook.core.model.parameter import Value
from opsbook.core.model.planned import Planned
from opsbook.core.model.runbook import Runbook, Step, tally
from opsbook.core.record import step_timings
from opsbook.core.source import names
from opsbook.files import parse_yaml
from opsbook.settings import Settings

_NAMED = 4
"""Hosts that are named; of more, their number is said."""


@dataclass(frozen=True)
class PreviewStep:
    """A step of a plan. `touches` names each playbook with its hosts; `number` is None for a step of the rollback."""

    number: int | None
    section: str
    title: str
    by_hand: bool
    touches: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """`before` are values of the last run that succeeded here where they differ; `older` are those that go back."""

    steps: tuple[PreviewStep, ...]
    before: Mapping[str, Value]
    older: tuple[str, ...]
    counts: str


def preview(settings: Settings, planned: Planned) -> Preview:
    """The preview of a plan. Reads the page, the playbooks and the record of an earlier run; runs nothing."""
    runbook, environment = planned.runbook, planned.environment
    earlier = step_timings.last_values(settings.records, runbook.name, environment.name)
    now = planned.plan.parameters
    before = {name: earlier[name] for name, value in now.items() if name in earlier and earlier[name] != value}
    forward = [step for step in runbook.forward() if step.cells or step.manual]
    steps = [_step(settings, environment, step, number) for number, step in enumerate(forward, 1)]
    undo = [_step(settings, environment, step, None) for step in runbook.undo() if step.cells or step.manual]
    older = tuple(name for name in before if _is_release(runbook, name) and _older(now[name], before[name]))
    return Preview((*steps, *undo), before, older, str(tally(forward)))


def _step(settings: Settings, environment: Environment, step: Step, number: int | None) -> PreviewStep:
    touches = tuple(dict.fromkeys(_touched(settings, environment, step)))
    return PreviewStep(number, step.section, step.title, step.manual, touches)


def _touched(settings: Settings, environment: Environment, step: Step) -> Iterator[str]:
    for cell in step.cells:
        for call in names.calls(cell):
            name = call.literal(0, "name") if call.name == "playbook" else None
            if name is not None:
                limit = call.literal(len(call.node.args), "limit")
                yield f"{name} on {_hosts(environment, [limit] if limit else _patterns(settings, name))}"


def _patterns(settings: Settings, playbook: str) -> list[str]:
    """The `hosts` of the plays; nothing for a playbook that cannot be read, which the run will say."""
    try:
        plays = parse_yaml((settings.playbooks / playbook).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    found = [play.get("hosts") for play in plays if isinstance(play, dict)] if isinstance(plays, list) else []
    return [pattern for each in found for pattern in (each if isinstance(each, list) else [each]) if pattern]


def _hosts(environment: Environment, patterns: list[Any]) -> str:
    """The hosts of plain patterns, by name or number; other patterns as they are written."""
    hosts: dict[str, None] = {}
    for pattern in (part.strip() for each in patterns for part in str(each).replace(":", ",").split(",")):
        known = environment.hosts if pattern == "all" else environment.groups.get(pattern)
        if known is None and pattern not in environment.hosts:
            return ", ".join(map(str, patterns))
        hosts |= dict.fromkeys(known or [pattern])
    if len(hosts) > _NAMED:
        return f"{len(hosts)} hosts"
    return ", ".join(hosts) or "no host"


def _is_release(runbook: Runbook, name: str) -> bool:
    return any(each.name == name and each.choice_of == "Release" for each in runbook.parameters)


def _older(now: Value, before: Value) -> bool:
    try:
        return Version(str(now)) < Version(str(before))
    except InvalidVersion:
        return False
