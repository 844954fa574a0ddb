"""A runbook as a value: sections with roles, steps, cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsbook.core.model.front import FrontMatter
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.role import Role

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

READS = "read"
"""Tag of a shell cell that only reads."""

SHELLS = ("bash", "sh")
"""Languages of cells that run as a command, besides Python."""


@dataclass(frozen=True)
class Cell:
    """Code of one fence. `line` is the line of its first code line, from 1."""

    id: str
    source: str
    line: int
    tags: tuple[str, ...] = ()
    timeout: float | None = None
    language: str = "python"

    @property
    def body(self) -> str:
        """The text of the fence: without the magic that Jupytext puts before another language."""
        return self.source.partition("\n")[2] if self.source.startswith("%%") else self.source

    @property
    def reads(self) -> bool:
        """A shell cell whose author says that it changes nothing."""
        return self.language in SHELLS and READS in self.tags


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

    `bare` is a page without front matter: it was not written for opsbook, and is taken as it is.
    """

    name: str
    path: Path
    front: FrontMatter
    title: str
    source: str
    sections: tuple[Section, ...]
    parameters: tuple[Parameter, ...]
    parameters_cell: Cell | None
    bare: bool = False

    def code(self, cell: Cell) -> str:
        """What the kernel runs for a cell: Python as it is, a shell's text as an effect with the parameters."""
        if cell.language not in SHELLS:
            return cell.source
        values = ", ".join(f"{parameter.name!r}: {parameter.name}" for parameter in self.parameters)
        what = f"{cell.language!r}, {cell.body!r}, {{{values}}}, line={cell.line}, changes={not cell.reads}"
        return f"__import__('opsbook').fence({what})"

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
