"""The documents of a project, by name."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from opsbook.core.catalog import documents
from opsbook.core.catalog.documents import paths
from opsbook.core.model.front import FrontMatter
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.source import front, notebook
from opsbook.core.source.page_name import is_folder_page, name_of
from opsbook.errors import InputError
from opsbook.settings import Settings

__all__ = ["Entry", "entries", "find", "load", "paths"]


_HEADING = re.compile(r"^# +(.+)|^(\S.*)\n=+[ \t]*$", re.MULTILINE)
"""The first title, without parsing the page: a list of a thousand pages has to be fast."""


@dataclass(frozen=True)
class Entry:
    """A document as a list shows it. `path` is relative to the project root."""

    name: str
    path: Path
    front: FrontMatter
    title: str


def entries(settings: Settings) -> list[Entry]:
    """Every document with its front matter, sorted by name; a broken one is listed by its name.

    Unreadable files are left out: `check` says why. So is a folder's page without commands.
    """
    found = (_entry(path, settings.content) for path in paths(settings))
    return sorted((entry for entry in found if entry is not None), key=lambda e: e.name)


def _entry(path: Path, root: Path) -> Entry | None:
    try:
        text = documents.text(path, root)
    except UnicodeDecodeError:
        return Entry(name_of(path), path.relative_to(root), FrontMatter(), path.stem)
    except OSError:
        return None
    if is_folder_page(path) and not notebook.parse(text, str(path.relative_to(root)))[0].runs:
        return None
    matter, _ = front.parse(text, str(path))
    heading = _HEADING.search(text)
    title = matter.title or (next(filter(None, heading.groups())).strip() if heading else path.stem)
    return Entry(name_of(path), path.relative_to(root), matter, title)


def find(settings: Settings, name: str) -> Path:
    """The path of the document with this name. Raises InputError with the nearest name."""
    by_name = defaultdict(list)
    for path in paths(settings):
        by_name[name_of(path)].append(path)
    if "/" in name or name.endswith(".md"):
        stem = name_of(Path(name))
        hint = f"Write opsbook … {stem}." if stem in by_name else nearest(stem, by_name)
        raise InputError(f"{name} is a path; a runbook is called by its name.", hint)
    if name not in by_name:
        raise InputError(f"There is no runbook or procedure named {name}.", nearest(name, by_name))
    if len(by_name[name]) > 1:
        places = ", ".join(str(p.relative_to(settings.content)) for p in by_name[name])
        raise InputError(f"{name} is there more than once: {places}.", "Rename all but one.")
    return by_name[name][0]


def load(settings: Settings, name: str) -> Runbook:
    """The document with this name, ready to run. Raises InputError with every error that lint finds in it."""
    path = find(settings, name)
    runbook, problems = documents.document(path, settings.content, documents.known(settings))
    errors = [str(problem) for problem in sorted(problems) if not problem.warning]
    if errors or runbook is None:
        place = path.relative_to(settings.content)
        raise InputError(errors, f"Correct {place}; opsbook check {name} shows the same list.")
    return runbook
