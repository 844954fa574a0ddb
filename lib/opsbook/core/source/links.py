"""Links and anchors of a Markdown page, found in its text without rendering it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from opsbook.core.source.markdown import document

_COMMENT = re.compile(r"<!--(?:(?!\n[ \t]*\n).)*?-->", re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\s*(?:\n|[-*+#>|]|[0-9]+\.)).)*?(?<!`)\1(?!`)", re.DOTALL)
_INLINE = re.compile(
    r"\]\(\s*(?P<target><[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_REFERENCE = re.compile(r"^[ \t]*\[(?!\^)(?P<label>[^\]\n]+)\]:[ \t]*(?P<target><[^<>\n]*>|\S+)[^\n]*", re.MULTILINE)
_HTML = re.compile(r"<(?:a|img|source|video|audio|iframe)\b[^<>]*?\s(?:href|src)\s*=\s*([\"'])(?P<target>[^\"'<>]*)\1")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)\s*$")
_NAMED = re.compile(r"""\{[^{}]*#([^\s{}]+)[^{}]*\}|\b(?:id|name)\s*=\s*["']?([^\s"'<>]+)""")
_LINK_TEXT = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")


@dataclass(frozen=True)
class Link:
    """A link or image with a target in this project. `start` and `end` are the target's offsets in the text.

    `kind`: inline, reference (a reference's definition) or html. The whole link is from `opening` to `closing`; `text`
    is the shown text of an inline link, or the label of a reference.
    """

    kind: str
    line: int
    column: int
    target: str
    start: int
    end: int
    opening: int
    closing: int
    text: str = ""

    @property
    def path(self) -> str:
        """The file it leads to; empty for a place on the same page."""
        return unquote(self.target.partition("#")[0].partition("?")[0])

    @property
    def anchor(self) -> str:
        return unquote(self.target.partition("#")[2])


def prose(source: str) -> str:
    """The page with front matter, fences, indented code and comments as spaces, so that offsets stay the same."""
    page = document(source)
    quiet = page.code.union(page.comments, range(page.start))
    shown = (" " * len(line) if number in quiet else line for number, line in enumerate(page.lines))
    return _COMMENT.sub(_spaces, "\n".join(shown))


def links(text: str) -> Iterator[Link]:
    """Every link of a page with a target in its project. `text` is its prose."""
    shown = _CODE.sub(_spaces, text)
    for match in _INLINE.finditer(shown):
        opening = _opening(shown, match.start())
        yield from _link("inline", match, text, opening, text[opening + 1 : match.start()] if opening >= 0 else "")
    for match in _REFERENCE.finditer(shown):
        yield from _link("reference", match, text, match.start(), match["label"])
    for match in _HTML.finditer(shown):
        yield from _link("html", match, text, match.start())


def _link(kind: str, match: re.Match[str], text: str, opening: int, said: str = "") -> Iterator[Link]:
    start, end = match.span("target")
    if match["target"].startswith("<"):
        start, end = start + 1, end - 1
    target = text[start:end]
    # {{ … }} and {% … %} are templates that the site generator fills in.
    if target and not _SCHEME.match(target) and not target.startswith("{") and "{{" not in target:
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        column -= match["target"].startswith("<")
        yield Link(kind, line, column, target, start, end, opening, match.end(), said)


def _opening(text: str, closing: int) -> int:
    """The offset of the bracket that `closing` closes; -1 if there is none in the paragraph."""
    depth, first = 0, max(text.rfind("\n\n", 0, closing), 0)
    for index in range(closing, first - 1, -1):
        depth += {"]": 1, "[": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return -1


def _spaces(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


# -- anchors


def anchors(text: str) -> dict[str, str]:
    """Every anchor from MkDocs, GitHub or the page itself, mapped to the anchor on the site.

    `text` is its prose.
    """
    found: dict[str, str] = {}
    aliases: dict[str, str] = {}
    count: Counter[str] = Counter()
    lines = text.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        named = [match[1] or match[2] for match in _NAMED.finditer(line)]
        found |= {name: name for name in named}
        heading = _HEADING.match(line)
        title = heading[1] if heading else line if line.strip() and _UNDERLINE.match(below) else ""
        slugs = list(_slugs(title)) if title else []
        for slug in slugs:
            number = count[slugs[0]]
            own = named[0] if named else f"{slugs[0]}_{number}" if number else slugs[0]
            for name in {slug, f"{slug}-{count[slug]}", f"{slug}_{count[slug]}"} if count[slug] else {slug}:
                aliases.setdefault(name, own)
        count.update(slugs)
    return {**aliases, **found}


def _slugs(title: str) -> Iterator[str]:
    """The heading's anchor on MkDocs, with the usual setting for other alphabets, and on GitHub."""
    text = _LINK_TEXT.sub(r"\1", re.sub(r"\{[^{}]*\}\s*$", "", title))
    kept = re.sub(r"[^\w\s-]", "", text).strip().lower()
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    ascii_only = re.sub(r"[^\w\s-]", "", plain).strip().lower()
    each = (re.sub(r"[\s-]+", "-", ascii_only), re.sub(r"[\s-]+", "-", kept), re.sub(r"\s", "-", kept))
    yield from dict.fromkeys(filter(None, each))


def anchor(title: str) -> str:
    """The anchor that MkDocs gives a heading, the first time."""
    return next(_slugs(title), "")
