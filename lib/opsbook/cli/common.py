"""What several commands share: the project, tables, plain text."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook import settings
from opsbook.settings import Settings

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def project(options: argparse.Namespace) -> Settings:
    """Settings of the project the command works on."""
    given: Path | None = options.project
    return settings.load(given or Path.cwd(), given=given is not None)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option every printing command has."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def plain(text: str) -> str:
    """Text of hosts and programs without anything a terminal would obey."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def local(time: str | None) -> str:
    """A UTC time of a record in local time, with offset."""
    if not time:
        return "—"
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal; on a pipe, columns with two spaces between."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table

        shown = Table(*names, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for row in cells:
            shown.add_row(*(cell.replace("[", "\\[") for cell in row))
        Console().print(shown)
        return
    widths = [max(len(row[n]) for row in [list(names), *cells]) for n in range(len(names))]
    for row in [list(names), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
