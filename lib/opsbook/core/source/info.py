"""The info string of a fence: its language, and attributes as Jupytext writes them.

Parses Jupytext's grammar without Jupytext: `python tags=["parameters"] timeout=20`, or JSON in braces.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_LANGUAGE = re.compile(r"(?:\{\s*\.?)?([\w#+.-]+)(?=$|[\s{}[:,])")
"""The first word; also in braces, as Pandoc and R Markdown write it."""

_KEY = re.compile(r"\s+([\w.@/-]+)\s*=\s*")
_WORD = re.compile(r"\s+([A-Za-z_.][\w.]*)(?=\s|$)")
_SPACE = re.compile(r"\s+|$")

# fmt: off
LANGUAGES = frozenset({
    "bash", "c#", "c++", "clojure", "coconut", "cs", "csharp", "cython", "f#", "fs", "fsharp", "gnuplot", "go",
    "groovy", "haskell", "html", "idl", "java", "javascript", "jenner", "js", "julia", "latex", "logtalk", "lua",
    "markdown", "matlab", "maxima", "ocaml", "octave", "perl", "powershell", "pypy", "python", "python2", "python3",
    "q", "R", "robotframework", "ruby", "rust", "sage", "sas", "scala", "scheme", "script", "sh", "sos", "spark",
    "sql", "stata", "svg", "tcl", "typescript", "xonsh",
})
# fmt: on
"""Languages of fences that Jupytext reads as cells; also in capitals."""


SHELLS = {"bash": "bash", "sh": "sh", "shell": "bash", "zsh": "zsh"}
"""What runs a fence in this language (lower case), besides Python."""

SESSIONS = frozenset({"bash-session", "console", "sh-session", "shell-session", "shellsession", "terminal"})
"""Languages of what was copied from a terminal."""

OTHER_SHELLS = frozenset({"bat", "cmd", "csh", "dos", "fish", "ksh", "nu", "powershell", "ps1", "pwsh", "tcsh"})
"""Languages of commands that cannot run here."""

TEXT = re.compile(
    r"""(?:^|\s)\.noeval(?:\s|$)|\bactive\s*=|\bexcludeFromRunAll["']?\s*[=:]\s*["']?true|["']skip-execution["']"""
)
"""How an author keeps a fence from running: Jupytext's ways, Runme's, and the tag of nbclient and papermill."""


class NotRead(ValueError):
    """Attributes that cannot be read; the message says why."""


def language(info: str) -> str:
    """The language: the first word."""
    found = _LANGUAGE.match(info)
    return found[1] if found else ""


def is_cell(info: str) -> bool:
    """Whether Jupytext reads a fence with this info string as a cell."""
    word = info.split(maxsplit=1)[:1]
    return bool(word) and (word[0] in LANGUAGES or word[0] in _CAPITALS) and ".noeval" not in info.split()


_CAPITALS = frozenset(name.upper() for name in LANGUAGES)


def attributes(info: str) -> Mapping[str, Any]:
    """The attributes after the language. Raises NotRead."""
    found = _LANGUAGE.match(info)
    rest = info[found.end() :] if found and not info.startswith("{") else info
    braces, equals = rest.find("{"), rest.find("=")
    if braces >= 0 and not 0 <= equals < braces:
        return _checked(_json(rest[braces:]))
    return _checked(dict(_pairs(rest)))


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NotRead(_BRACES if "tags" in text or "timeout" in text else _FOREIGN)
    return found


_BRACES = 'the tags in braces are lost; write ```python tags=["parameters"]'
_FOREIGN = "opsbook does not read the words in braces, which are for another tool; remove them"


def _pairs(rest: str) -> Iterator[tuple[str, Any]]:
    at = 0
    while rest[at:].strip():
        if key := _KEY.match(rest, at):
            value, at = _value(rest, key.end())
            yield key[1], value
        elif word := _WORD.match(rest, at):
            at = word.end()
            yield word[1], None
        else:
            raise NotRead(f"the attributes of the cell cannot be read from {rest[at:].strip()[:40]!r} on")


def _value(rest: str, start: int) -> tuple[Any, int]:
    """The value that begins at `start`, up to the first space at which it parses; and where it ends."""
    for space in _SPACE.finditer(rest, start):
        written = rest[start : space.start()]
        for read in (json.loads, ast.literal_eval):
            try:
                return read(written), space.start()
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    raise NotRead(f"the attributes of the cell cannot be read from {rest[start:].strip()[:40]!r} on")


def _checked(found: dict[str, Any]) -> Mapping[str, Any]:
    """The attributes, if a notebook can hold them; Jupytext rejects a page with others. Raises NotRead."""
    tags = found.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise NotRead('tags are a list of words; write ```python tags=["parameters"]')
    for name in ("name", "active"):
        if name in found and not (isinstance(found[name], str) and found[name]):
            raise NotRead(f'{name} is a word; write {name}="…"')
    return found
