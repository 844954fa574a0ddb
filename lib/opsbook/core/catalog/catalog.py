"""The documents of a project: where they are, which names are allowed, how one is read, and all of them by name."""

import os
import re
import signal
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import playbook_prompts
from opsbook.core.model.front import FrontMatter
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules import lint
from opsbook.core.rules.base import Check
from opsbook.core.source import front, notebook
from opsbook.core.source.page_name import FOLDERS, NAMES, is_folder_page, name_of, usable
from opsbook.core.source.problem import Problem
from opsbook.errors import InputError
from opsbook.settings import Settings

_WORTH_A_PROCESS = 100
"""Number of documents that take longer to read than a process takes to start."""


def paths(settings: Settings) -> list[Path]:
    """Every document, sorted by path. What starts with `.` or `_` and `recordings/` are not read, but for _index.md."""
    found = [p for folder in FOLDERS for p in (settings.content / folder).rglob("*.md")]
    return sorted(p for p in found if not hidden(p.relative_to(settings.content)))


def hidden(path: Path) -> bool:
    """Whether documents at this path, relative to the project root, are ignored."""
    parts = path.parent.parts if is_folder_page(path) else path.parts
    return any(part.startswith((".", "_")) or part == "recordings" for part in parts)


def text_of(path: Path, root: Path) -> str:
    """The page's text. Raises OSError, also if it is not a file of the project in `root`, and UnicodeDecodeError."""
    if path.is_dir():
        raise OSError(0, "it is not a file")
    return (
        files.read(path, within=root).decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    )


def document(
    path: Path, root: Path, known: lint.Known, checks: Iterable[Check] = lint.CHECKS
) -> tuple[Runbook | None, list[Problem]]:
    """The document, None if it cannot be read, and every problem found by reading it and by these checks."""
    shown = str(path.relative_to(root))
    problems = []
    if not usable(path.stem) and not is_folder_page(path):
        problems.append(Problem(shown, 1, 1, "D007", f"this is no usable name; {NAMES}"))
    try:
        content = text_of(path, root)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return None, [*problems, Problem(shown, line, 1, "D008", f"not UTF-8, first bad byte at line {line}")]
    except OSError as error:
        return None, [*problems, Problem(shown, 1, 1, "D006", f"cannot be read: {error.strerror}")]
    try:
        runbook, found = notebook.parse(content, shown)
        if runbook.bare and usable(runbook.name):
            said = f"the file's name is not usable, so the page is called {runbook.name}; {NAMES}"
            problems = [replace(problem, message=said, warning=True) for problem in problems]
        return runbook, problems + lint.problems(runbook, found, known, checks)
    except (RecursionError, MemoryError):
        # Which of the two Python raises depends on its version and on the depth.
        return None, [*problems, Problem(shown, 1, 1, "D006", "cannot be read: its code is nested too deeply")]


def every(
    found: Sequence[Path], root: Path, known: lint.Known, checks: Sequence[Check] = lint.CHECKS
) -> list[tuple[Runbook | None, list[Problem]]]:
    """`document` for each path, in order; many documents are read by parallel processes."""
    read = partial(document, root=root, known=known, checks=checks)
    workers = min(os.cpu_count() or 1, len(found) // _WORTH_A_PROCESS)
    if workers < 2:
        return list(map(read, found))
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Not fork: the caller may have threads, and a lock that one of them holds would stay locked in the child.
    start = multiprocessing.get_context("spawn")
    # Ctrl-C is for this process alone.
    ignored = signal.SIGINT, signal.SIG_IGN
    with ProcessPoolExecutor(workers, mp_context=start, initializer=signal.signal, initargs=ignored) as pool:
        return list(pool.map(read, found, chunksize=_WORTH_A_PROCESS // 4))


def known(settings: Settings) -> lint.Known:
    """What rules need before a run. Links and alerts are not checked: a page with a dead link may run."""
    asked = playbook_prompts.of_project(settings)
    return lint.Known(frozenset(path.name for path in settings.playbooks.glob("*.yml")), prompts=asked)


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
        text = text_of(path, root)
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
    runbook, problems = document(path, settings.content, known(settings))
    errors = [str(problem) for problem in sorted(problems) if not problem.warning]
    if errors or runbook is None:
        place = path.relative_to(settings.content)
        raise InputError(errors, f"Correct {place}; opsbook check {name} shows the same list.")
    return runbook


def required(settings: Settings, name: str) -> list[str]:
    """Names of the parameters without a default; none if the page cannot be read, which running it reports."""
    try:
        page, _ = notebook.parse(text_of(find(settings, name), settings.content), name)
    except (InputError, OSError, UnicodeDecodeError, RecursionError, MemoryError):
        return []
    return [each.name for each in page.parameters if each.required]
