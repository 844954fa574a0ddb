"""The training plan: who has passed what, what somebody else signed off, and what can be shown for it."""

import argparse
import importlib

COMMANDS = {
    "status": "who has passed what, what is due, and what to do next",
    "sign-off": "sign that somebody else passed a drill",
    "certificate": "what somebody passed, with how many points, and who signed it off",
}
"""Sub-commands and what they are for; each is a module training_NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="|".join(COMMANDS))
    for name, text in COMMANDS.items():
        module = importlib.import_module(f"opsbook.cli.training_{name.replace('-', '_')}")
        command = commands.add_parser(name, help=text, description=module.__doc__)
        module.configure(command)
        command.set_defaults(execute=module.execute)


def execute(options: argparse.Namespace) -> int:
    return int(options.execute(options))
