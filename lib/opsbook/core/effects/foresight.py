"""What a simulated playbook would change (ADR 13)."""

from collections.abc import Mapping
from typing import Any

from opsbook.core.effects.basic import here
from opsbook.core.model.differ import ansible_diff, narrowed
from opsbook.core.model.tasks import diffs

_REASONS = ('"skip_reason"', '"false_condition"', '"skipped_reason"')
_LONGEST, _MOST = 160, 40
"""Characters of a line, and lines, of a kept diff; the event stream has all of it."""

_SIGNS = 3
"""Characters of such a line for its + or - sign and for … where text is left out."""


def would(kind: str, data: Mapping[str, Any], result: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """What a task of a simulated playbook would do; None if nothing.

    `said` is Ansible's output for the event: for a skipped task, ansible-runner passes no result.
    """
    found = {"host": str(data.get("host")), "task": str(data.get("task"))}
    if kind == "runner_on_ok" and result.get("changed"):
        return {**found, "state": "changed", "diff": _diff(result)}
    # A task skipped by a condition gives a reason; one that cannot be simulated gives none.
    if kind == "runner_on_skipped" and not any(reason in said for reason in _REASONS):
        return {**found, "state": "unknown", "diff": ""}
    return None


def _diff(result: Mapping[str, Any]) -> str:
    """The differences of a task, as text."""
    lines = [line for diff in diffs(result) for line in ansible_diff(diff)]
    # Paths are relative to the project.
    return "\n".join(_shortened(lines)).replace(f"{here.content}/", "")


def _shortened(lines: list[str]) -> list[str]:
    """The first lines of a diff, each shortened around its difference."""
    more = [f"… {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
    kept = narrowed(tuple(lines[:_MOST]), _LONGEST - _SIGNS)
    return [*(line[:_LONGEST] for line in kept), *more]
