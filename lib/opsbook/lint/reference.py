"""The rules of `opsbook check` as Markdown: one for the terminal, all for docs/lint.md."""

from opsbook.html import render
from opsbook.lint.documented import FAMILIES, Rule, rules

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
