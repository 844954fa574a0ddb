"""A runbook: sections with roles, steps, cells."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from opsbook.core.model.front import FrontMatter
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.text import number_of
from opsbook.errors import FENCE


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
"""Roles by section title (lower case); any other section is prose."""

READS = "read"
"""Tag of a shell cell that only reads."""

SHELLS = ("bash", "sh", "zsh")
"""Languages of cells that run as a command, besides Python."""


@dataclass(frozen=True)
class Cell:
    """Code of one fence. `line` is the number of its first code line in the page, from 1."""

    id: str
    source: str
    line: int
    tags: tuple[str, ...] = ()
    timeout: float | None = None
    language: str = "python"

    @property
    def body(self) -> str:
        """The text of the fence, without the magic that Jupytext adds for other languages."""
        return self.source if self.language == "python" else self.source.partition("\n")[2]

    @property
    def reads(self) -> bool:
        """Whether it is a shell cell that its author tagged as only reading."""
        return self.language in SHELLS and READS in self.tags


@dataclass(frozen=True)
class Example:
    """A command in a fence that no run executes, and why. `line` is its fence's, from 1."""

    line: int
    language: str
    why: str


@dataclass(frozen=True)
class Step:
    """An H3, an H2 without H3s, or an item of a numbered list of commands. Without cells it is manual."""

    id: str
    title: str
    section: str
    role: Role
    prose: str
    line: int
    expected: str = ""
    cells: tuple[Cell, ...] = ()
    examples: tuple[Example, ...] = ()

    def named(self) -> dict[str, str]:
        """What a journal says of it before it runs."""
        return {"step": self.id, "title": self.title, "section": self.section, "role": str(self.role)}

    @property
    def prerequisite(self) -> bool:
        return self.section.lower() == "prerequisites"

    @property
    def manual(self) -> bool:
        return not self.cells and bool(self.prose.strip())

    @property
    def acts(self) -> bool:
        """Whether there is anything to do, for a run or by hand."""
        return bool(self.cells) or self.manual


@dataclass(frozen=True)
class Tally:
    """What steps consist of: commands that run, steps that a person does, and examples beside commands.

    `examples` are lines of the page.
    """

    commands: int
    by_hand: int
    examples: tuple[int, ...] = ()

    def __str__(self) -> str:
        """`5 commands, 1 by hand, 2 examples`."""
        parts = [number_of(self.commands, "command")] if self.commands or not self.by_hand else []
        parts += [f"{self.by_hand} by hand"] if self.by_hand else []
        parts += [number_of(len(self.examples), "example")] if self.examples else []
        return ", ".join(parts)


def tally(steps: Iterable[Step]) -> Tally:
    """Count what these steps consist of. Whoever does a step by hand sees its examples, so they do not count."""
    found = list(steps)
    beside = [example.line for step in found if step.cells for example in step.examples]
    return Tally(sum(len(step.cells) for step in found), sum(step.manual for step in found), tuple(sorted(beside)))


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

    `bare`: a page without front matter, which was not written for opsbook and is used as it is.
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
        """What the kernel runs for a cell: Python as it is, shell text as an effect with the parameters."""
        if cell.language not in SHELLS:
            return cell.source
        values = ", ".join(f"{parameter.name!r}: {parameter.name}" for parameter in self.parameters)
        what = f"{cell.language!r}, {cell.body!r}, {{{values}}}, line={cell.line}, changes={not cell.reads}"
        if self.front.shell == "step":
            what += f", cell={cell.id!r}"
        return f"{FENCE}{what})"

    @property
    def runs(self) -> bool:
        """Whether there is anything to do, for a run or by hand."""
        return any(step.acts for step in self.steps())

    def steps(self) -> Iterator[Step]:
        """Every step of a section that can run, in document order."""
        for section in self.sections:
            if section.role not in (Role.PROSE, Role.PARAMETERS):
                yield from section.steps

    def all_steps(self) -> Iterator[Step]:
        """Every step, also of a section that cannot run."""
        return (step for section in self.sections for step in section.steps)

    def cells(self) -> Iterator[Cell]:
        """Every cell, also of a section that cannot run."""
        return (cell for step in self.all_steps() for cell in step.cells)

    def forward(self) -> Iterator[Step]:
        """Steps of a run without failures: the prerequisites, then the others in document order; not the rollback."""
        yield from self.prerequisites()
        yield from (s for s in self.steps() if s.role is not Role.UNDO and not s.prerequisite)

    def executed(self, *, check: bool = False) -> list[Step]:
        """Steps that a run does. A check leaves out the Validation, unless nothing in the page changes anything."""
        steps = [step for step in self.forward() if step.acts]
        left_out = check and any(step.role is Role.CHANGE for step in steps)
        return [step for step in steps if not (left_out and step.section.lower() == "validation")]

    def prerequisites(self) -> tuple[Step, ...]:
        """Steps of the prerequisites; they run first, wherever they are in the page."""
        return tuple(step for step in self.steps() if step.prerequisite)

    def undo(self) -> tuple[Step, ...]:
        """Steps of the rollback."""
        return tuple(s for s in self.steps() if s.role is Role.UNDO)
