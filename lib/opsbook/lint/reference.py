"""The rules of `opsbook check` as Markdown: one for the terminal, all for docs/lint.md."""

from collections.abc import Iterator

from opsbook.lint.documented import FAMILIES, Example, Rule, rules

RENEW = "make reference"
"""The command that writes docs/lint.md."""


_HEAD = f"""\
# What `opsbook check` finds

Generated from the rules: `{RENEW}` renews this page.

```console
opsbook check                      # every document, the alert rules below alerts/, and training.yml
opsbook check deploy-service       # one, by its name or its path
opsbook check --fix                # apply the fixes of rules marked as fixable below, and list them
opsbook check --explain C005       # one rule of this page
opsbook check --format github      # or json, sarif: for machines
```

Each line is `PATH:LINE:COLUMN CODE MESSAGE`. An **error** fails the check (exit code 2), and a page with an error does
not run, except for errors of links and alerts (L). A **warning** does neither.

A page without front matter is a procedure that was not written for opsbook. There, rules about opsbook's conventions
are warnings; they are marked.

An example is a part of a page with complete front matter, or shows all relevant files.
"""


def whole() -> str:
    """The page of all rules."""
    return f"{_HEAD}\n{_table()}\n{_details()}"


def one(rule: Rule) -> str:
    """One rule, from its heading on."""
    return "\n".join(_lines(rule))


def _table() -> str:
    rows = [
        f"| [{rule.code}](#{rule.code.lower()}) | {rule.name} | {_severity(rule)} | {'yes' if rule.fix else ''} |"
        for rule in rules()
    ]
    return "\n".join(["| code | name | severity | fixable |", "| --- | --- | --- | --- |", *rows, ""])


def _details() -> str:
    parts = []
    for letter, title in FAMILIES.items():
        parts += [f"## {title}\n", *(one(rule) for rule in rules() if rule.code[0] == letter)]
    return "\n".join(parts)


def _severity(rule: Rule) -> str:
    if rule.warning:
        return "warning"
    return "error; warning without front matter" if rule.soft else "error"


def _lines(rule: Rule) -> Iterator[str]:
    yield f"### {rule.code}\n"
    yield f"**{rule.name}** ({_severity(rule)}). {rule.text}\n"
    yield f"{rule.why}\n"
    if rule.fix:
        yield f"`opsbook check --fix`: {rule.fix}\n"
    yield from _example("Bad", rule.bad)
    yield from _example("Good", rule.good)


def _example(title: str, example: Example) -> Iterator[str]:
    files = {"": example} if isinstance(example, str) else example
    for path, text in files.items():
        language = "yaml" if path.endswith(".yml") else "text" if path.endswith(".txt") else "markdown"
        shown = text.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
        yield f"{title}{f', `{path}`' if path else ''}:\n"
        yield f"````{language}\n{shown}````\n"
