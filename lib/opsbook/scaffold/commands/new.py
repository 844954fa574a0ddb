"""Write a new page that passes opsbook check, with steps that run.

Replace its steps by your own. It has the sections that a page of this kind needs. With --from, its steps are those of a
shell script, a job of Rundeck (YAML), or a notebook, or what was run with opsbook exec in an incident.
"""

import argparse
from pathlib import Path

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.catalog import catalog
from opsbook.core.model.front import Kind
from opsbook.core.planning import environment
from opsbook.core.source.page_name import NAMES, name_of, usable
from opsbook.errors import InputError
from opsbook.scaffold import adding, importing, writing
from opsbook.settings import Settings


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    name: str = options.name
    _check_free(settings, name)
    by_hand = options.procedure or options.kind == "procedure"
    kind: Kind = options.kind or ("procedure" if by_hand else "maintenance")
    title = " ".join((options.title or "").split()) or name.replace("-", " ").replace("_", " ").capitalize()
    author = writing.author(settings.root, options.owner)
    path = Path("procedures" if by_hand else "runbooks", f"{name}.md")
    if options.source:
        named = options.source.name.startswith("inc-") or options.source.name == "last"
        of_incident = named and not options.source.exists()
        found = (
            importing.of_incident(settings, options.source.name) if of_incident else importing.imported(options.source)
        )
        text = found.page(kind, " ".join((options.title or "").split()), author)
    else:
        text = writing.page(kind, name, title, author, by_hand=by_hand)
    if adding.add(settings.root, {str(path): text}).left:
        raise InputError(f"{settings.root / path} is there already.", "Nothing was written.")
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
