"""Print a page of docs/reference as the code says it, list the pages, or write all of them."""

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from opsbook.cli import common
from opsbook.cli.text import say
from opsbook.errors import InputError
from opsbook.model.text import nearest

RENEW = "opsbook reference --write"
"""The command that writes every page."""

FOLDER = "docs/reference"
"""Where the pages are, below the project."""


@dataclass(frozen=True)
class Page:
    """A page: its title, and one sentence on what is in it. A module reference_NAME beside this one makes the rest."""

    title: str
    about: str


PAGES = {
    "front-matter": Page("Front matter", "What a page may say of itself between its first two `---` lines."),
    "parameters": Page("Parameters", "The types of the parameters cell, and what the command line takes for each."),
    "environment": Page("Environments and settings", "Every key of environment.yml and of opsbook.toml."),
    "training": Page("The training plan", "Every key of training.yml."),
    "effects": Page("Effects", "What cells import from opsbook: what it takes, gives back, raises and changes."),
    "commands": Page("Commands", "Every command with its arguments."),
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


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("page", nargs="?", help="which one; without it, all are listed")
    parser.add_argument("--write", action="store_true", help=f"write every page into {FOLDER}")


def execute(options: argparse.Namespace) -> int:
    if options.write:
        return _write(options)
    if options.page is not None:
        say(page(options.page), end="")
        return 0
    common.table(("PAGE", "WHAT IS IN IT"), [(name, made.about) for name, made in _all().items()])
    return 0


def page(name: str) -> str:
    """A page as Markdown. Raises InputError if there is none of this name."""
    if name not in _all():
        raise InputError(f"There is no page {name}. {nearest(name, _all())}", "opsbook reference lists them.")
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
    module = importlib.import_module(f"opsbook.cli.reference_{name.replace('-', '_')}")
    return str(module.body())


def _links() -> Iterator[str]:
    pages = {f"{name}.md": made for name, made in PAGES.items()} | _OTHERS
    return (f"- [{made.title}]({path}): {made.about[0].lower()}{made.about[1:]}" for path, made in pages.items())


def _write(options: argparse.Namespace) -> int:
    from opsbook.files import write_atomic

    folder = common.project(options).root / FOLDER
    for name, text in files():
        write_atomic(folder / name, text.encode())
        say(f"  {folder / name}")
    return 0
