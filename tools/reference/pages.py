"""The pages of docs/reference, as the code says them."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsbook.files import write_atomic

RENEW = "make reference"
"""The command that writes every page."""

FOLDER = "docs/reference"
"""Where the pages are, below the project."""


@dataclass(frozen=True)
class Page:
    """A page: its title, and one sentence on what is in it. A module NAME beside this one makes the rest."""

    title: str
    about: str


PAGES = {
    "front-matter": Page("Front matter", "What a page may say of itself between its first two `---` lines."),
    "parameters": Page("Parameters", "The types of the parameters cell, and what the command line takes for each."),
    "environment": Page("Environments and settings", "Every key of environment.yml and of opsbook.toml."),
    "training": Page("The training plan", "Every key of training.yml."),
    "effects": Page("Effects", "What cells import from opsbook: what it takes, gives back, raises and changes."),
    "commands": Page("Commands", "Every command with its arguments."),
    "journal": Page("The journal", "Every event of a record's journal, and what it says."),
    "exit-codes": Page(
        "Exit codes and outcomes", "How a command ends, how a run ends, and what one says of the other."
    ),
}

_INDEX = Page("Reference", "Every key, type, effect, command, rule and exit code.")

_OTHERS = {
    "../lint.md": Page("What opsbook check finds", "Every rule, with an example that is wrong and one that is right."),
    "../effects.md": Page("Effects, in words", "How effects work: shell cells, playbooks, effects of a team's own."),
}
"""What is linked, and is not made here. Only the rules are made from the code too, by `opsbook check`."""


def page(name: str) -> str:
    """A page as Markdown."""
    made = _all()[name]
    head = f"# {made.title}\n\nMade from the code itself: `{RENEW}` renews this page.\n\n{made.about}\n"
    return f"{head}\n{_body(name)}"


def files() -> Iterator[tuple[str, str]]:
    """Every page: its file's name, and its text."""
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
