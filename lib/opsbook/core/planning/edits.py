"""Edit the page of a resumed run: the record's copy, never the one in runbooks/."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opsbook import files
from opsbook.core.model.events import SourceEdited
from opsbook.core.model.past import Past
from opsbook.core.model.runbook import Runbook, Step
from opsbook.core.planning.context import operator
from opsbook.core.record import journal, store
from opsbook.core.source import notebook as pages
from opsbook.errors import InputError

_KEPT = "runbook-{}.md"
_PATCH = "edit-{}.patch"


@dataclass(frozen=True)
class Edit:
    """A page before and after an edit."""

    before: Runbook
    runbook: Runbook

    @property
    def patch(self) -> str:
        """The change, as `git apply` takes it for runbooks/."""
        path = self.before.path
        old, new = (runbook.source.splitlines(keepends=True) for runbook in (self.before, self.runbook))
        return "".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}"))


def original(record: store.Record) -> str:
    """The page with which the run began."""
    first = _KEPT.format(1)
    return record.text(first if (record.folder / first).is_file() else "runbook.md")


def edited(before: Runbook, past: Past, edit: Callable[[str], str]) -> Edit | None:
    """Apply `edit` to the page; None if it changes nothing. Raises InputError if the run cannot resume with it."""
    text = edit(before.source)
    if text == before.source:
        return None
    runbook, problems = pages.parse(text, str(before.path))
    found = [str(problem) for problem in problems]
    if runbook.front != before.front or runbook.parameters != before.parameters:
        found.append("the front matter or the parameters are not as they were: the plan rests on them")
    steps = {step.id: step for step in runbook.steps()}
    found += [
        f"{step.section}, {step.title} is finished, and must not change"
        for step in before.steps()
        if past.finished(step.id) and not _same(step, steps.get(step.id))
    ]
    if found:
        raise InputError(found, "Nothing was changed, and nothing ran. Edit it again.")
    return Edit(before, runbook)


def _same(step: Step, other: Step | None) -> bool:
    """Whether two steps do the same, wherever they stand in the page."""
    if other is None:
        return False
    does = [[(cell.source, cell.language, cell.tags) for cell in each.cells] for each in (step, other)]
    return does[0] == does[1] and step.role is other.role and step.prose == other.prose


def apply(folder: Path, change: Edit, book: journal.Journal) -> None:
    """Put the new page into the record; the old one and the patch stay beside it."""
    number = next(n for n in range(1, 1000) if not (folder / _KEPT.format(n)).exists())
    kept, patch = _KEPT.format(number), _PATCH.format(number)
    files.write_atomic(folder / kept, change.before.source.encode())
    files.write_atomic(folder / patch, change.patch.encode())
    files.write_atomic(folder / "runbook.md", change.runbook.source.encode())
    edited = SourceEdited(
        by=operator(),
        kept=kept,
        patch=patch,
        sha256=files.sha256(folder / "runbook.md"),
        steps=[step.named() for step in change.runbook.executed()],
    )
    book.write(edited, durable=True)
