"""Helpers of several commands: the project, tables, times."""

import argparse
import contextlib
import importlib
import keyword
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook import settings
from opsbook.console import columns
from opsbook.console.text import json_text, say, say_text
from opsbook.errors import InputError
from opsbook.settings import Settings

table = columns.table


def project(options: argparse.Namespace) -> Settings:
    """Settings of the project the command works on."""
    given: Path | None = options.project
    try:
        start = given or Path.cwd()
    except OSError as error:
        raise InputError("The folder you are in is not there any more.", "Go into your project.") from error
    return settings.load(start, given=given is not None)


class Command(argparse.ArgumentParser):
    """The parser of a sub-command. Its module is imported only when that sub-command is used, not to list its name."""

    module = ""

    def fill(self) -> None:
        """Add the module's arguments, once."""
        if not self.module:
            return
        module = importlib.import_module(self.module)
        self.module = ""
        self.description = module.__doc__
        module.configure(self)
        self.set_defaults(execute=module.execute)

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        self.fill()
        return super().parse_known_args(*arguments, **named)


def add_commands(parser: argparse.ArgumentParser, home: str, known: Mapping[str, str]) -> None:
    """Add sub-commands, each with its purpose; the module of each is `home` plus the command's name."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="|".join(known), parser_class=Command)
    for name, text in known.items():
        module = name.replace("-", "_")
        command = commands.add_parser(name, help=text)
        command.module = f"{home}{module}_" if keyword.iskeyword(module) else f"{home}{module}"


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option every printing command has."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_run(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """The argument that names a run."""
    parser.add_argument("run", nargs=nargs, help="an id, its beginning, or last")


def port(value: str) -> int:
    """The type of an option that names a port."""
    number = int(value)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def check_free(number: int) -> None:
    """Whether a server can listen on the port. Raises InputError, which servers would say late, and not in words."""
    import socket

    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", number))
    except OSError as error:
        raise InputError(f"Port {number} cannot be used: {error.strerror}.", "Name another one with --port.") from error


def print_json(value: Any) -> None:
    say_text(json_text(value, indent=2))


def tell(options: argparse.Namespace, value: Any, *lines: object) -> int:
    """Print the value as JSON if that was asked for, otherwise these lines; the exit code of success."""
    if options.json:
        print_json(value)
    else:
        for line in lines:
            say(line)
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
