"""The only Markdown parser: what each line of a page is, by CommonMark and the extensions of the site.

Runs, lint, links, decision trees and the pages of the site use it. Lines count from 0.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from opsbook.core.model.front import split

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_HOLDER = re.compile(r'(?:!!!|\?\?\?\+?)[ \t]+\S|===[+!]?[ \t]+"|\[\^[^\]\s]+\]:|:[ \t]+\S')
"""Begins a block whose indented lines belong to it: an admonition, details, a tab, a footnote, a definition."""

_TAB, _NEW_TABS = "===", "===!"
"""How a tab begins, and a tab that begins a new set of them."""

_INSIDE = frozenset({"blockquote", "list_item", "holder"})
_BLOCKS = {
    "ordered_list_open": "list",
    "bullet_list_open": "list",
    "list_item_open": "item",
    "holder_open": "holder",
    "fence": "fence",
    "blockquote_open": "quote",
}
_REGION = re.compile(r"^<!--\s*#(region|markdown|md|raw)\b.*-->\s*$")
_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^>]*>(.*?)</h\1>[ \t]*(?:\n|$)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_DEEPEST = 100


@dataclass(frozen=True)
class Heading:
    """A heading; `title` as written, and `end` the line after it: an underlined heading has two or more lines.

    `depth`: the number of lists, quotes and admonitions around it. `html`: it is written as HTML, on one line.
    """

    line: int
    end: int
    level: int
    title: str
    depth: int
    html: bool = False


@dataclass(frozen=True)
class Fence:
    """A fence. `end` is its closing line; of an unclosed fence, the line after its last one.

    `info` is the text after the mark, `indent` the mark's in columns, `depth` as in Heading. `alternative`: it is in
    one of several tabs, of which a reader takes one.
    """

    line: int
    end: int
    mark: str
    info: str
    code: str
    indent: int
    depth: int
    closed: bool
    alternative: bool = False


@dataclass(frozen=True)
class Block:
    """A block: list, item, holder (an admonition, a tab), fence or quote.

    `end` is the line after it.
    """

    kind: str
    line: int
    end: int


@dataclass(frozen=True)
class Item:
    """An item of a list: its own text on one line, and the items below it. `end` is the line after the last one.

    `title` is the text of its first paragraph.
    """

    line: int
    end: int
    text: str
    items: tuple["Item", ...]
    title: str = ""


@dataclass(frozen=True)
class OrderedList:
    """A numbered list outside of other lists, quotes and admonitions; `start` is its first number."""

    start: int
    items: tuple[Item, ...]


class Document:
    """A page; its parts are computed on first use."""

    def __init__(self, text: str) -> None:
        self.lines: Sequence[str] = text.split("\n")
        self.start = split(text)[1]
        """The first line after the front matter."""
        # A carriage return alone ends no line here, but would end one for the parser.
        body = "\n".join(self.lines[self.start :]).removeprefix("\ufeff").replace("\r", " ")
        self._tokens = _parser().parse(body)
        self._depths = list(_depths(self._tokens))

    @cached_property
    def headings(self) -> tuple[Heading, ...]:
        return tuple(self._headings())

    @cached_property
    def fences(self) -> tuple[Fence, ...]:
        return tuple(self._fences())

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Lists, items, holders, fences and quotes, in the order in which they begin; none inside of a quote."""
        found = []
        quotes = 0
        for token in self._tokens:
            if not quotes and (kind := _BLOCKS.get(token.type)):
                span = self._span(token)
                found.append(Block(kind, span.start, span.stop))
            quotes += token.nesting if token.type.startswith("blockquote") else 0
        return tuple(found)

    @cached_property
    def comments(self) -> frozenset[int]:
        """Lines of comments that start at the beginning of a line."""
        blocks = (token for token in self._tokens if token.type == "html_block" and token.map)
        found = (self._span(token) for token in blocks if token.content.lstrip().startswith("<!--"))
        return frozenset(line for span in found for line in span)

    @cached_property
    def code(self) -> frozenset[int]:
        """Lines of fences, with their opening and closing lines, and of indented code."""
        inside = {line for fence in self.fences for line in range(fence.line, min(fence.end + 1, len(self.lines)))}
        indented = (self._span(token) for token in self._tokens if token.type == "code_block" and token.map)
        return frozenset(inside.union(*indented))

    @cached_property
    def regions(self) -> frozenset[int]:
        """Lines that Jupytext keeps together as one Markdown or raw cell, whatever their content."""
        found: set[int] = set()
        ends = ""
        for line in range(self.start, len(self.lines)):
            opens = _REGION.match(self.lines[line]) if not ends else None
            ends = f"#end{opens[1]}" if opens else ends
            if ends:
                found.add(line)
                ends = "" if re.match(rf"<!--\s*{ends}\s*-->\s*$", self.lines[line]) else ends
        return frozenset(found)

    @cached_property
    def first_list(self) -> tuple[Item, ...]:
        """The items of the first top-level list."""
        first = next(self._lists("ordered_list_open", "bullet_list_open"), None)
        return () if first is None else tuple(self._items(first + 1)[0])

    @cached_property
    def ordered_lists(self) -> tuple[OrderedList, ...]:
        found = ((at, self._tokens[at].attrs.get("start", 1)) for at in self._lists("ordered_list_open"))
        return tuple(OrderedList(int(number), tuple(self._items(at + 1)[0])) for at, number in found)

    def _lists(self, *kinds: str) -> Iterator[int]:
        """Where the top-level lists of these kinds begin among the tokens."""
        return (at for at, token in enumerate(self._tokens) if token.type in kinds and not self._depths[at])

    def _span(self, token: "Token") -> range:
        first, end = token.map or (0, 0)
        return range(self.start + first, self.start + end)

    def _headings(self) -> Iterator[Heading]:
        for at, token in enumerate(self._tokens):
            if token.type == "heading_open":
                title = self._tokens[at + 1].content.strip()
                span = self._span(token)
                yield Heading(span.start, span.stop, int(token.tag[1]), title, self._depths[at])
            elif token.type == "html_block" and (written := _HTML_HEADING.match(token.content)):
                start = self._span(token).start
                title = " ".join(_TAG.sub("", written[2]).split())
                yield Heading(start, start + 1, int(written[1]), title, self._depths[at], html=True)

    def _fences(self) -> Iterator[Fence]:
        alternatives = list(_alternatives(self._tokens))
        for token, depth, alternative in zip(self._tokens, self._depths, alternatives, strict=True):
            if token.type != "fence":
                continue
            span = self._span(token)
            closed = len(span) - 2 == token.content.count("\n")
            line = self.lines[span.start].lstrip("\ufeff")
            indent = len(line) - len(line.lstrip())
            end = span.stop - 1 if closed else span.stop
            # The source lines unchanged, unless the parser must strip an indent or a quote's mark.
            code = (
                token.content if depth or indent else "".join(f"{each}\n" for each in self.lines[span.start + 1 : end])
            )
            yield Fence(span.start, end, token.markup, token.info.strip(), code, indent, depth, closed, alternative)

    def _items(self, at: int) -> tuple[list[Item], int]:
        """The items of the list whose first token is at `at`, and the index of the token that ends it."""
        found: list[Item] = []
        while self._tokens[at].type == "list_item_open":
            span = self._span(self._tokens[at])
            text: list[str] = []
            below: list[Item] = []
            at += 1
            title = self._tokens[at + 1].content if self._tokens[at].type in ("paragraph_open", "heading_open") else ""
            while self._tokens[at].type != "list_item_close":
                if self._tokens[at].type.endswith("_list_open"):
                    inner, at = self._items(at + 1)
                    below += inner
                elif self._tokens[at].type == "inline":
                    text += self._tokens[at].content.split("\n")
                at += 1
            own = " ".join(line.strip() for line in text)
            found.append(Item(span.start, span.stop, own, tuple(below), " ".join(title.split())))
            at += 1
        return found, at


@lru_cache(maxsize=16)
def document(text: str) -> Document:
    """The parsed page. Cached by text, so that several callers parse it once."""
    return Document(text)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).disable("inline")
    ends: Any = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "holder", _holder_block, ends)
    return parser


def _holder_block(state: "StateBlock", first: int, end: int, silent: bool) -> bool:
    """A block rule of markdown-it: parses the lines indented by four below a holder (`_HOLDER`) as nested blocks."""
    start = state.bMarks[first] + state.tShift[first]
    if state.is_code_block(first) or not _HOLDER.match(state.src, start, state.eMarks[first]):
        return False
    if silent:
        return True
    inner = state.sCount[first] + 4
    last = first + 1
    while last < end and (state.isEmpty(last) or state.sCount[last] >= inner):
        last += 1
    while last > first + 1 and state.isEmpty(last - 1):
        last -= 1
    before = state.blkIndent, state.lineMax, state.parentType
    opened = state.push("holder_open", "div", 1)
    opened.map, opened.info = [first, last], state.src[start : state.eMarks[first]]
    state.blkIndent, state.lineMax, state.parentType = inner, last, "holder"
    state.md.block.tokenize(state, first + 1, last)
    state.blkIndent, state.lineMax, state.parentType = before
    state.push("holder_close", "div", -1).info = opened.info
    state.line = last
    return True


def _depths(tokens: Sequence["Token"]) -> Iterator[int]:
    depth = 0
    for token in tokens:
        inside = token.type.removesuffix("_open").removesuffix("_close") in _INSIDE
        depth -= inside and token.nesting < 0
        yield depth
        depth += inside and token.nesting > 0


def _alternatives(tokens: Sequence["Token"]) -> Iterator[bool]:
    """For each token, whether it is inside a tab that has another one beside it."""
    inside = 0
    opened: list[bool] = []
    for at, token in enumerate(tokens):
        if token.type == "holder_open":
            opened.append(_has_neighbour(tokens, at))
            inside += opened[-1]
        elif token.type == "holder_close":
            inside -= opened.pop()
        yield inside > 0


def _has_neighbour(tokens: Sequence["Token"], at: int) -> bool:
    """Whether the block that opens at `at` is a tab directly before or after another tab of its set."""
    if not tokens[at].info.startswith(_TAB):
        return False
    level = tokens[at].level
    end = next(i for i in range(at, len(tokens)) if tokens[i].type == "holder_close" and tokens[i].level == level)
    joined = at > 0 and tokens[at - 1].info.startswith(_TAB) and not tokens[at].info.startswith(_NEW_TABS)
    below = tokens[end + 1].info if end + 1 < len(tokens) else ""
    return joined or (below.startswith(_TAB) and not below.startswith(_NEW_TABS))
