"""The training plan: who has passed what, sign-offs, and certificates."""

import argparse

from opsbook.console import common

COMMANDS = {
    "status": "who has passed what, what is due, and what to do next",
    "sign-off": "sign that somebody else passed a drill",
    "certificate": "a passed drill, with its points, and who signed it off",
}
"""Sub-commands and what they are for; each is a module training_NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_commands(parser, "opsbook.training.commands.training_", COMMANDS)
