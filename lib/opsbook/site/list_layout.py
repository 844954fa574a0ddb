"""Lists as CommonMark reads them, written so that Python-Markdown reads the same.

Python-Markdown wants what belongs to an item indented by four, and empty lines around lists and fences.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from opsbook.core.source.markdown import Block, Document

_MARKER = re.compile(r"( *)([-*+]|\d{1,9}[.)])( +|$)")
_APART = frozenset({"fence", "quote"})
"""Blocks that need an empty line before and after them."""

_STEP = 4
"""Columns by which Python-Markdown wants the content of an item indented."""


@dataclass(frozen=True)
class _Level:
    """An item or another block that indents its lines: its lines, and the columns of its content before and after."""

    line: int
    end: int
    before: int
    after: int


def laid_out(page: Document, lines: Sequence[str]) -> list[str]:
    """The lines of a page with its lists laid out anew. A line may then hold line feeds: their number stays.

    `lines` are the page's, of which only the text may have changed, as after links were adapted.
    """
    begins: defaultdict[int, list[Block]] = defaultdict(list)
    ends: set[int] = set()
    for block in page.blocks:
        begins[block.line].append(block)
        ends |= {block.end} if block.kind in _APART else set()
    made = list(lines)
    levels: list[_Level] = [_Level(0, len(lines) + 1, 0, 0)]
    # Python-Markdown takes an item for a part of what is above it, if that has parts of its own.
    loose = False
    for at in range(page.start, len(made)):
        while at >= levels[-1].end:
            levels.pop()
        kinds = {block.kind: block for block in reversed(begins[at])}
        if len(levels) == 1 and not kinds.keys() & {"item", "holder"}:
            loose = False
            continue
        apart = _apart(at, levels, kinds) or at in ends or (loose and "item" in kinds)
        loose = loose or (apart and len(levels) > 1) or bool(_APART & kinds.keys())
        empty = "\n" if apart and at and lines[at - 1].strip() and lines[at].strip() else ""
        made[at] = empty + _line(lines[at], at, levels, kinds)
    return made


def _apart(at: int, levels: Sequence[_Level], kinds: dict[str, Block]) -> bool:
    """Whether an empty line has to come before this one: a list begins that does not follow its item, or a block."""
    if "list" in kinds:
        return levels[-1].line != at - 1 or len(levels) == 1
    return bool(_APART & kinds.keys()) and len(levels) > 1


def _line(line: str, at: int, levels: list[_Level], kinds: dict[str, Block]) -> str:
    """The line with its new indent; adds to `levels` the block that begins there."""
    inner = levels[-1]
    text = line.lstrip(" \t")
    indent = len(line[: len(line) - len(text)].expandtabs(_STEP))
    own = max(0, indent - inner.before)
    marker = _MARKER.match(" " * own + text) if "item" in kinds else None
    if marker is None:
        if "holder" in kinds:
            levels.append(_Level(at, kinds["holder"].end, inner.before + own + _STEP, inner.after + own + _STEP))
        return " " * (inner.after + own) + text if text else ""
    space = len(marker[3]) if len(marker[3]) <= _STEP else 1
    levels.append(
        _Level(at, kinds["item"].end, inner.before + own + len(marker[2]) + max(space, 1), inner.after + _STEP)
    )
    content = text[len(marker[2]) + space :]
    begin = f"{' ' * inner.after}{marker[2].replace(')', '.')} "
    if "fence" in kinds:
        return f"{begin}&nbsp;\n\n{' ' * (inner.after + _STEP)}{content}"
    return begin + content
