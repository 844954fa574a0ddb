"""Checking documents, and correcting what can be corrected without a person.

This is the one place where opsbook writes to a source, and it does so only on demand and only to what it names.
"""

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from opsbook.core.catalog import catalog, documents, surroundings
from opsbook.core.model.text import nearest
from opsbook.core.rules import lint
from opsbook.core.source.problem import Problem
from opsbook.errors import InputError
from opsbook.files import write_atomic
from opsbook.lint import fix
from opsbook.lint.fix import Fix
from opsbook.settings import Settings
from opsbook.training import plan_file

_ROUNDS = 5
"""A fix may show what could not be seen before it: keys of front matter that was none."""


def check(settings: Settings, names: Sequence[str]) -> list[Problem]:
    """Every problem of the named documents, sorted by place; if none is named, of all, the alert rules and the plan.

    The plan is that of training. A name may also be a path, from where the caller is or from the project's root.
    Raises InputError.
    """
    chosen = chosen_by(settings, names)
    known, broken = surroundings.known(settings)
    problems = [] if names else broken
    problems += surroundings.duplicates(settings, chosen)
    for _, wrong in documents.every(chosen, settings.root, known):
        problems += wrong
    if not names and plan_file.exists(settings):
        problems += plan_file.problems(settings, catalog.entries(settings))
    return sorted(set(problems))


def correct(settings: Settings, names: Sequence[str]) -> dict[str, list[Fix]]:
    """Write every safe fix into the named documents (all, if none is named); what was done, by path.

    Raises InputError where a document cannot be written.
    """
    known, _ = surroundings.known(settings)
    done: dict[str, list[Fix]] = {}
    for path in chosen_by(settings, names):
        for _ in range(_ROUNDS):
            made = _corrected(path, settings.root, known)
            if not made:
                break
            done.setdefault(str(path.relative_to(settings.root)), []).extend(made)
    return done


def _corrected(path: Path, root: Path, known: lint.Known) -> list[Fix]:
    runbook, problems = documents.document(path, root, known)
    if runbook is None:
        return []
    try:
        text = path.read_bytes().decode()
        made = fix.fixes(text, problems)
        if made:
            _write(path.resolve(), fix.apply(text, made).encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Nothing of it was changed.") from error
    return made


def _write(path: Path, data: bytes) -> None:
    """The new text with the mode and, where this user may set it, the owner of the old."""
    before = path.stat()
    write_atomic(path, data)
    with contextlib.suppress(PermissionError):
        os.chown(path, before.st_uid, before.st_gid)
    path.chmod(stat.S_IMODE(before.st_mode))


def chosen_by(settings: Settings, names: Sequence[str]) -> list[Path]:
    """The documents these names and paths stand for, each once; all, if none is named. Raises InputError."""
    there = documents.paths(settings)
    if not names:
        return there
    index = _Index(defaultdict(list), {_place(path): path for path in there})
    for path in there:
        index.by_name[path.stem].append(path)
    return list(dict.fromkeys(path for name in names for path in _meant(settings.root, name, index)))


class _Index(NamedTuple):
    by_name: dict[str, list[Path]]
    by_place: dict[Path, Path]


def _meant(root: Path, name: str, index: _Index) -> list[Path]:
    """The documents that one name or path stands for: none for a page that is left out on purpose."""
    if "/" in name or name.endswith(".md"):
        places = [_place(folder / name) for folder in (Path.cwd(), root)]
        found = [index.by_place[place] for place in places if place in index.by_place]
        if found or any(_left_out(place, root) for place in places):
            return found[:1]
        if any(surroundings.exists(place) for place in places):
            raise InputError(f"{name} is no document.", "Documents are files NAME.md in runbooks/ and procedures/.")
    stem = Path(name).stem
    if stem not in index.by_name:
        raise InputError(f"There is no runbook or procedure named {stem}.", nearest(stem, index.by_name))
    return index.by_name[stem]


def _place(path: Path) -> Path:
    """Absolute, without links on the way to the file; the file itself may be one."""
    return path.parent.resolve() / path.name


def _left_out(path: Path, root: Path) -> bool:
    inside = path.relative_to(root) if path.is_relative_to(root) else Path()
    return (
        inside.parts[:1] in (("runbooks",), ("procedures",)) and documents.hidden(inside) and surroundings.exists(path)
    )
