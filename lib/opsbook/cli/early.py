"""Start the kernel, which takes longest, before anything else is imported."""

import contextlib
import re
import sys
from collections.abc import Iterator

_FLAGS = frozenset({"-y", "--yes", "--json", "--check", "--wait", "--no-wait", "--pause-on-failure", "--detach"})
_UNASKED = frozenset({"-y", "--yes", "--json", "--check"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@contextlib.contextmanager
def kernel(command: str, arguments: list[str]) -> Iterator[None]:
    """Start a kernel for a probable run. If a person is asked first, the kernel starts after the answer instead."""
    name = _runbook(arguments) if command == "run" and not _asks_first(arguments) else None
    if name is None:
        yield
        return
    from opsbook.core.engine.process import spare

    spare.prepare(name)
    try:
        yield
    finally:
        spare.abandon()


def _asks_first(arguments: list[str]) -> bool:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    # With --detach the process forks first, so a kernel prepared here would be lost.
    return bool({"-h", "--help", "--detach"} & set(arguments)) or (terminal and not _UNASKED & set(arguments))


def _runbook(arguments: list[str]) -> str | None:
    """The first argument that is neither an option nor an option's value. A wrong guess costs only a kernel."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            return argument if _NAME.fullmatch(argument) else None
        if "=" not in argument and argument not in _FLAGS:
            next(rest, None)
    return None
