"""The page of a runbook or a procedure: the author's text with a card, a form, folded code and measured times.

The author's Markdown is copied line by line; the site's parts are inserted between the lines.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from opsbook.core.model.environment import Environment
from opsbook.core.model.runbook import SHELLS, Cell, Role, Runbook, Section, Step, tally
from opsbook.core.model.text import duration, number_of, slug
from opsbook.core.source.links import anchor
from opsbook.core.source.markdown import Heading, document
from opsbook.html import plain_text, render, text
from opsbook.site.facts import Facts
from opsbook.site.fences import plain
from opsbook.site.form import form
from opsbook.site.links import adapted
from opsbook.site.list_layout import laid_out
from opsbook.training import qualification

ROLES = {Role.READ: "read", Role.CHANGE: "change", Role.UNDO: "undo"}
"""Classes of headings. The style sheet adds the words for them, so that they are not in the table of contents."""

_HEADING = re.compile(r"#{1,6}(?:\s+|$)(.*?)(?:\s+#+|)\s*$")
_ATTRIBUTES = re.compile(r"\s*\{(?P<inner>:[^{}]*|\s*[#.][^{}]*)\}$")
_WORTH_SAYING = 1.0
"""Seconds of a step below which its time is not shown."""

_EXPECTED = re.compile(r" {0,3}(?:\*\*|__)?Expected(?:\*\*|__)?:")

_SHOWN_OF_A_DRILL = ("overview", "symptoms", "contacts")
"""Sections on the page of a drill, by their titles in lower case."""


@dataclass(frozen=True)
class Context:
    """The data of a page besides its document. `published` says whether a path of the project is on the site."""

    now: datetime
    environments: tuple[Environment, ...] = ()
    published: Callable[[str], bool] = lambda _: True


def runbook_page(runbook: Runbook, facts: Facts, context: Context) -> str:
    """The whole page as Markdown, with the site's front matter."""
    path = runbook.path.as_posix()
    return render(
        "site/runbook.md",
        runbook=runbook,
        facts=facts,
        now=context.now,
        body="\n".join(_Body(runbook, facts, context).lines()),
        root="../" * path.count("/"),
    )


class _Title(NamedTuple):
    """A heading on the site."""

    level: int
    text: str


class _Body:
    """Copies the author's lines. Line numbers are those of the source, from 1."""

    def __init__(self, runbook: Runbook, facts: Facts, context: Context) -> None:
        self._runbook, self._facts, self._context = runbook, facts, context
        page = document(runbook.source)
        lines = adapted(runbook.source, runbook.path.as_posix(), context.published).split("\n")
        self._lines = laid_out(page, lines)
        self._headings = {heading.line + 1: heading for heading in page.headings if not (heading.depth or heading.html)}
        self._fences = {fence.line + 1 for fence in page.fences}
        self._quiet = {line + 1 for line in page.code | page.comments}
        self._anchors: Counter[str] = Counter()
        # Inside of a list or a quote, a cell stays a part of it.
        nested = {fence.line + 1 for fence in page.fences if fence.depth}
        self._cells = {cell.line - 1: cell for cell in runbook.cells() if cell.line - 1 not in nested}
        self._sections = {section.line: section for section in runbook.sections}
        self._steps = {step.line: step for step in runbook.steps()}
        self._hidden = _hidden(runbook)
        self._expected = False
        self._card = False

    def lines(self) -> Iterator[str]:
        body = list(self._written())
        if not self._card:
            yield from (f"# {plain_text(self._runbook.title)}", "", *self._top())
        yield from body

    def _written(self) -> Iterator[str]:
        number = document(self._runbook.source).start
        while number < len(self._lines):
            number += 1
            line = self._lines[number - 1]
            if number in self._hidden:
                yield from self._end()
            elif number in self._cells:
                cell = self._cells[number]
                yield from (*self._end(), *self._code(number, cell))
                number += len(_body(cell)) + 1
            elif number in self._fences:
                yield from (*self._end(), plain(line))
            elif number in self._quiet:
                yield line
            elif number in self._headings:
                heading = self._headings[number]
                yield from (*self._end(), *self._heading(number, heading))
                number = heading.end
            else:
                if not line.strip():
                    yield from self._end()
                yield line
                self._expected = self._expected or bool(_EXPECTED.match(line))
        yield from self._end()

    def _end(self) -> Iterator[str]:
        """Mark an "Expected:" paragraph, right after its last line."""
        if self._expected:
            self._expected = False
            yield from ("{: .ob-expected }", "")

    def _heading(self, number: int, heading: Heading) -> Iterator[str]:
        """A heading of the page, with links adapted to the site."""
        written = [line.strip() for line in self._lines[heading.line : heading.end]]
        underlined = _HEADING.match(written[0]) is None
        title = " ".join(written[:-1]) if underlined else _HEADING.sub(r"\1", written[0])
        own = _Title(heading.level, title)
        if heading.level == 1 and not self._card:
            yield from (_headed(own, ()), "", *self._top())
        elif number in self._sections:
            yield from self._section(self._sections[number], own)
        elif number in self._steps:
            step = self._steps[number]
            yield _headed(own, (".ob-step", ".ob-manual") if step.manual else (".ob-step",), step.id)
            yield from self._measured(step)
        else:
            yield _headed(own, (), self._anchor(title))

    def _anchor(self, title: str) -> str:
        """The explicit id of a heading: links rely on it, and the project's generator might derive another one."""
        name = anchor(title)
        self._anchors[name] += 1
        return f"{name}_{self._anchors[name] - 1}" if self._anchors[name] > 1 else name

    def _top(self) -> Iterator[str]:
        self._card = True
        if not self._runbook.runs:
            return
        yield from (card(self._runbook, self._facts, self._context), "")
        if self._runbook.front.drill:
            yield from (render("site/drill.md", runbook=self._runbook), "")
        elif self._runbook.parameters_cell is None:
            yield from (form(self._runbook, self._context.environments), "")

    def _section(self, section: Section, heading: _Title) -> Iterator[str]:
        role = ROLES.get(section.role)
        yield _headed(heading, (".ob-section", f".ob-{role}") if role else (), slug(section.title))
        if section.line in {step.line for step in section.steps} and section.line in self._steps:
            yield from self._measured(self._steps[section.line])
        # Items of a list have no heading that could say what they are.
        items = [step for step in section.steps if step.line not in self._headings]
        if items and (role or any(step.cells for step in items)):
            yield from _measured(str(tally(items)))

    def _measured(self, step: Step) -> Iterator[str]:
        seconds = self._facts.steps.get(step.id)
        said = ["by hand"] if step.manual else []
        said += [f"usually {duration(seconds)}"] if seconds is not None and seconds >= _WORTH_SAYING else []
        said += [f"{number_of(len(step.examples), 'example')}, not run"] if step.cells and step.examples else []
        if said:
            yield from _measured(" · ".join(said))

    def _code(self, number: int, cell: Cell) -> Iterator[str]:
        if cell == self._runbook.parameters_cell:
            yield from (form(self._runbook, self._context.environments), "")
            summary = "The parameters cell"
        else:
            size = len([line for line in _body(cell) if line.strip()])
            summary = f"{cell.language} · {number_of(size, 'line')}"
        opening = self._lines[number - 1]
        mark = re.match(r"`{3,}|~{3,}", opening)
        fence = mark[0] if mark else "```"
        language = "bash" if cell.language in SHELLS else cell.language
        # Rewrite the fence without indentation: an indented one would end the HTML block.
        yield f'<details class="ob-code" markdown="1"><summary>{text(summary)}</summary>'
        yield from ("", f"{fence}{language}", *_body(cell), fence, "", "</details>")


def _headed(heading: _Title, classes: Iterable[str], identity: str = "") -> str:
    """A heading with these classes, and with this id unless the author set one."""
    title, own = heading.text, ""
    if found := _ATTRIBUTES.search(title):
        title, own = title[: found.start()], found["inner"].lstrip(":").strip()
    named = () if "#" in own or not identity else (f"#{identity}",)
    # Other braces at the end are text, such as the name of a parameter.
    title = re.sub(r"\{(?=[^{}`]*\}$)", "&#123;", title)
    attributes = " ".join(filter(None, (own, *named, *classes)))
    return f"{'#' * heading.level} {title}" + (f" {{: {attributes} }}" if attributes else "")


def _measured(said: str) -> tuple[str, str, str]:
    return "", f'<p class="ob-measured">{text(said)}</p>', ""


def _body(cell: Cell) -> list[str]:
    return cell.body.split("\n") if cell.body else []


def _hidden(runbook: Runbook) -> frozenset[int]:
    """Lines of the source, from 1, to leave out of a drill's page: fault and repair, which trainees must not read.

    They are left out, not folded: search, the table of contents and the page's source would reveal them.
    """
    if runbook.front.drill is None:
        return frozenset()
    sections = sorted(runbook.sections, key=lambda section: section.line)
    ends = [section.line for section in sections[1:]] + [runbook.source.count("\n") + 2]
    return frozenset(
        line
        for section, end in zip(sections, ends, strict=True)
        if section.title.strip().lower() not in _SHOWN_OF_A_DRILL
        for line in range(section.line, end)
    )


# -- the card


def card(runbook: Runbook, facts: Facts, context: Context) -> str:
    """The card as a block of HTML: owner, locks, rollback, duration, last runs, and whether a run proves the page."""
    drill = facts.drill
    return render(
        "site/card.html",
        runbook=runbook,
        facts=facts,
        now=context.now,
        # The first contact of each environment, without duplicates.
        contacts=dict.fromkeys(contact for each in context.environments for contact in each.policy.contacts[:1]),
        drilled=qualification.moment(drill.started) if drill else None,
        folds=not runbook.front.drill and any(runbook.cells()),
    )
