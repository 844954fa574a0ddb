"""L001 to L003: links and images that lead nowhere."""

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from opsbook.model.front import split
from opsbook.model.runbook import Runbook
from opsbook.model.text import nearest
from opsbook.source.problem import Problem
from opsbook.source.rules.base import Found, Known, Rule, at

_STEPS = "## Steps\n\n### Restart it\nRestart it as {link} says.\n"
_PAGE = (
    "---\ntitle: {title}\nkind: maintenance\nowner: platform\nreviewed: 2026-11-20\n---\n\n# {title}\n\n"
    "## Steps\n\n### Act\n{text}\n"
)
_OTHER = _PAGE.format(title="Restart the cache", text="Restart it.")

RULES = (
    Rule(
        code="L001",
        name="dead-link",
        text="A relative link or an image leads to a file that is not there.",
        why="Whoever follows it in an incident loses minutes. Links to other machines are not looked at.",
        bad=_STEPS.format(link="[the manual](../docs/manual.md)"),
        good=_STEPS.format(link="[the manual](https://docs.example.org/manual)"),
        soft=True,
    ),
    Rule(
        code="L002",
        name="no-such-runbook",
        text="A link leads to a runbook or a procedure that is not there.",
        why="A page that sends its reader on has to know where to.",
        bad={
            "runbooks/cache-full.md": _PAGE.format(title="Full", text="See [the restart](restart.md)."),
            "runbooks/restart-cache.md": _OTHER,
        },
        good={
            "runbooks/cache-full.md": _PAGE.format(title="Full", text="See [the restart](restart-cache.md)."),
            "runbooks/restart-cache.md": _OTHER,
        },
        soft=True,
    ),
    Rule(
        code="L003",
        name="no-such-anchor",
        text="A link leads to a heading of the same page that is not there.",
        why="The browser stays where it is, and says nothing.",
        bad=_STEPS.format(link="[the contact](#contact)") + "\n## Contacts\n#platform\n",
        good=_STEPS.format(link="[the contact](#contacts)") + "\n## Contacts\n#platform\n",
        soft=True,
    ),
)

_FENCE = re.compile(r"^\s*(?:>\s*)*(`{3,}(?=[^`]*$)|~{3,})")
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_INLINE = re.compile(
    r"\]\(\s*(?P<target><[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_REFERENCE = re.compile(r"^ {0,3}\[(?!\^)[^\]]+\]:\s*(?P<target><[^<>\n]*>|\S+)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)\s*$")
_NAMED = re.compile(r"""\{[^{}]*#([\w:.-]+)[^{}]*\}|\b(?:id|name)\s*=\s*["']?([\w:.-]+)""")
_LINK_TEXT = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")


def _links(runbook: Runbook, known: Known) -> Found:
    """L001, L002, L003: a link to a file, a document or a heading that is not there."""
    if known.exists is None:
        return
    lines = _prose(runbook.source)
    anchors = _anchors(lines)
    for line, column, target in _targets(lines):
        path, _, anchor = target.partition("#")
        path = path.partition("?")[0]
        if path:
            leads = posixpath.normpath(posixpath.join(runbook.path.parent.as_posix(), unquote(path)))
            if not known.exists(leads):
                yield _dead(runbook, known, line, column, leads)
        elif anchor and not anchor.startswith(("fn", "_")) and unquote(anchor) not in anchors:
            text = f"no heading of this page has the anchor #{anchor}. {nearest(anchor, anchors)}"
            yield at(runbook, line, "L003", text, column=column)


def _dead(runbook: Runbook, known: Known, line: int, column: int, leads: str) -> Problem:
    path = PurePosixPath(leads)
    if path.parts[0] in ("runbooks", "procedures") and path.suffix == ".md":
        text = f"there is no {leads}. {nearest(path.stem, known.documents)}"
        return at(runbook, line, "L002", text, column=column)
    return at(runbook, line, "L001", f"the link leads to {leads}, which is not there", column=column)


def _prose(source: str) -> list[str]:
    """The lines of the page; those of front matter, fences and comments are empty."""
    lines = source.split("\n")
    _, start = split(source)
    closer = ""
    for index, line in enumerate(lines):
        fence = _FENCE.match(line)
        inside = bool(closer)
        if fence and not closer:
            closer = fence[1]
        elif closer and line.strip(" >\t").startswith(closer) and not line.strip(" >\t").strip(closer[0]):
            closer = ""
        if inside or fence or index < start:
            lines[index] = ""
    return _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), "\n".join(lines)).split("\n")


def files(source: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and path of every link of a page that leads to a file."""
    for line, column, target in _targets(_prose(source)):
        path = unquote(target.partition("#")[0].partition("?")[0])
        if path:
            yield line, column, path


def _targets(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Line, column and target of every link to something of this project."""
    for number, line in enumerate(lines, 1):
        text = _CODE.sub(lambda match: " " * len(match[0]), line)
        for match in (*_INLINE.finditer(text), *_REFERENCE.finditer(text)):
            target = match["target"].strip("<>")
            elsewhere = not target or target.startswith("/") or _SCHEME.match(target)
            # {{ … }} and {% … %} are filled in by whatever builds the site.
            if not elsewhere and not target.startswith("{") and "{{" not in target:
                yield number, match.start("target") + 1, target


def _anchors(lines: list[str]) -> set[str]:
    """Every anchor that MkDocs or GitHub give the page, and those that it names itself."""
    found: set[str] = set()
    count: Counter[str] = Counter()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        found |= {match[1] or match[2] for match in _NAMED.finditer(line)}
        heading = _HEADING.match(line)
        title = heading[1] if heading else line if line.strip() and _UNDERLINE.match(below) else ""
        for slug in _slugs(title) if title else ():
            found |= {slug, f"{slug}-{count[slug]}", f"{slug}_{count[slug]}"} if count[slug] else {slug}
            count[slug] += 1
    return found


def _slugs(title: str) -> set[str]:
    """The heading's anchor on MkDocs, on GitHub, and with the usual setting for other alphabets."""
    text = _LINK_TEXT.sub(r"\1", re.sub(r"\{[^{}]*\}\s*$", "", title))
    kept = re.sub(r"[^\w\s-]", "", text).strip().lower()
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    ascii_only = re.sub(r"[^\w\s-]", "", plain).strip().lower()
    return {re.sub(r"[\s-]+", "-", ascii_only), re.sub(r"[\s-]+", "-", kept), re.sub(r"\s", "-", kept)} - {""}


CHECKS = (_links,)
