"""A page without front matter of ours: written for people or another tool, and accepted unchanged.

Its sections do not declare that they only read, so shell cells count as changing something, and a section without
code is a manual step. A pasted wiki page therefore runs as a checklist.
"""

from collections import Counter
from dataclasses import replace

from opsbook.core.model.runbook import SHELLS, Role, Section, Step

# fmt: off
_PROSE = frozenset({
    "background", "contacts", "contents", "follow-up", "further reading", "impact", "introduction",
    "license", "links", "meaning", "overview", "references", "related", "see also", "summary",
    "symptoms", "table of contents",
})
# fmt: on
"""Titles (lower case) under which there is nothing to do."""


def taken(sections: tuple[Section, ...], *, only_code: bool = False) -> tuple[Section, ...]:
    """The sections with the roles that they need to run, and unique step names.

    `only_code`: text is text, not a step to do by hand, as in a notebook and in a folder's page.
    """
    if only_code:
        sections = without_manual(sections)
    written = any(section.role is not Role.PROSE for section in sections)
    used: Counter[str] = Counter({"parameters": 1})
    found = [_section(section, written=written) for section in sections]
    return tuple(replace(each, steps=tuple(_renamed(step, used) for step in each.steps)) for each in found)


def without_manual(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """The sections without steps that only a person could do."""
    return tuple(replace(each, steps=tuple(step for step in each.steps if step.cells)) for each in sections)


def _section(section: Section, *, written: bool) -> Section:
    """A section with its role. `written`: some section titles of the page give a role."""
    cells = [cell for step in section.steps for cell in step.cells]
    changes = any(cell.language in SHELLS and not cell.reads for cell in cells)
    prose = section.role is Role.PROSE and not cells and (written or section.title.lower() in _PROSE)
    if prose or section.role is Role.UNDO or (section.role is not Role.PROSE and not changes):
        return section
    steps = tuple(replace(step, role=Role.CHANGE) for step in section.steps)
    return replace(section, role=Role.CHANGE, steps=steps)


def _renamed(step: Step, used: "Counter[str]") -> Step:
    """The second step named `check` is `check-2`."""
    used[step.id] += 1
    if used[step.id] == 1:
        return step
    name = f"{step.id}-{used[step.id]}"
    cells = tuple(replace(cell, id=f"{name}/{cell.id.rpartition('/')[2]}") for cell in step.cells)
    return replace(step, id=name, cells=cells)
