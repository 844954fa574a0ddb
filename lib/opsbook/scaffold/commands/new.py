"""Write a new page that passes opsbook check, with steps that run.

Replace its steps by your own. It has the sections that a page of this kind needs.
"""

import argparse
from pathlib import Path
from typing import get_args

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.catalog import catalog
from opsbook.core.model.front import Kind
from opsbook.core.planning import environment
from opsbook.core.source.page_name import NAMES, name_of, usable
from opsbook.errors import InputError
from opsbook.scaffold import writing
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the page's name: its file name without .md")
    parser.add_argument("--kind", choices=get_args(Kind), help="maintenance unless given")
    parser.add_argument("--procedure", action="store_true", help="a checklist without code, in procedures/")
    parser.add_argument("--title", help="derived from the name unless given")
    parser.add_argument("--owner", help="owner of the page; your name in git unless given")


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    name: str = options.name
    _check_free(settings, name)
    by_hand = options.procedure or options.kind == "procedure"
    kind: Kind = options.kind or ("procedure" if by_hand else "maintenance")
    title = " ".join((options.title or "").split()) or name.replace("-", " ").replace("_", " ").capitalize()
    author = writing.author(settings.root, options.owner)
    path = Path("procedures" if by_hand else "runbooks", f"{name}.md")
    writing.write(settings.root, {str(path): writing.page(kind, name, title, author, by_hand=by_hand)})
    say(settings.root / path)
    say("", "Change it into what you need, then:", "")
    where = next(iter(environment.names(settings)), "ENVIRONMENT")
    for command in (f"check {name}", f"show {name}", f"run {name} -e {where}"):
        say(f"  opsbook {command}")
    return 0


def _check_free(settings: Settings, name: str) -> None:
    """Raises InputError if the name is invalid or taken."""
    if not usable(name):
        raise InputError(f"{name} is no usable name.", f"{NAMES[0].upper()}{NAMES[1:]}.")
    taken = [path for path in catalog.paths(settings) if name_of(path) == name]
    if taken:
        place = taken[0].relative_to(settings.root)
        raise InputError(f"The name {name} is taken by {place}.", "A name is unique in a project. Take another.")
