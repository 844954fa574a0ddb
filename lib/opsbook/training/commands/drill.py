"""Drills: inject a fault into a sandbox, and see how long it takes to find and to mend it."""

import argparse

from opsbook.console import common

COMMANDS = {
    "list": "what drills there are",
    "start": "inject the fault, and start the clock",
    "status": "the state of the drill",
    "hint": "the next hint; it costs points",
    "diagnose": "say which runbook mends it",
    "stop": "end it, roll back its fault, and show the result",
}
"""Sub-commands and what they are for; each is a module drill_NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_commands(parser, "opsbook.training.commands.drill_", COMMANDS)
