"""What a plan is about to do, for the decision whether to run it: steps, playbooks and their hosts, changed values."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from opsbook import files
from opsbook.core.model.environment import Environment
from opsbook.core.model.parameter import Value
from opsbook.core.model.planned import Planned
from opsbook.core.model.runbook import Step, tally
from opsbook.core.record import step_timings
from opsbook.core.source import names
from opsbook.settings import Settings

_NAMED = 4
"""Hosts that are named; of more, their number is said."""


_IMPORTS = ("import_playbook", "ansible.builtin.import_playbook")
_DEEPEST = 5
_NUMBERS = re.compile(r"v?(\d+(?:\.\d+)*)")


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
    forward = runbook.executed()
    steps = [_step(settings, environment, step, number) for number, step in enumerate(forward, 1)]
    undo = [_step(settings, environment, step, None) for step in runbook.undo() if step.acts]
    releases = {each.name for each in runbook.parameters if each.choice_of == "Release"}
    older = tuple(name for name in before if name in releases and _older(now[name], before[name]))
    return Preview((*steps, *undo), before, older, str(tally(forward)))


def _step(settings: Settings, environment: Environment, step: Step, number: int | None) -> PreviewStep:
    touches: dict[str, None] = {}
    for call in (call for cell in step.cells for call in names.calls(cell) if call.name == "playbook"):
        limit = call.literal(None, "limit")
        for name in _named(call):
            patterns = [limit] if limit else _patterns(settings, name)
            touches[f"{name} on {_hosts(environment, patterns)}" if patterns else name] = None
    return PreviewStep(number, step.section, step.title, step.manual, tuple(touches))


def _named(call: names.Call) -> list[str]:
    """The playbooks that a call may run: one, or those among which its code chooses."""
    given = [*call.node.args[:1], *(each.value for each in call.node.keywords if each.arg == "name")]
    nodes = [node for each in given for node in ast.walk(each)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if text.endswith((".yml", ".yaml"))]


def _patterns(settings: Settings, playbook: str, depth: int = 0) -> list[Any]:
    """The `hosts` of the plays, also of those that are imported; nothing where a file cannot be read."""
    try:
        plays = files.parse_yaml(files.read_text(settings.playbooks / playbook, within=files.ANYWHERE))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    found: list[Any] = []
    for play in plays if isinstance(plays, list) else ():
        hosts = play.get("hosts") if isinstance(play, dict) else None
        found += hosts if isinstance(hosts, list) else [hosts] if hosts else []
        imported = [play[key] for key in _IMPORTS if key in play] if isinstance(play, dict) else []
        found += [each for name in imported if depth < _DEEPEST for each in _patterns(settings, str(name), depth + 1)]
    return found


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


def _older(now: Value, before: Value) -> bool:
    """Whether the numbers at the beginning are smaller: 1.9.0-a1 comes before 1.10.0-f8."""
    new, old = _numbers(now), _numbers(before)
    return bool(new) and new < old


def _numbers(version: Value) -> list[int]:
    found = _NUMBERS.match(str(version))
    return [int(number) for number in found[1].split(".")] if found else []
