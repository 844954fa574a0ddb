"""Every command with its usage and its arguments, as Markdown.

Written from the parsers, since argparse's own help depends on the terminal and on the version of Python.
"""

import argparse
from collections.abc import Iterator

from opsbook.cli.parsers import COMMANDS, Command, parser
from tools.reference.text import fence, link, sentence, table

WIDTH = 88
"""Characters of a usage line."""

_HEAD = """\
```text
opsbook [--project DIR] [--verbose] COMMAND …
opsbook --help
opsbook --version
```

`--project DIR` works on the project in that folder; without it, on the project that contains the current folder.
`--verbose` shows the traceback of a fault in opsbook itself. `opsbook COMMAND --help` shows what this page says of one
command. [Exit codes and outcomes](exit-codes.md) lists how every command ends.
"""


def body() -> str:
    shown = {name: command.text for name, command in COMMANDS.items() if command.text}
    return "\n".join([_HEAD, _list("", shown), *(_section(parser(name), "##") for name in shown)])


def _list(before: str, commands: dict[str, str]) -> str:
    rows = [(f"[{before}{name}]({link(before + name)})", text) for name, text in commands.items()]
    return table(("command", "what it is for"), rows)


def _section(parser: Command, level: str) -> str:
    name = parser.prog.removeprefix("opsbook ")
    parts = [f"{level} {name}\n", f"{parser.about()}\n", fence("text", _usage(parser))]
    inner = _inner(parser)
    if arguments := [each for each in _arguments(parser) if each is not inner]:
        rows = [(f"`{_label(each)}`", _told(each)) for each in arguments]
        parts.append(table(("argument", "what it is for"), rows))
    if inner:
        texts = {each.dest: each.help or "" for each in inner._choices_actions}
        parts.append(_list(f"{name} ", texts))
        parts += [_section(_named(inner.choices[each], f"{name} {each}"), "###") for each in texts]
    return "\n".join(parts)


def _named(parser: Command, name: str) -> Command:
    """A sub-command's parser under its plain name: argparse's own name holds arguments of the outer command."""
    parser.prog = f"opsbook {name}"
    return parser


def _inner(parser: Command) -> "argparse._SubParsersAction[Command] | None":
    """The sub-commands of a command."""
    return next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Arguments in the order of the usage: positional, required options, other options."""
    found = [each for each in parser._actions if each.help != argparse.SUPPRESS and each.dest != "help"]
    return iter(sorted(found, key=lambda each: (bool(each.option_strings), not each.required)))


def _value(action: argparse.Action) -> str:
    """The placeholder of the argument's value; empty for an option without one."""
    if action.nargs == 0:
        return ""
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper().replace("_", "-")
    return f"{name} …" if action.nargs in ("*", "+") else name


def _label(action: argparse.Action) -> str:
    return f"{', '.join(action.option_strings)} {_value(action)}".strip()


def _told(action: argparse.Action) -> str:
    choices = f" One of {', '.join(f'`{each}`' for each in action.choices)}." if action.choices else ""
    return sentence((action.help or "") % vars(action)) + choices


def _usage(parser: argparse.ArgumentParser) -> str:
    """The usage in lines of a fixed width; an option and its value stay on one line."""
    lines = [parser.prog]
    for part in map(_part, _arguments(parser)):
        if len(f"{lines[-1]} {part}") > WIDTH:
            lines.append("   ")
        lines[-1] += f" {part}"
    return "\n".join(lines)


def _part(action: argparse.Action) -> str:
    if isinstance(action, argparse._SubParsersAction):
        return "COMMAND …" if action.required else "[COMMAND …]"
    text = f"{action.option_strings[0]} {_value(action)}".strip() if action.option_strings else _value(action)
    optional = not action.required if action.option_strings else action.nargs in ("?", "*")
    often = " …" if isinstance(action, argparse._AppendAction) else ""
    return (f"[{text}]" if optional else text) + often
