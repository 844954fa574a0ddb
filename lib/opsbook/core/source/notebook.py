"""Read one document: the sections, steps and cells of a page."""

import re
from dataclasses import replace
from pathlib import Path

from opsbook.core.model.runbook import ROLES, Role, Runbook, Section, Step
from opsbook.core.model.text import slug
from opsbook.core.source import bare, fences, front, outline, parameters
from opsbook.core.source.markdown import document
from opsbook.core.source.outline import Draft
from opsbook.core.source.page_name import is_folder_page, name_of
from opsbook.core.source.problem import Problem

_EXPECTED = re.compile(r"^\**Expected:?\**:?\s*(.*)$")


def parse(text: str, shown: str, *, magics: bool = False) -> tuple[Runbook, list[Problem]]:
    """Parse a document's text; `shown` is its path relative to the project.

    `magics`: cells may begin with a magic of IPython (%%time), as in notebooks that were not written for opsbook.
    """
    matter, problems = front.parse(text, shown)
    page = document(text)
    written = front.written_for(text)
    foreign = written is not front.WrittenFor.OPSBOOK
    found = fences.found(page, shown, bare=foreign, magics=magics or written is front.WrittenFor.JUPYTER)
    problems += found.problems
    title, drafts = outline.outline(page, found, bare=foreign)
    first = drafts[0].line if drafts else len(page.lines) + 1
    lost = "a cell before the first ## heading never runs; move it into a section"
    problems += [Problem(shown, cell.line, 1, "S002", lost) for cell in found.cells.values() if cell.line < first]
    sections = tuple(_section(draft) for draft in drafts)
    if foreign:
        only_code = written is front.WrittenFor.JUPYTER or (is_folder_page(Path(shown)) and not found.cells)
        sections = bare.taken(sections, only_code=only_code)
    parameter_steps = (step for section in sections if section.role is Role.PARAMETERS for step in section.steps)
    holder = next((cell for step in parameter_steps for cell in step.cells), None)
    given, more = parameters.parse(holder, shown) if holder else ((), [])
    name = name_of(Path(shown))
    runbook = Runbook(
        name=name,
        path=Path(shown),
        front=matter,
        title=matter.title or title or name,
        source=text,
        sections=sections,
        parameters=given,
        parameters_cell=holder,
        bare=foreign,
    )
    return runbook, problems + more


def _section(draft: Draft) -> Section:
    role = ROLES.get(draft.title.lower(), Role.PROSE)
    steps = [draft, *draft.steps]
    if draft.steps and not draft.acts:
        # The text above the steps is no step. The examples in it count with the first one that runs.
        steps = draft.steps
        next((step for step in steps if step.cells), steps[0]).examples[:0] = draft.examples
    return Section(draft.title, role, draft.line, tuple(_step(step, draft.title, role) for step in steps))


def _step(draft: Draft, section: str, role: Role) -> Step:
    name = slug(draft.title)
    cells = tuple(replace(cell, id=f"{name}/{number}") for number, cell in enumerate(draft.cells, 1))
    expected, prose = _expected(draft.prose)
    return Step(name, draft.title, section, role, prose, draft.line, expected, cells, tuple(draft.examples))


def _expected(lines: list[str]) -> tuple[str, str]:
    """The text of the `Expected:` paragraph, and the prose without it."""
    for index, line in enumerate(lines):
        match = _EXPECTED.match(line)
        if match:
            end = next((i for i in range(index, len(lines)) if not lines[i].strip()), len(lines))
            text = " ".join([match[1], *(more.strip() for more in lines[index + 1 : end])]).strip()
            return text, "\n".join(lines[:index] + lines[end:]).strip()
    return "", "\n".join(lines).strip()
