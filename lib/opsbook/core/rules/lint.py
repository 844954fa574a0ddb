"""Every rule about documents, in order. Pure: what exists in the project comes in as `Known`.

A rule is a generator of problems in its family's CHECKS, or its problems are found while the text is read.
lint/rules.yml explains each rule to people.
"""

from collections.abc import Iterable
from dataclasses import replace

from opsbook.core.model.runbook import Runbook
from opsbook.core.rules import code, effects, front, links, rollback, sections
from opsbook.core.rules.base import Alert, Check, Known
from opsbook.core.source.problem import Problem

__all__ = ["CHECKS", "SOFT", "Alert", "Known", "problems"]

CHECKS: tuple[Check, ...] = (
    *front.CHECKS,
    *sections.CHECKS,
    *code.CHECKS,
    *effects.CHECKS,
    *rollback.CHECKS,
    *links.CHECKS,
)

# fmt: off
SOFT = frozenset({
    "C002", "C003", "C005", "C007", "C013", "D004", "D010", "D011", "L001", "L002", "L003",
    "L004", "R001", "S001", "S002", "S003", "S004", "S005",
})
# fmt: on
"""Rules that are warnings in a page without front matter of ours, which was not written for opsbook."""

READERS = links.CHECKS
"""Checks of what affects readers, whether or not the page can run."""


def problems(
    runbook: Runbook, read: Iterable[Problem], known: Known, checks: Iterable[Check] = CHECKS
) -> list[Problem]:
    """Every problem of one document, with those found while it was read.

    A page without front matter of ours was not written for opsbook: a breach of conventions is only a warning there.
    """
    found = [*read, *(problem for check in checks for problem in check(runbook, known))]
    if not runbook.bare:
        return found
    return [replace(problem, warning=True) if problem.code in SOFT else problem for problem in found]
