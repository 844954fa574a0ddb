"""The command line: one table of commands, one error boundary. Each command is a separate module."""

import importlib
import os
import sys
import traceback
from pathlib import Path

from opsbook.cli import early
from opsbook.console import outlet
from opsbook.console.text import json_text, say, say_text
from opsbook.core.model.text import nearest
from opsbook.errors import Fault, InputError, OpsbookError

USAGE = """\
usage: opsbook [--project DIR] COMMAND …

Runbooks that run, with a record of every run.

{commands}

opsbook COMMAND --help says more of one. Exit codes: 0 succeeded · 1 failed, rolled back or nothing to
undo · 2 wrong input, nothing ran · 3 failed, not rolled back · 4 refused · 5 stopped half-way or
cancelled · 70 a fault in opsbook."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Only here are errors turned into messages."""
    if "_ARGCOMPLETE" in os.environ:
        return importlib.import_module("opsbook.cli.complete").answer()  # type: ignore[no-any-return]
    arguments = sys.argv[1:] if argv is None else argv
    verbose = "--verbose" in arguments
    arguments = [argument for argument in arguments if argument != "--verbose"]
    with outlet.opened() as out:
        code = _guarded(arguments, verbose=verbose)
        out.flush()
        return _told(code, out, arguments[:1])


def _guarded(arguments: list[str], *, verbose: bool) -> int:
    try:
        _check_text(arguments)
        return _command(arguments)
    except OpsbookError as error:
        _complain(error, as_json="--json" in arguments)
        return error.exit_code
    except KeyboardInterrupt:
        say("", "opsbook: interrupted; nothing was running.", to=sys.stderr)
        return 130
    except Exception as error:
        if verbose:
            say_text(traceback.format_exc(), to=sys.stderr)
        say(f"opsbook: a fault in opsbook itself: {type(error).__name__}: {error}", to=sys.stderr)
        if not verbose:
            say("  Run the same command with --verbose and report what it prints.", to=sys.stderr)
        return 70


def _check_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"The argument {argument!r} is not UTF-8.", "Nothing ran. Write it again.") from error


def _told(code: int, out: outlet.Outlet, command: list[str]) -> int:
    """The exit code: a command whose output was lost has failed, except on a closed pipe, or if it left a record."""
    if out.lost is None or isinstance(out.lost, BrokenPipeError):
        return code
    error = Fault(f"Standard output cannot be written: {out.lost.strerror}.", "Make room, or send it elsewhere.")
    _complain(error, as_json=False)
    return code if code or command in (["run"], ["resume"], ["rollback"]) else error.exit_code


def _command(arguments: list[str]) -> int:
    project, arguments = _project(arguments)
    if arguments[:1] == ["--version"]:
        import opsbook

        say(f"opsbook {opsbook.__version__}")
        return 0
    # The version is said without the commands.
    from opsbook.cli import parsers

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        lines = (f"  {name:<10} {command.text}" for name, command in parsers.COMMANDS.items() if command.text)
        say_text(USAGE.format(commands="\n".join(lines)))
        return 0
    name = arguments[0]
    if name not in parsers.COMMANDS:
        raise InputError(f"There is no command {name}. {nearest(name, parsers.COMMANDS)}", "opsbook --help lists them.")
    with early.kernel(name, arguments[1:]):
        options = parsers.parser(name).parse_args(arguments[1:])
        options.project = project
        return options.command.function()(options)  # type: ignore[no-any-return]


def _project(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Split off `--project DIR`, which comes before the command."""
    if arguments[:1] == ["--project"] and len(arguments) > 1:
        return Path(arguments[1]), arguments[2:]
    if arguments and arguments[0].startswith("--project="):
        return Path(arguments[0].partition("=")[2]), arguments[1:]
    return None, arguments


def _complain(error: OpsbookError, *, as_json: bool) -> None:
    if as_json:
        content = {"error": error.message.split("\n"), "hint": error.hint, "exit_code": error.exit_code}
        say_text(json_text(content), to=sys.stderr)
        return
    for line in error.message.split("\n"):
        say(f"opsbook: {line}", to=sys.stderr)
    if error.hint:
        say(f"  {error.hint}", to=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
