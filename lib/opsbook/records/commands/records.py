"""Records of runs: list, show, compare, verify, anchor, move, keep and remove them."""

import argparse

from opsbook.console import common

COMMANDS = {
    "list": "newest first",
    "show": "what a run did, step by step",
    "diff": "what differs between two runs",
    "verify": "compare every file with the seal",
    "anchor": "write the digests of seals to a place that is safe from changes",
    "export": "write sealed records into one archive",
    "import": "import the records of such an archive",
    "adopt": "go on with an imported record, by a signature",
    "scan": "search records for current secrets",
    "restore": "move a record out of quarantine",
    "prune": "remove what the retention policy no longer keeps",
    "hold": "keep a record regardless of the retention policy",
    "release": "end such a hold",
}
"""Sub-commands and what they are for; each is a module NAME beside this one."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_commands(parser, "opsbook.records.commands.", COMMANDS)
