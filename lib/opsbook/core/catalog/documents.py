"""Documents as files: where they are, what they may be called, and how one is read."""

import os
import re
import signal
import stat
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from opsbook.core.catalog import playbook_prompts
from opsbook.core.model.runbook import Runbook
from opsbook.core.rules import lint
from opsbook.core.rules.base import Check
from opsbook.core.source import notebook
from opsbook.core.source.problem import Problem
from opsbook.settings import Settings

FOLDERS = ("runbooks", "procedures")

_WORTH_A_PROCESS = 100
"""Documents that take longer to read than a process takes to start."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A name becomes part of a run's id, of folders and of commands to copy."""

NAMES = "take up to 80 letters, digits, - and _, and start with a letter or digit"
"""What a usable name is, in words."""


def paths(settings: Settings) -> list[Path]:
    """Every document, sorted by path. Folders starting with `.` or `_` and `recordings/` are not read."""
    found = [p for folder in FOLDERS for p in (settings.root / folder).rglob("*.md")]
    return sorted(p for p in found if not hidden(p.relative_to(settings.root)))


def hidden(path: Path) -> bool:
    """Is a document at this place, relative to the project root, left out on purpose?"""
    return any(part.startswith((".", "_")) or part == "recordings" for part in path.parts)


def usable(name: str) -> bool:
    """Can a document have this name?"""
    return _NAME.fullmatch(name) is not None


def text(path: Path) -> str:
    """The page's text. Raises OSError, also for what is no file, and UnicodeDecodeError."""
    if not stat.S_ISREG(path.stat().st_mode):
        # A pipe or a device would be read for ever.
        raise OSError(0, "it is not a file")
    return path.read_bytes().decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def document(
    path: Path, root: Path, known: lint.Known, checks: Iterable[Check] = lint.CHECKS
) -> tuple[Runbook | None, list[Problem]]:
    """The document, unless it cannot be read, and every problem in it that reading it and these checks find."""
    shown = str(path.relative_to(root))
    problems = []
    if not usable(path.stem):
        problems.append(Problem(shown, 1, 1, "D007", f"this is no usable name; {NAMES}"))
    try:
        content = text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return None, [*problems, Problem(shown, line, 1, "D008", f"not UTF-8, first bad byte at line {line}")]
    except OSError as error:
        return None, [*problems, Problem(shown, 1, 1, "D006", f"cannot be read: {error.strerror}")]
    try:
        runbook, found = notebook.parse(content, shown)
        return runbook, problems + lint.problems(runbook, found, known, checks)
    except (RecursionError, MemoryError):
        # Python says the one or the other, by version and depth.
        return None, [*problems, Problem(shown, 1, 1, "D006", "cannot be read: its code is nested too deeply")]


def every(
    found: Sequence[Path], root: Path, known: lint.Known, checks: Sequence[Check] = lint.CHECKS
) -> list[tuple[Runbook | None, list[Problem]]]:
    """What `document` says of each of these, in their order; many of them are read by as many processes as can run."""
    read = partial(document, root=root, known=known, checks=checks)
    workers = min(os.cpu_count() or 1, len(found) // _WORTH_A_PROCESS)
    if workers < 2:
        return list(map(read, found))
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # A fork would take the threads of whoever asks along, half of them in the middle of something.
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=start, initializer=_leave_interrupts) as pool:
        return list(pool.map(read, found, chunksize=_WORTH_A_PROCESS // 4))


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that a person started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def known(settings: Settings) -> lint.Known:
    """What a run relies on. Links and alerts are not looked at: a dead link is no reason not to run a page."""
    asked = playbook_prompts.of_project(settings)
    return lint.Known(frozenset(path.name for path in settings.playbooks.glob("*.yml")), prompts=asked)
