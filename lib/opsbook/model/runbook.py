"""A runbook as a value: sections with roles, steps, cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from opsbook.model.front import FrontMatter
from opsbook.model.parameter import Parameter


class Role(StrEnum):
    """What the cells of a section may do."""

    PROSE = "prose"
    PARAMETERS = "parameters"
    READ = "read"
    CHANGE = "change"
    UNDO = "undo"


ROLES = {
    "parameters": Role.PARAMETERS,
    "prerequisites": Role.READ,
    "diagnosis": Role.READ,
    "validation": Role.READ,
    "steps": Role.CHANGE,
    "mitigation": Role.CHANGE,
    "rollback": Role.UNDO,
}
"""Section titles (lower case) that have a role; any other title is prose."""


@dataclass(frozen=True)
class Cell:
    """Code of one fence. `line` is the line of its first code line, from 1."""

    id: str
    source: str
    line: int
    tags: tuple[str, ...] = ()
    timeout: float | None = None
    language: str = "python"


@dataclass(frozen=True)
class Step:
    """An H3, or an H2 without one. Prose and no cells make a manual step."""

    id: str
    title: str
    section: str
    role: Role
    prose: str
    line: int
    expected: str = ""
    cells: tuple[Cell, ...] = ()

    @property
    def prerequisite(self) -> bool:
        return self.section.lower() == "prerequisites"

    @property
    def manual(self) -> bool:
        return not self.cells and bool(self.prose.strip())


@dataclass(frozen=True)
class Section:
    """An H2 with its role and its steps."""

    title: str
    role: Role
    line: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Runbook:
    """One document. `source` is its text; `path` is relative to the project root.

    `order` holds the ids of all cells as they stand in the text, empty for one that belongs to no section.
    """

    name: str
    path: Path
    front: FrontMatter
    title: str
    source: str
    sections: tuple[Section, ...]
    parameters: tuple[Parameter, ...]
    parameters_cell: Cell | None
    order: tuple[str, ...] = ()

    def steps(self) -> Iterator[Step]:
        """Every step of a section that can run, in document order."""
        for section in self.sections:
            if section.role not in (Role.PROSE, Role.PARAMETERS):
                yield from section.steps

    def forward(self) -> Iterator[Step]:
        """Steps of a run that goes well: the prerequisites, then the rest as written; never the rollback."""
        yield from self.prerequisites()
        yield from (s for s in self.steps() if s.role is not Role.UNDO and not s.prerequisite)

    def prerequisites(self) -> tuple[Step, ...]:
        """Steps that come first, wherever they stand."""
        return tuple(step for step in self.steps() if step.prerequisite)

    def undo(self) -> tuple[Step, ...]:
        """Steps of the rollback."""
        return tuple(s for s in self.steps() if s.role is Role.UNDO)
