"""What runs left behind: list, show and compare records, verify, anchor, move, keep and remove them."""

import argparse

from opsbook.console import common

COMMANDS = {
    "list": "newest first",
    "show": "what a run did, step by step",
    "diff": "what differs between two runs",
    "verify": "compare every file with the seal",
    "anchor": "write what is sealed to a place where it cannot be changed",
    "export": "write sealed records into one archive",
    "import": "take the records of such an archive in",
    "scan": "look for secrets, as they are known today",
    "restore": "bring a record back from quarantine",
    "prune": "remove what the retention policy no longer keeps",
    "hold": "keep a record whatever the retention policy says",
    "release": "end such a hold",
}
"""Sub-commands and what they are for; each is a module NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_commands(parser, "opsbook.records.commands.", COMMANDS)


def execute(options: argparse.Namespace) -> int:
    return int(options.execute(options))
