"""The documents of a project, by name."""

import re
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from opsbook.errors import InputError
from opsbook.model.front import FrontMatter
from opsbook.model.runbook import Runbook
from opsbook.model.text import nearest
from opsbook.settings import Settings
from opsbook.source import front, lint, notebook
from opsbook.source.problem import Problem

FOLDERS = ("runbooks", "procedures")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A name becomes part of a run's id, of folders and of commands to copy."""


@dataclass(frozen=True)
class Entry:
    """A document as a list shows it. `path` is relative to the project root."""

    name: str
    path: Path
    front: FrontMatter
    title: str


def paths(settings: Settings) -> list[Path]:
    """Every document, sorted by path. Folders starting with `.` or `_` and `recordings/` are not read."""
    found = [p for folder in FOLDERS for p in (settings.root / folder).rglob("*.md")]
    return sorted(p for p in found if not _hidden(p.relative_to(settings.root)))


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) or part == "recordings" for part in path.parts)


def entries(settings: Settings) -> list[Entry]:
    """Every document with its front matter, sorted by name; a broken one is listed by its name.

    What cannot be read at all is left out: `check` says why.
    """
    found = (_entry(path, settings.root) for path in paths(settings))
    return sorted((entry for entry in found if entry is not None), key=lambda e: e.name)


def _entry(path: Path, root: Path) -> Entry | None:
    try:
        text = _text(path)
    except UnicodeDecodeError:
        return Entry(path.stem, path.relative_to(root), FrontMatter(), path.stem)
    except OSError:
        return None
    matter, _ = front.parse(text, str(path))
    heading = next((line[2:].strip() for line in text.split("\n") if line.startswith("# ")), "")
    return Entry(path.stem, path.relative_to(root), matter, matter.title or heading or path.stem)


def _text(path: Path) -> str:
    """The page's text. Raises OSError, also for what is no file, and UnicodeDecodeError."""
    if not stat.S_ISREG(path.stat().st_mode):
        # A pipe or a device would be read for ever.
        raise OSError(0, "it is not a file")
    return path.read_bytes().decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")


def _document(path: Path, root: Path, known: lint.Known) -> tuple[Runbook | None, list[Problem]]:
    """The document, unless it cannot be read, and every problem in it."""
    shown = str(path.relative_to(root))
    problems = []
    if not _NAME.fullmatch(path.stem):
        text = "this is no usable name; take up to 80 letters, digits, - and _, and start with a letter or digit"
        problems.append(Problem(shown, 1, 1, "D007", text))
    try:
        text = _text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return None, [*problems, Problem(shown, line, 1, "D008", f"not UTF-8, first bad byte at line {line}")]
    except OSError as error:
        return None, [*problems, Problem(shown, 1, 1, "D006", f"cannot be read: {error.strerror}")]
    try:
        runbook, found = notebook.parse(text, shown)
        return runbook, problems + found + lint.document(runbook, known)
    except RecursionError:
        return None, [*problems, Problem(shown, 1, 1, "D006", "cannot be read: its code is nested too deeply")]


def find(settings: Settings, name: str) -> Path:
    """The path of the document with this name. Raises InputError with the nearest name."""
    by_name = defaultdict(list)
    for path in paths(settings):
        by_name[path.stem].append(path)
    if "/" in name or name.endswith(".md"):
        stem = Path(name).stem
        hint = f"Write opsbook … {stem}." if stem in by_name else nearest(stem, by_name)
        raise InputError(f"{name} is a path; a runbook is called by its name.", hint)
    if name not in by_name:
        raise InputError(f"There is no runbook or procedure named {name}.", nearest(name, by_name))
    if len(by_name[name]) > 1:
        places = ", ".join(str(p.relative_to(settings.root)) for p in by_name[name])
        raise InputError(f"{name} is there more than once: {places}.", "Rename all but one.")
    return by_name[name][0]


def load(settings: Settings, name: str) -> Runbook:
    """The document with this name, fit to run. Raises InputError with every error lint finds in it."""
    path = find(settings, name)
    runbook, problems = _document(path, settings.root, _known(settings))
    errors = [str(problem) for problem in sorted(problems) if not problem.warning]
    if errors or runbook is None:
        place = path.relative_to(settings.root)
        raise InputError(errors, f"Correct {place}; opsbook check {name} shows the same list.")
    return runbook


def check(settings: Settings, names: list[str]) -> list[Problem]:
    """Every problem of the named documents (all, if none is named), sorted by place."""
    chosen = [find(settings, Path(name).stem) for name in names] if names else paths(settings)
    known = _known(settings)
    problems = _duplicates(settings)
    for path in chosen:
        problems += _document(path, settings.root, known)[1]
    return sorted(set(problems))


def _known(settings: Settings) -> lint.Known:
    return lint.Known(frozenset(path.name for path in settings.playbooks.glob("*.yml")))


def _duplicates(settings: Settings) -> list[Problem]:
    seen: dict[str, Path] = {}
    problems = []
    for path in paths(settings):
        first = seen.setdefault(path.stem, path)
        if first is not path:
            shown = path.relative_to(settings.root)
            text = f"the name {path.stem} is already taken by {first.relative_to(settings.root)}"
            problems.append(Problem(str(shown), 1, 1, "D005", text))
    return problems
