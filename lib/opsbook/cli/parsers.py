"""The commands and their arguments: commands.toml, and the arguments.toml beside the code of each feature's commands.

An argument is written as in a usage: `"run?"` and `"runs*"` for one or any number of them, `"--all"` for a switch,
`"--to PLACE"` for a value, `"--label NAME=VALUE …"` for one that may be given often. What it is for follows, or a table
with `help` and more of argparse's words; `either` for those that exclude each other. `code` is the function that a
command calls, as MODULE:FUNCTION beside its arguments.toml: without it, `execute` in the module of the command's name.
A command with a function and commands of its own may be called without one of them.
"""

import argparse
import importlib
import inspect
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_ROOT = Path(__file__).parents[1]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write one such as 18400")
    return int(text)


def _port(text: str) -> int:
    if not 0 < _number(text) < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


_TYPES = {"path": Path, "int": int, "number": _number, "port": _port}


class CommandEntry(NamedTuple):
    """A command's feature and purpose. A command without a purpose is internal, and not listed."""

    feature: str
    text: str


def _read(path: str) -> dict[str, Any]:
    return tomllib.loads((_ROOT / path).read_text(encoding="utf-8"))


COMMANDS = {name: CommandEntry(*told) for name, told in _read("cli/commands.toml").items()}


class Command(argparse.ArgumentParser):
    """The parser of a command. The code of the command is imported when it runs, or to say what it is for."""

    code = ""

    def __init__(self, **words: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **words)

    def function(self) -> Callable[[argparse.Namespace], int]:
        """The function of the command: it takes the options, and returns the exit code."""
        module, _, function = self.code.partition(":")
        found: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), function or "execute")
        return found

    def about(self) -> str:
        """What the command is for: what its function says, or else the module of that."""
        if self.description:
            return self.description
        function = self.function()
        return inspect.cleandoc(function.__doc__ or sys.modules[function.__module__].__doc__ or "")

    def format_help(self) -> str:
        self.description = self.about()
        return super().format_help()


def parser(name: str) -> Command:
    """The parser of a command, with its sub-commands; the parsed options have the `command` that was named."""
    found = Command(prog=f"opsbook {name}")
    fill(found, name)
    return found


def fill(found: argparse.ArgumentParser, name: str) -> None:
    """Add the arguments of a command to a parser."""
    home = f"{COMMANDS[name].feature}/commands"
    told = _read(f"{home}/arguments.toml")[name]
    _fill(found, {"code": name, **told}, f"opsbook.{home}.".replace("/", "."))


def _fill(found: argparse.ArgumentParser, told: dict[str, Any], home: str) -> None:
    code, found.description, inner = told.pop("code"), told.pop("about", None), told.pop("commands", {})
    if isinstance(found, Command):
        found.code = home + code
        found.set_defaults(command=found)
    either = next((each["either"] for each in told.values() if "either" in each), "")
    group = found.add_mutually_exclusive_group(required=either == "one") if either else found
    for key, argument in told.items():
        for name, each in _read("cli/arguments.toml")[key].items() if "shared" in argument else [(key, argument)]:
            names, words = _argument(name, each)
            (group if "either" in each else found).add_argument(*names, **words)
    if inner:
        commands = found.add_subparsers(
            dest="what", required=":" not in code, metavar="|".join(inner), parser_class=Command
        )
        for name, each in inner.items():
            text = each.pop("text")
            _fill(commands.add_parser(name, help=text), each, home)


def _argument(written: str, told: str | dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The names of an argument, and what argparse is told of it."""
    words = {"help": told} if isinstance(told, str) else {k: v for k, v in told.items() if k != "either"}
    words |= {"type": _TYPES[words["type"]]} if "type" in words else {}
    names = [word for word in written.split() if word.startswith("-")]
    if not names:
        name = written.rstrip("?*")
        return [name], words | ({} if name == written else {"nargs": written[-1]})
    match written.split()[len(names) :]:
        case []:
            words.setdefault("action", "store_true")
        case [metavar, *often]:
            words |= {"action": "append", "default": []} if often else {}
            # For argparse, a word for the value hides its choices.
            words |= {} if "choices" in words else {"metavar": metavar}
    return names, words
