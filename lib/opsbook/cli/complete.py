"""Shell completion: the parser of the typed command, and the values of its arguments.

The shell sets _ARGCOMPLETE and reads the answer from a separate descriptor. Every error is suppressed: completion
must never print a traceback.
"""

import argparse
import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from argcomplete.completers import SuppressCompleter
from argcomplete.finders import CompletionFinder
from argcomplete.lexers import split_line

from opsbook import settings
from opsbook.cli import complete_values
from opsbook.cli.complete_values import Typed
from opsbook.cli.parsers import COMMANDS, fill

_FILES = {"params_file": False, "project": True, "to": False, "archive": False}
"""Arguments that name a path, and whether it must be a folder."""


def answer() -> int:
    """Answer the shell. Returns 1 if there is nothing to offer; otherwise the process ends here."""
    with contextlib.suppress(Exception):
        words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
        command = _command(words[1:])
        if command and not (command in COMMANDS and COMMANDS[command].text):
            return 1
        finder: Any = _Finder()
        finder(_parser(command), always_complete_options=False, default_completer=SuppressCompleter())
    return 1


class _Finder(CompletionFinder):
    """Offers options after a dash, and where there is nothing else to offer."""

    def collect_completions(
        self, active_parsers: list[argparse.ArgumentParser], parsed_args: argparse.Namespace, cword_prefix: str
    ) -> list[str]:
        found = super().collect_completions(active_parsers, parsed_args, cword_prefix)
        if found or cword_prefix:
            return found
        self.always_complete_options = "long"
        return super().collect_completions(active_parsers, parsed_args, cword_prefix)


def _command(words: list[str]) -> str:
    """The command among the words before the cursor; empty if it is not typed yet."""
    rest = iter(words)
    for word in rest:
        if word == "--project":
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


def _parser(command: str) -> argparse.ArgumentParser:
    """A parser with every command's name, and the arguments of this command."""
    root = argparse.ArgumentParser(prog="opsbook")
    root.add_argument("--project", type=Path, help="work on the project in this folder")
    root.add_argument("--version", action="store_true", help="print the version")
    names = root.add_subparsers()
    for name, about in COMMANDS.items():
        if about.text:
            parser = names.add_parser(name, help=about.text)
            if name == command:
                fill(parser, name)
    for name, action in _actions(root, ""):
        action.completer = partial(_values, name, action.dest)  # type: ignore[attr-defined]
    return root


def _actions(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.Action]]:
    """Every argument that takes a value, with the command it belongs to, such as `records show`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, parsers in action.choices.items():
                yield from _actions(parsers, f"{name} {inner}".strip())
        elif action.choices is None and action.nargs != 0:
            yield name, action


def _values(command: str, dest: str, *, prefix: str, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    """The values of one argument, as argcomplete asks for them, and what each is; none if they are unavailable."""
    if dest in _FILES:
        return dict.fromkeys(_paths(prefix, folders=_FILES[dest]), "")
    keys = (f"{command} {dest}", f"{command.partition(' ')[0]} {dest}", dest)
    source = next((complete_values.SOURCES[key] for key in keys if key in complete_values.SOURCES), None)
    if source is None:
        return {}
    with contextlib.suppress(Exception):
        given = getattr(parsed_args, "project", None)
        project = settings.load(given or Path.cwd(), given=given is not None)
        return dict(source(Typed(project, prefix, vars(parsed_args))))
    return {}


def _paths(prefix: str, *, folders: bool) -> Iterator[str]:
    """Files and folders with this prefix; a folder ends with a slash, so that completion can continue in it."""
    inside, slash, name = prefix.rpartition("/")
    folder = Path(inside + slash or ".").expanduser()
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and not name.startswith(".")
        if path.name.startswith(name) and not hidden and (path.is_dir() or not folders):
            yield f"{inside}{slash}{path.name}{'/' if path.is_dir() else ''}"
