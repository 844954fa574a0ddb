"""The page of a decision tree: question by question, as a list that needs no scripts, and as a picture."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opsbook.core.model.text import one_line
from opsbook.diagnose.tree import Node, Tree
from opsbook.html import plain_text, scalar, tag, text, unsearched

_WIDE, _GAP_X, _GAP_Y, _LINE, _PAD = 124, 30, 26, 16, 8
"""Sizes of the picture, in units of its viewBox: six levels of questions fit the page."""
_LETTERS = 17
_FRAME = 910
"""The width that a page shows without scrolling."""
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def tree_page(tree: Tree) -> str:
    """The page as Markdown."""
    head = ["---", f"title: {scalar(tree.title)}", "hide:", "  - navigation", "---", ""]
    command = f"opsbook diagnose {tree.name} -e ENVIRONMENT"
    body = [
        f"# {plain_text(tree.title)}",
        tree.intro,
        # For search: the list of symptoms on the home page is not in the index.
        tag("p", f"You see: {text(', '.join(tree.symptoms))}.") if tree.symptoms else "",
        f"In a terminal, `{command}` runs the checks itself, and asks the rest.",
        '<div class="ob-walk" aria-live="polite"></div>',
        "## All of it",
        '<div class="ob-tree" markdown="1">',
        "\n".join(_listed(tree.root, "", 0)),
        "</div>",
        "## As a picture",
        _hint(tree),
        tag("div", picture(tree), class_="ob-picture", tabindex="0", **unsearched()),
        tree.outro,
    ]
    return "\n".join(head) + "\n\n".join(part for part in body if part) + "\n"


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
        return len(self.lines) * _LINE + 2 * _PAD

    @property
    def left(self) -> float:
        return self.depth * (_WIDE + _GAP_X)

    @property
    def middle(self) -> float:
        return self.top + self.high / 2


def _hint(tree: Tree) -> str:
    wide = _wide(_all(_box(tree.root, "", 0))) > _FRAME
    return tag("p", "It is wider than the page: scroll it to the right.", class_="ob-measured") if wide else ""


def _wide(boxes: Iterable[_Box]) -> float:
    return max(box.left for box in boxes) + _WIDE


def picture(tree: Tree) -> str:
    """The tree as an SVG from left to right; the page's style sheet colours it."""
    root = _box(tree.root, "", 0)
    high = _place(root, float(_LINE))
    boxes = list(_all(root))
    wide = _wide(boxes)
    drawn = "".join(f"{_edges(box)}{_drawn(box)}" for box in boxes)
    title = tag("title", text(tree.title))
    size = f"0 0 {wide + 2:.0f} {high + 2:.0f}"
    return tag(
        "svg",
        title + drawn,
        viewBox=size,
        role="group",
        aria_label=tree.title,
        width=f"{wide:.0f}",
        xmlns="http://www.w3.org/2000/svg",
    )


def _box(node: Node, label: str, depth: int) -> _Box:
    lines = textwrap.wrap(node.plain, _LETTERS) or [""]
    children = tuple(_box(following, answer, depth + 1) for answer, following in node.answers)
    return _Box(node, label, depth, lines, children=children)


def _place(box: _Box, top: float) -> float:
    """Place a box at the middle height of its children; returns the top of the free space below."""
    below = top
    for child in box.children:
        below = _place(child, below)
    own = top + box.high + _GAP_Y
    if box.children:
        first, last = box.children[0].middle, box.children[-1].middle
        box.top = max(top, (first + last - box.high) / 2)
    else:
        box.top = top
    return max(below, own, box.top + box.high + _GAP_Y)


def _all(box: _Box) -> Iterator[_Box]:
    yield box
    for child in box.children:
        yield from _all(child)


def _drawn(box: _Box) -> str:
    kind = "question" if box.children else "end"
    frame = tag("rect", x=f"{box.left + 1:.0f}", y=f"{box.top + 1:.0f}", width=_WIDE, height=f"{box.high:.0f}", rx=6)
    lines = "".join(
        tag("text", text(line), x=f"{box.left + 1 + _PAD:.0f}", y=f"{box.top + _PAD + _LINE * (n + 0.8):.0f}")
        for n, line in enumerate(box.lines)
    )
    link = _LINK.search(box.node.text)
    # The page's other links are adapted to the site together with this one.
    shown = tag("a", frame + lines, href=link[1]) if link else frame + lines
    return tag("g", shown, class_=f"ob-{kind}")


def _edges(box: _Box) -> str:
    found = []
    start = box.left + _WIDE + 1
    for child in box.children:
        bend, x, y = start + _GAP_X / 2, child.left, child.middle
        path = f"M{start:.0f} {box.middle:.0f} C{bend:.0f} {box.middle:.0f} {bend:.0f} {y:.0f} {x:.0f} {y:.0f}"
        # Above the box, where no line crosses it.
        said = text(one_line(child.label, _LETTERS))
        label = tag("text", said, x=f"{x + _WIDE:.0f}", y=f"{child.top - 4:.0f}", class_="ob-answer")
        found.append(tag("path", d=path) + label)
    return "".join(found)
