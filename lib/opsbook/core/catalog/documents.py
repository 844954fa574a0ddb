"""Documents as files: where they are, which names are allowed, and how one is read."""

import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import playbook_prompts
from opsbook.core.model.runbook import Runbook
from opsbook.core.rules import lint
from opsbook.core.rules.base import Check
from opsbook.core.source import notebook
from opsbook.core.source.page_name import FOLDERS, NAMES, is_folder_page, usable
from opsbook.core.source.problem import Problem
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


def text(path: Path, root: Path) -> str:
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
        content = text(path, root)
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
    with ProcessPoolExecutor(workers, mp_context=start, initializer=_leave_interrupts) as pool:
        return list(pool.map(read, found, chunksize=_WORTH_A_PROCESS // 4))


def _leave_interrupts() -> None:
    """Ignore Ctrl-C in workers: the parent process handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def known(settings: Settings) -> lint.Known:
    """What rules need before a run. Links and alerts are not checked: a page with a dead link may run."""
    asked = playbook_prompts.of_project(settings)
    return lint.Known(frozenset(path.name for path in settings.playbooks.glob("*.yml")), prompts=asked)
