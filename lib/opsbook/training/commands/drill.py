"""Drills: inject a fault into a sandbox, and see how long it takes to find and to mend it."""

import argparse

from opsbook.console import common

COMMANDS = {
    "list": "what drills there are",
    "start": "bring the fault in, and start the clock",
    "status": "how far the drill is",
    "hint": "the next hint; it costs points",
    "diagnose": "say which runbook mends it",
    "stop": "end it, put everything right, and say what it was worth",
}
"""Sub-commands and what they are for; each is a module drill_NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_commands(parser, "opsbook.training.commands.drill_", COMMANDS)


def execute(options: argparse.Namespace) -> int:
    return int(options.execute(options))
