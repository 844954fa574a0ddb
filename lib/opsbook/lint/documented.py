"""What each rule is about: rules.yml beside this file, with a bad and a good example that tests run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from opsbook.files import parse_yaml

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

Example = str | Mapping[str, str]
"""Part of a page, from its first H2 on; or a whole page, from its front matter on; or several files by path."""


@dataclass(frozen=True)
class Rule:
    """One rule as the reference shows it.

    `warning`: it never fails a check. `soft`: it is a warning in a page without front matter, which nobody wrote
    for opsbook. `fix`: what `check --fix` does about it; empty if that takes a person.
    """

    code: str
    name: str
    text: str
    why: str
    bad: Example
    good: Example
    warning: bool = False
    soft: bool = False
    fix: str = ""


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the reference."""
    told = parse_yaml((resources.files("opsbook.lint") / "rules.yml").read_text(encoding="utf-8"))
    found = [Rule(code, **_bytes(fields)) for code, fields in told.items() if code[:1] in FAMILIES]
    return tuple(sorted(found, key=lambda rule: ([*FAMILIES].index(rule.code[0]), rule.code)))


def _bytes(value: Any) -> Any:
    """YAML can hold no byte that is not UTF-8: one is written as an escape."""
    if isinstance(value, dict):
        return {key: _bytes(inner) for key, inner in value.items()}
    return value.replace("\\udcfc", "\udcfc") if isinstance(value, str) else value
