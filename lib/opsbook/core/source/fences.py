"""Where the fences of a page are, as a reader of Markdown sees them."""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"^(`{3,}(?=[^`]*$)|~{3,})\s*([\w+#-]*)(.*)$")


def fences(lines: list[str], at: int) -> list[tuple[int, int]]:
    """Opening and closing line indices of every fence at column 0 from `at` on; len(lines) where none closes it."""
    found = []
    while at < len(lines):
        match = _FENCE.match(lines[at])
        if match is None:
            at += 1
            continue
        closing = _closing(lines, at, match[1])
        found.append((at, closing))
        at = closing + 1
    return found


def fenced(lines: list[str], at: int) -> dict[int, list[str]]:
    """What stands in each fence from line `at` on, line by line, by the index of the line that opens it.

    Here the whole of CommonMark decides: lists, quotes, HTML, and fences that are indented.
    """
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").disable("inline").parse("\n".join(lines[at:]).removeprefix("\ufeff"))
    found = ((token.map[0], token.content) for token in tokens if token.type == "fence" and token.map)
    return {at + line: [text.strip() for text in content.strip("\n").split("\n")] for line, content in found}


def language(line: str) -> str:
    """The language that a fence's line names."""
    match = _FENCE.match(line)
    return match[2] if match else ""


def _closing(lines: list[str], opening: int, ticks: str) -> int:
    for index in range(opening + 1, len(lines)):
        line = lines[index].rstrip()
        if len(line) >= len(ticks) and line == ticks[0] * len(line):
            return index
    return len(lines)


def without_comments(lines: list[str], at: int) -> list[str]:
    """The lines, empty where an HTML comment of several lines hides them. In a fence, a comment is text."""
    shown = list(lines)
    while at < len(shown):
        fence = _FENCE.match(shown[at])
        if fence:
            at = _closing(shown, at, fence[1]) + 1
            continue
        before, start, after = shown[at].rpartition("<!--")
        if start and "-->" not in after:
            end = next((i for i in range(at + 1, len(shown)) if "-->" in shown[i]), len(shown))
            if end < len(shown) or not before.strip():
                shown[at : end + 1] = [before, *[""] * (min(end, len(shown) - 1) - at)]
                at = end
        at += 1
    return shown


def hides(body: list[str], lines: list[str], visible: list[tuple[int, int]]) -> bool:
    """Whether these lines (stripped) stand somewhere outside of the fences that a reader sees."""
    inside = {index for opening, closing in visible for index in range(opening, closing)}
    stripped = [line.strip() for line in lines]
    return any(stripped[i : i + len(body)] == body for i in _starts(stripped, body) if i not in inside)


def _starts(lines: list[str], body: list[str]) -> Iterator[int]:
    return (index for index, line in enumerate(lines) if line == body[0])
