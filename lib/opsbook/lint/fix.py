"""The fixes of `check --fix`: only what a rule reports, and only if there is a single way to correct it.

Pure: text in, text out. Line ends and all other lines stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from opsbook.core.model.front import Kind, Rollback, split
from opsbook.core.source.front import meant
from opsbook.core.source.info import NotRead, attributes
from opsbook.core.source.problem import Problem

_BRACES = re.compile(r"^(`{3,}|~{3,})(\s*)(\w+)\s*\{\s*(\w+\s*=.*?)\s*\}\s*$")
_QUOTED = re.compile(r"""\btimeout=(["'])(\d+(?:\.\d+)?)\1""")
_BARE = re.compile(r"^(`{3,}|~{3,})(\s*)python\s*$")
_KEY = re.compile(r"^([A-Za-z_][\w-]*)(\s*:.*)$")
_NAME = re.compile(r"""^["']?([A-Za-z_][\w-]*)["']?\s*:""")
_VALUE = re.compile(r"""^(kind|rollback)(\s*:\s*)(["']?)([A-Za-z]+)\3(\s*(?:#.*)?)$""")

_WORDS = {"kind": get_args(Kind), "rollback": get_args(Rollback)}


@dataclass(frozen=True, order=True)
class Fix:
    """Replaces `removed` lines from `line` (from 1) on by `lines`. `text` describes the fix."""

    line: int
    code: str
    text: str
    removed: int = 1
    lines: tuple[str, ...] = ()


def fixes(text: str, problems: Iterable[Problem]) -> list[Fix]:
    """The fixes for these problems of the text, in the order of the lines, at most one for each line."""
    if "\r" in text.replace("\r\n", ""):
        # The parser ends a line at a lone CR, this module does not: line numbers would differ.
        return []
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    found: dict[int, Fix] = {}
    for problem in sorted(problems):
        make = FIXES.get(problem.code)
        fix = make(lines, problem) if make and problem.line <= len(lines) else None
        if fix and list(fix.lines) != lines[fix.line - 1 : fix.line - 1 + fix.removed]:
            found.setdefault(fix.line, fix)
    return sorted(found.values())


def apply(text: str, chosen: Sequence[Fix]) -> str:
    """The text with these fixes. A changed line keeps its line end, the file its byte order mark."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).split("\n")
    for fix in sorted(chosen, reverse=True):
        start = fix.line - 1
        end = "\r" if lines[start].endswith("\r") else ""
        lines[start : start + fix.removed] = [line + end for line in fix.lines]
    return mark + "\n".join(lines)


def _key(lines: list[str], problem: Problem) -> Fix | None:
    """F002: a known key in another spelling, unless the known one is present too."""
    match = _KEY.match(lines[problem.line - 1])
    key = meant(match[1]) if match else None
    block = (split("\n".join(lines))[0] or "").split("\n")
    names = [found[1] for line in block if (found := _NAME.match(line))]
    if match is None or key is None or [meant(name) or name for name in names].count(key) > 1:
        return None
    return Fix(problem.line, "F002", f"{match[1]}: is now {key}:", lines=(key + match[2],))


def _word(lines: list[str], problem: Problem) -> Fix | None:
    """F003: a word in the wrong case."""
    match = _VALUE.match(lines[problem.line - 1])
    if match is None or match[4].lower() not in _WORDS[match[1]]:
        return None
    word = match[4].lower()
    line = f"{match[1]}{match[2]}{match[3]}{word}{match[3]}{match[5]}"
    return Fix(problem.line, "F003", f"{match[1]}: {match[4]} is now {word}", lines=(line,))


def _blank(lines: list[str], problem: Problem) -> Fix | None:
    """F005: blank lines before the front matter."""
    if any(line.strip() for line in lines[: problem.line - 1]):
        return None
    return Fix(1, "F005", "the blank lines before --- are gone", removed=problem.line - 1)


def _braces(lines: list[str], problem: Problem) -> Fix | None:
    """D002: attributes in braces."""
    match = _BRACES.match(lines[problem.line - 1])
    if match is None:
        return None
    ticks, space, language, inside = match.groups()
    try:
        attributes(f"{language} {inside}")
    except NotRead:
        # Words of another tool.
        return None
    return Fix(problem.line, "D002", f"{{{inside}}} is now {inside}", lines=(f"{ticks}{space}{language} {inside}",))


def _timeout(lines: list[str], problem: Problem) -> Fix | None:
    """D003: a number in quotes."""
    line, count = _QUOTED.subn(r"timeout=\2", lines[problem.line - 1])
    seconds = re.search(r"timeout=(\d+(?:\.\d+)?)", line)
    if count != 1 or seconds is None or float(seconds[1]) == 0:
        return None
    return Fix(problem.line, "D003", f"{seconds[0]} is now a number", lines=(line,))


def _tag(lines: list[str], problem: Problem) -> Fix | None:
    """S003: the parameters cell's tag."""
    match = _BARE.match(lines[problem.line - 1])
    if match is None:
        return None
    line = f'{match[1]}{match[2]}python tags=["parameters"]'
    return Fix(problem.line, "S003", 'the parameters cell now has tags=["parameters"]', lines=(line,))


FIXES: dict[str, Callable[[list[str], Problem], Fix | None]] = {
    "F002": _key,
    "F003": _word,
    "F005": _blank,
    "D002": _braces,
    "D003": _timeout,
    "S003": _tag,
}
