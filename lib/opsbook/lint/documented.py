"""The documentation of the rules: rules.yml beside this file, and its pages. Tests run its bad and good examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from opsbook.files import parse_yaml
from opsbook.html import render

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
"""The first letter of a code -> its family, in the order of the reference."""

Example = str | Mapping[str, str]
"""Part of a page, from its first H2 on; or a whole page, from its front matter on; or several files by path."""


@dataclass(frozen=True)
class Rule:
    """One rule in the reference.

    `warning`: it never fails a check. `soft`: it is a warning in a page without front matter, since that was not
    written for opsbook. `fix`: what `check --fix` does about it; empty if it has no fix.
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
    """Restore bytes that are not UTF-8: YAML cannot hold them, so rules.yml has an escape."""
    if isinstance(value, dict):
        return {key: _bytes(inner) for key, inner in value.items()}
    return value.replace("\\udcfc", "\udcfc") if isinstance(value, str) else value


RENEW = "make reference"
"""The command that writes docs/lint.md."""


def whole() -> str:
    """The page of all rules."""
    return render("rules.md", rules=rules(), families=FAMILIES, renew=RENEW, severity=_severity, shown=_shown)


def one(rule: Rule) -> str:
    """One rule, from its heading on."""
    return render("rule.md", rule=rule, severity=_severity, shown=_shown)


def _severity(rule: Rule) -> str:
    if rule.warning:
        return "warning"
    return "error; warning without front matter" if rule.soft else "error"


def _shown(text: str) -> str:
    """Bytes that are not UTF-8 as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
