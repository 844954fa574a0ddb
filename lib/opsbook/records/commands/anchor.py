"""Write the digest of every new seal to a place outside the records folder.

The place is a file, or git:REMOTE or git:REMOTE#BRANCH; --to names it, or anchor in opsbook.toml. From then on, a
record that was removed or sealed anew is reported by opsbook records verify. Each records folder needs its own place.
"""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import number_of
from opsbook.records import anchoring


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="PLACE", help="a file, git:REMOTE or git:REMOTE#BRANCH")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    done = anchoring.anchor(common.project(options), options.to)
    if options.json:
        common.print_json(asdict(done))
        return 0
    if done.records or done.pruned:
        pruned = f", {len(done.pruned)} pruned" if done.pruned else ""
        say(f"{number_of(len(done.records), 'record')} anchored{pruned} in {done.place}, line {done.seq}")
    else:
        say(f"Nothing is new since {done.time or 'ever'} in {done.place}.")
    if done.unlike:
        say(f"{number_of(len(done.unlike), 'record')} not as anchored before: opsbook records verify --all names them.")
    return 0
