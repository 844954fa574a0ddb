"""The pages of docs/reference, generated from the code."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsbook.files import write_atomic

RENEW = "make reference"
"""The command that writes every page."""

FOLDER = "docs/reference"
"""The folder of the pages, relative to the project."""


@dataclass(frozen=True)
class Page:
    """A page: its title, and one sentence about it. The module NAME beside this one makes its body."""

    title: str
    about: str


PAGES = {
    "front-matter": Page("Front matter", "The keys that a page may have between its first two `---` lines."),
    "parameters": Page("Parameters", "The types of the parameters cell, and what the command line takes for each."),
    "environment": Page("Environments and settings", "Every key of environment.yml and of opsbook.toml."),
    "training": Page("The training plan", "Every key of training.yml."),
    "effects": Page("Effects", "What cells import from opsbook: what each takes, returns, raises and changes."),
    "commands": Page("Commands", "Every command with its arguments."),
    "journal": Page("The journal", "Every event of a record's journal, with its fields."),
    "exit-codes": Page("Exit codes and outcomes", "How a command ends, how a run ends, and how the two relate."),
}

_INDEX = Page("Reference", "Every key, type, effect, command, rule and exit code.")

_OTHERS = {
    "../lint.md": Page("What opsbook check finds", "Every rule, with an example that is wrong and one that is right."),
    "../effects.md": Page("Effects, in words", "How effects work: shell cells, playbooks, effects of a team's own."),
}
"""Linked pages that are not made here. docs/lint.md is generated too, by opsbook.lint.documented."""


def page(name: str) -> str:
    """A page as Markdown."""
    made = _all()[name]
    head = f"# {made.title}\n\nGenerated from the code: `{RENEW}` renews this page.\n\n{made.about}\n"
    return f"{head}\n{_body(name)}"


def files() -> Iterator[tuple[str, str]]:
    """Every page: file name and text."""
    return ((f"{name}.md", page(name)) for name in _all())


def _all() -> dict[str, Page]:
    return {"index": _INDEX, **PAGES}


def _body(name: str) -> str:
    if name == "index":
        return "\n".join(_links()) + "\n"
    module = importlib.import_module(f"tools.reference.{name.replace('-', '_')}")
    return str(module.body())


def _links() -> Iterator[str]:
    pages = {f"{name}.md": made for name, made in PAGES.items()} | _OTHERS
    return (f"- [{made.title}]({path}): {made.about[0].lower()}{made.about[1:]}" for path, made in pages.items())


def write(folder: Path) -> None:
    """Write every page into this folder."""
    for name, text in files():
        write_atomic(folder / name, text.encode())
