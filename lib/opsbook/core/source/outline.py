"""The outline of a page: its sections and steps, each with its text, its cells and its examples.

A step is an H3, an H2 without H3s, or an item of a numbered list whose items have commands. What follows such a list
belongs to its last item.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from opsbook.core.model.runbook import SHELLS, Cell, Example
from opsbook.core.model.text import one_line
from opsbook.core.source.fences import TABS, Fences
from opsbook.core.source.markdown import Document, Heading, Item, OrderedList

_MARKER = re.compile(r"^\s*\d{1,9}[.)](\s+|$)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_STRONG = re.compile(r"(\*\*|__|\*|(?<!\w)_)(?=\S)(.+?)(?<=\S)\1")
_TITLE = 80
"""Characters of a step's title that is the text of a list item."""


@dataclass
class Draft:
    """A section or a step. `line` counts from 1. `by_hand`: it has alternatives, of which a person takes one."""

    title: str
    line: int
    prose: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    steps: list["Draft"] = field(default_factory=list)
    by_hand: bool = False

    @property
    def acts(self) -> bool:
        """Whether there is something to do besides reading it."""
        return bool(self.cells) or self.by_hand


def outline(page: Document, found: Fences, *, bare: bool) -> tuple[str, list[Draft]]:
    """The H1's text and a draft for each H2. In a bare page, the text before the first H2 is a section too."""
    made = _Outline(page, found, bare=bare)
    made.read()
    return made.title, made.sections


class _Outline:
    """Collects the lines of a page into drafts."""

    def __init__(self, page: Document, found: Fences, *, bare: bool) -> None:
        self._page, self._bare = page, bare
        self._cells = {line: cell for line, cell in found.cells.items() if cell.language in ("python", *SHELLS)}
        self._examples = found.examples
        self._headings = {heading.line: heading for heading in page.headings if not heading.depth}
        self._fences = {fence.line: fence for fence in page.fences}
        self._items = dict(_procedures(page.ordered_lists, sorted(self._headings), sorted(self._cells)))
        self.title = ""
        self._current = self._beginning = Draft("Steps", 1)
        self.sections = [self._beginning] if bare else []

    def read(self) -> None:
        at = self._page.start
        while at < len(self._page.lines):
            at = self._line(at)
        beginning = self._beginning
        used = beginning.acts or beginning.steps or beginning.examples
        if self._bare and len(self.sections) > 1 and not used:
            self.sections.remove(beginning)

    def _line(self, at: int) -> int:
        """Take one line, or the whole fence or heading that begins there; the line after it."""
        if at in self._items and self.sections:
            self._item(self._items[at], at)
        fence, heading = self._fences.get(at), self._headings.get(at)
        if heading:
            self._heading(heading)
            return heading.end
        if at in self._cells:
            self._part(by_hand=False).cells.append(self._cells[at])
        elif at in self._examples:
            example = self._examples[at]
            (self._part(by_hand=True) if example.why == TABS else self._current).examples.append(example)
            self._text(at, fence.end + 1 if fence else at + 1)
        elif at not in self._page.comments:
            self._text(at, fence.end + 1 if fence else at + 1)
        return fence.end + 1 if fence else at + 1

    def _text(self, start: int, end: int) -> None:
        first, *rest = self._page.lines[start:end] or [""]
        self._current.prose += [_MARKER.sub("", first) if start in self._items else first, *rest]

    def _heading(self, heading: Heading) -> None:
        level = heading.level
        if level == 1 and not (self._bare and self.title):
            self.title = self.title or heading.title
        elif level <= 2:
            self._current = Draft(heading.title, heading.line + 1)
            self.sections.append(self._current)
        elif level == 3 and self.sections:
            self._step(Draft(heading.title, heading.line + 1))
        else:
            self._text(heading.line, heading.end)

    def _step(self, draft: Draft) -> None:
        self._current = draft
        self.sections[-1].steps.append(draft)

    def _item(self, item: Item, line: int) -> None:
        """Begin the step of a list item. A text before the list goes to its first step."""
        before, steps = self._current, self.sections[-1].steps
        title = _item_title(item) or f"{before.title}, line {line + 1}"
        made = Draft(title, line + 1)
        if not before.acts and before.line - 1 not in self._items:
            made.prose = [*before.prose, ""] if any(map(str.strip, before.prose)) else []
            made.examples, before.examples = before.examples, []
            if before in steps:
                steps.remove(before)
        self._step(made)

    def _part(self, *, by_hand: bool) -> Draft:
        """The current draft, or a further one of the same title: what a person does is no part of what runs."""
        current = self._current
        if current.acts and current.by_hand != by_hand and self.sections:
            self._step(Draft(current.title, current.line))
        self._current.by_hand = by_hand
        return self._current


def _item_title(item: Item) -> str:
    plain = _STRONG.sub(r"\2", _LINK.sub(r"\1", item.title))
    sentence = re.split(r"(?<=\w)\.\s", plain, maxsplit=1)[0]
    return one_line(sentence, _TITLE).rstrip(" .:")


def _procedures(
    lists: Sequence[OrderedList], headings: Sequence[int], cells: Sequence[int]
) -> Iterator[tuple[int, Item]]:
    """The items of lists that are a procedure: between the same headings, one item has a cell, or a list goes on."""
    blocks: dict[int, list[OrderedList]] = {}
    for each in lists:
        blocks.setdefault(bisect(headings, each.items[0].line), []).append(each)
    for block in blocks.values():
        items = [item for each in block for item in each.items]
        if any(_between(cells, item.line, item.end) for item in items) or _continued(block, cells):
            yield from ((item.line, item) for item in items)


def _continued(block: Sequence[OrderedList], cells: Sequence[int]) -> bool:
    """Whether the numbers of a list go on in the next one, with a cell between the two."""
    return any(
        after.start == before.start + len(before.items) and _between(cells, before.items[-1].end, after.items[0].line)
        for before, after in pairwise(block)
    )


def _between(cells: Sequence[int], start: int, end: int) -> bool:
    return any(start <= line < end for line in cells)
