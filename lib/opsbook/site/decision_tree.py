"""The page of a decision tree: question by question, as a list that needs no scripts, and as a picture."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opsbook.diagnose.trees import Node, Tree
from opsbook.html import plain_text, render

_SIZES = {"wide": 124, "gap_x": 30, "gap_y": 26, "line": 16, "pad": 8, "letters": 17}
"""Sizes of the picture, in units of its viewBox, and letters of a line: six levels of questions fit the page."""
_FRAME = 910
"""The width that a page shows without scrolling."""
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def tree_page(tree: Tree) -> str:
    """The page as Markdown."""
    return render(
        "site/tree.md",
        tree=tree,
        listed=_listed(tree.root, "", 0),
        wide=_wide(_all(_box(tree.root, "", 0))) > _FRAME,
        picture=picture(tree),
    )


def _listed(node: Node, label: str, depth: int) -> Iterator[str]:
    said = _safe(node.text)
    said = f"**{plain_text(label)}** {said}" if label else said
    check = f" (`{node.check.written}`)" if node.check else ""
    yield f"{'    ' * depth}- {said}{check}"
    for answer, following in node.answers:
        yield from _listed(following, answer, depth + 1)


def _safe(written: str) -> str:
    """One line of Markdown with HTML and attribute lists escaped; links, emphasis and code stay."""
    parts = re.split(r"((?<!`)(`+)(?!`).*?(?<!`)\2(?!`))", written)
    # The split returns the ticks of each code span as an extra part: skip it.
    return "".join(
        part if n % 3 == 1 else part.replace("<", "&#60;").replace("{", "&#123;")
        for n, part in enumerate(parts)
        if n % 3 != 2
    )


# -- the picture


@dataclass
class _Box:
    node: Node
    label: str
    depth: int
    lines: list[str]
    top: float = 0.0
    children: "tuple[_Box, ...]" = ()

    @property
    def high(self) -> float:
        return len(self.lines) * _SIZES["line"] + 2 * _SIZES["pad"]

    @property
    def left(self) -> float:
        return self.depth * (_SIZES["wide"] + _SIZES["gap_x"])

    @property
    def middle(self) -> float:
        return self.top + self.high / 2

    @property
    def link(self) -> str:
        found = _LINK.search(self.node.text)
        return found[1] if found else ""


def _wide(boxes: Iterable[_Box]) -> float:
    return max(box.left for box in boxes) + _SIZES["wide"]


def picture(tree: Tree) -> str:
    """The tree as an SVG from left to right."""
    root = _box(tree.root, "", 0)
    height = _place(root, float(_SIZES["line"]))
    boxes = list(_all(root))
    return render("site/picture.html", title=tree.title, boxes=boxes, width=_wide(boxes), height=height, sizes=_SIZES)


def _box(node: Node, label: str, depth: int) -> _Box:
    lines = textwrap.wrap(node.plain, _SIZES["letters"]) or [""]
    children = tuple(_box(following, answer, depth + 1) for answer, following in node.answers)
    return _Box(node, label, depth, lines, children=children)


def _place(box: _Box, top: float) -> float:
    """Place a box at the middle height of its children; returns the top of the free space below."""
    below = top
    for child in box.children:
        below = _place(child, below)
    own = top + box.high + _SIZES["gap_y"]
    if box.children:
        first, last = box.children[0].middle, box.children[-1].middle
        box.top = max(top, (first + last - box.high) / 2)
    else:
        box.top = top
    return max(below, own, box.top + box.high + _SIZES["gap_y"])


def _all(box: _Box) -> Iterator[_Box]:
    yield box
    for child in box.children:
        yield from _all(child)
