"""Check documents, and apply safe fixes.

Only this module writes to a source file, only on demand, and only to lines that a rule names.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import catalog, surroundings
from opsbook.core.model.runbook import Step, Tally, tally
from opsbook.core.model.text import nearest
from opsbook.core.rules import lint
from opsbook.core.source.page_name import name_of
from opsbook.core.source.problem import Problem
from opsbook.diagnose import trees
from opsbook.errors import InputError
from opsbook.lint import fix
from opsbook.settings import Settings
from opsbook.training import plan_file

_ROUNDS = 5
"""A fix may reveal more problems: misplaced front matter is parsed only once it is moved."""


def check(settings: Settings, names: Sequence[str]) -> list[Problem]:
    """Every problem of the named documents, by path and line; without names, of all, the alert rules,
    the decision trees and training.yml.

    A name may also be a path, relative to the working directory or to the project. Raises InputError.
    """
    return counted(settings, names)[0]


def counted(settings: Settings, names: Sequence[str]) -> tuple[list[Problem], Tally]:
    """What `check` finds, and what the documents consist of."""
    chosen = chosen_by(settings, names)
    known, broken = surroundings.known(settings)
    problems = [] if names else broken
    problems += surroundings.duplicates(settings, chosen)
    steps: list[Step] = []
    for runbook, wrong in catalog.every(chosen, settings.root, known):
        problems += wrong
        steps += runbook.steps() if runbook else ()
    if not names and plan_file.exists(settings):
        problems += plan_file.problems(settings, catalog.entries(settings))
    if not names:
        problems += trees.problems(settings)
    return sorted(set(problems)), tally(steps)


def correct(settings: Settings, names: Sequence[str]) -> dict[str, list[fix.Fix]]:
    """Apply every safe fix to the named documents, or to all; path -> its fixes.

    Raises InputError if a document cannot be written.
    """
    known, _ = surroundings.known(settings)
    done: dict[str, list[fix.Fix]] = {}
    for path in chosen_by(settings, names):
        for _ in range(_ROUNDS):
            made = _corrected(path, settings.root, known)
            if not made:
                break
            done.setdefault(str(path.relative_to(settings.root)), []).extend(made)
    return done


def _corrected(path: Path, root: Path, known: lint.Known) -> list[fix.Fix]:
    runbook, problems = catalog.document(path, root, known)
    if runbook is None:
        return []
    with files.saying(f"{path} cannot be written", "Nothing of it was changed."):
        text = files.read(path, within=root).decode()
        made = fix.fixes(text, problems)
        if made:
            _write(path.resolve(), fix.apply(text, made).encode())
    return made


def _write(path: Path, data: bytes) -> None:
    """Replace the file, and keep its mode and, if permitted, its owner."""
    before = path.stat()
    files.write_atomic(path, data)
    with contextlib.suppress(PermissionError):
        os.chown(path, before.st_uid, before.st_gid)
    path.chmod(stat.S_IMODE(before.st_mode))


def chosen_by(settings: Settings, names: Sequence[str]) -> list[Path]:
    """The documents of these names and paths, each once; without names, all. Raises InputError."""
    there = catalog.paths(settings)
    if not names:
        return there
    by_place = {_place(path): path for path in there}
    return list(dict.fromkeys(path for name in names for path in _meant(settings.root, name, by_place)))


def _meant(root: Path, name: str, by_place: dict[Path, Path]) -> list[Path]:
    """The documents of one name or path; none for a page that is excluded on purpose."""
    if "/" in name or name.endswith(".md"):
        places = [_place(folder / name) for folder in (Path.cwd(), root)]
        found = [by_place[place] for place in places if place in by_place]
        if found or any(_left_out(place, root) for place in places):
            return found[:1]
        if any(surroundings.exists(place) for place in places):
            raise InputError(f"{name} is no document.", "Documents are files NAME.md in runbooks/ and procedures/.")
    stem, names = name_of(Path(name)), {path: name_of(path) for path in by_place.values()}
    if stem not in names.values():
        raise InputError(f"There is no runbook or procedure named {stem}.", nearest(stem, names.values()))
    return [path for path, own in names.items() if own == stem]


def _place(path: Path) -> Path:
    """The absolute path with its folders' links resolved; the file itself may be a link."""
    return path.parent.resolve() / path.name


def _left_out(path: Path, root: Path) -> bool:
    inside = path.relative_to(root) if path.is_relative_to(root) else Path()
    return inside.parts[:1] in (("runbooks",), ("procedures",)) and catalog.hidden(inside) and surroundings.exists(path)
