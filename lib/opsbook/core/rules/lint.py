"""Every rule about documents, in order. Pure: what exists in the project comes in as `Known`.

A rule is documented in a family's RULES and done in its CHECKS (generators of problems); some are found where the
text is read.
"""

from collections.abc import Iterable
from dataclasses import replace

from opsbook.core.model.runbook import Runbook
from opsbook.core.rules import alerts, code, effects, form, front, links, prompts, rollback, sections, training
from opsbook.core.rules.base import Alert, Check, Known, Rule
from opsbook.core.source.problem import Problem

__all__ = ["CHECKS", "FAMILIES", "RULES", "Alert", "Known", "Rule", "document", "problems"]

FAMILIES = {
    "F": "Front matter",
    "D": "Form of a document",
    "P": "Parameters",
    "S": "Sections",
    "M": "Ownership",
    "C": "Cells",
    "R": "Rollback",
    "L": "Links and alerts",
    "T": "Training plan",
}
"""What the first letter of a code stands for, in the order of the reference."""

RULES: tuple[Rule, ...] = tuple(
    sorted(
        front.RULES
        + form.RULES
        + sections.RULES
        + code.RULES
        + effects.RULES
        + prompts.RULES
        + rollback.RULES
        + links.RULES
        + alerts.RULES
        + training.RULES,
        key=lambda rule: ([*FAMILIES].index(rule.code[0]), rule.code),
    )
)

CHECKS: tuple[Check, ...] = (
    *front.CHECKS,
    *sections.CHECKS,
    *code.CHECKS,
    *effects.CHECKS,
    *prompts.CHECKS,
    *rollback.CHECKS,
    *links.CHECKS,
    *alerts.CHECKS,
)

_SOFT = frozenset(rule.code for rule in RULES if rule.soft)


READERS = (*links.CHECKS, *alerts.CHECKS)
"""What somebody who reads a page would stumble over, whether or not it can run."""


def document(runbook: Runbook, known: Known) -> list[Problem]:
    """Every problem that rules find in one document."""
    return problems(runbook, (), known)


def problems(
    runbook: Runbook, read: Iterable[Problem], known: Known, checks: Iterable[Check] = CHECKS
) -> list[Problem]:
    """Every problem of one document, with those met while it was read.

    Nobody wrote a page without front matter for opsbook: what is only against its customs is a warning there.
    """
    found = [*read, *(problem for check in checks for problem in check(runbook, known))]
    if not runbook.bare:
        return found
    return [replace(problem, warning=True) if problem.code in _SOFT else problem for problem in found]
