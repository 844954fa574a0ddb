"""The front matter of a document, validated."""

import datetime
import re
from typing import Annotated, Literal

from opsbook.core.model.text import one_line, span_seconds
from opsbook.shapes import Check, Shape, key

Kind = Literal[
    "deploy",
    "incident",
    "maintenance",
    "capacity",
    "recovery",
    "security",
    "environment",
    "check",
    "training",
    "procedure",
]

Shell = Literal["step", "each"]

Rollback = Literal["automatic", "ask", "manual", "none"]

MKDOCS_KEYS = frozenset({"template", "hide", "icon", "status", "subtitle", "description", "tags", "search"})
"""Front matter keys of MkDocs and Material that a document may have."""

_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", re.IGNORECASE)


def split(text: str) -> tuple[str | None, int]:
    """The YAML between the first two `---` lines (None if there is none), and the index of the line after it.

    Hugo's TOML between `+++` is passed by.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    mark = lines[0].rstrip()
    if mark not in ("---", "+++"):
        return None, 0
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() == mark:
            return "\n".join(lines[1:index]) if mark == "---" else None, index + 1
    return None, 0


def _is_date(value: object) -> object:
    """A number would be taken for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        raise ValueError(f"{one_line(str(value), 40)} is not a date; write one such as 2026-11-20")
    return value


def _is_span(value: str) -> str:
    span_seconds(value)
    return value


_Span = Annotated[str, Check(_is_span)]


class Drill(Shape):
    """What makes a page a drill: it brings a fault in, and waits until somebody has mended it."""

    solved_by: tuple[str, ...] = key((), "Runbooks that mend the fault; any one of them is enough", [["restart-cache"]])
    hints: tuple[str, ...] = key(
        (),
        "What whoever is stuck is told, one sentence after the other, from vague to plain",
        [["Look at the caches.", "Restart the one that does not answer."]],
    )


class FrontMatter(Shape):
    """What a document says of itself. Every key is optional: a page without front matter is a procedure."""

    title: str | None = key(
        None, "What the page is called; its first heading, or its file's name, unless given", ["Restart the cache"]
    )
    summary: str = key(
        "",
        "One sentence on what it does, for opsbook list and opsbook show",
        ["Restart one cache, when it answers slowly."],
    )
    kind: Kind = key(
        "procedure",
        "What sort of page it is; opsbook check asks for the sections that this sort needs",
        ["maintenance"],
    )
    owner: str | None = key(None, "Who keeps the page right", ["platform"])
    duration: _Span | None = key(
        None, "Expected time of a whole run: a number and ms, s, m, h or d, such as 3m", ["3m"]
    )
    reviewed: Annotated[datetime.date | None, Check(_is_date, before=True)] = key(
        None, "The day on which somebody last made sure that the page is right", [datetime.date(2026, 11, 20)]
    )
    review_every: _Span | None = key(
        None, "How long a review counts, such as 90d; from then on opsbook check warns", ["90d"]
    )
    lock: tuple[str, ...] = key(
        (), "Targets this run changes; {environment} and parameters in braces", [["{environment}/cache"]]
    )
    rollback: Rollback = key(
        "none",
        "What follows where a run failed and left changes behind. automatic: the Rollback section runs; "
        "ask: a person is asked first; manual: only opsbook rollback runs it; none: there is never anything to undo",
        ["automatic"],
    )
    alerts: tuple[str, ...] = key(
        (), "Prometheus alerts that this page is for; opsbook list --alert finds it", [["CacheSlow"]]
    )
    shell: Shell = key(
        "step",
        "What a folder or an exported variable of one shell fence is for the next one. step: it holds until the end of "
        "the step; each: every fence begins anew",
        ["each"],
    )
    environments: tuple[str, ...] = key((), "Where it may run; empty means everywhere", [["dev", "staging"]])

    drill: Drill | None = key(
        None,
        "For a page that is a drill: how its fault is mended, and hints for whoever is stuck",
        [{"solved_by": ["restart-cache"], "hints": ["Look at the caches.", "Which of them answers?"]}],
    )
