"""Helpers of several commands: the project, tables, times."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook import files, settings
from opsbook.console.text import json_text, say, say_text
from opsbook.core.model.text import flat, quoted
from opsbook.errors import InputError
from opsbook.settings import Settings

_PROSE = 26
"""From this many characters, a cell with spaces may be wrapped; a time with its zone has 25."""

_NARROWEST = 24
"""The least width of a wrapped text, in columns."""


def project(options: argparse.Namespace) -> Settings:
    """Settings of the project the command works on."""
    given: Path | None = options.project
    try:
        start = given or Path.cwd()
    except OSError as error:
        raise InputError("The folder you are in is not there any more.", "Go into your project.") from error
    return settings.load(start, given=given is not None)


def check_free(number: int) -> None:
    """Whether a server can listen on the port. Raises InputError, which servers would say late, and not in words."""
    import socket

    with files.saying(f"Port {number} cannot be used", "Name another one with --port."), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", number))


def tell(options: argparse.Namespace, value: Any, *lines: object, code: int = 0) -> int:
    """Print the value as JSON if that was asked for, otherwise these lines; the exit code."""
    if options.json:
        say_text(json_text(value, indent=2))
    else:
        for line in lines:
            say(line)
    return code


def tell_rows(
    options: argparse.Namespace, value: Any, columns: Sequence[str], rows: Sequence[Sequence[object]], none: str
) -> int:
    """Print the value as JSON if that was asked for, otherwise a table, or a sentence if there are no rows."""
    if options.json or not rows:
        return tell(options, value, none)
    table(columns, rows)
    return 0


def local(time: str | None) -> str:
    """A UTC time of a record in local time, with offset."""
    if not time:
        return "—"
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    except (ValueError, OverflowError, OSError):
        return time


@contextlib.contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; call the yielded function with the amount done and the total."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.progress import Progress

    from opsbook.console.steady import Steady

    with Progress(console=Steady(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal; on a pipe, two spaces between columns. A word, such as an id, is never cut."""
    # A cell that could look like several is quoted.
    cells = [[quoted(text) if "  " in text else flat(text) for text in map(str, row)] for row in rows]
    if sys.stdout.isatty():
        _on_terminal(names, cells)
        return
    widths = [max(len(row[n]) for row in [list(names), *cells]) for n in range(len(names))]
    for row in [list(names), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _on_terminal(names: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    widths = _widths([list(column) for column in zip(names, *cells, strict=True)], console.width)
    if widths is None:
        for row in [list(names), *cells]:
            for line in _in_lines(row, console.width):
                say(line)
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, width in zip(names, widths, strict=True):
        shown.add_column(Text(name), width=width)
    for row in cells:
        shown.add_row(*map(Text, row))
    console.print(shown)


def _widths(columns: list[list[str]], room: int) -> list[int] | None:
    """The width of each column: texts share the space that the others leave. None if a word would not fit."""
    from rich.cells import cell_len

    whole = [max(map(cell_len, column)) for column in columns]
    least = [_least(column) for column in columns]
    # rich puts three characters between two columns (space, invisible line, space), and one at each edge.
    spare = room - 3 * (len(columns) - 1) - 2 - sum(least)
    if spare < 0:
        return None
    for number, width in enumerate(whole):
        more = min(spare, width - least[number])
        least[number], spare = least[number] + more, spare - more
    return least


def _least(column: list[str]) -> int:
    """The least width of a column: a text may be wrapped between words, anything else stays on one line."""
    from rich.cells import cell_len

    def least(cell: str) -> int:
        if " " not in cell.strip() or cell_len(cell) < _PROSE:
            return cell_len(cell)
        return max(_NARROWEST, *map(cell_len, cell.split()))

    return max(map(least, column))


def _in_lines(row: list[str], room: int) -> Iterator[str]:
    """A row too long for one line: its first cell, and the others below it, wrapped between cells."""
    from rich.cells import cell_len

    yield row[0]
    line = ""
    for cell in filter(None, row[1:]):
        if line and cell_len(line) + 2 + cell_len(cell) > room:
            yield line
            line = ""
        line += f"  {cell}"
    if line:
        yield line
