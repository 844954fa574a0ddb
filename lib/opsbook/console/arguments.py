"""Arguments of several commands. To say which there are, nothing that works with them is imported."""

import argparse
from pathlib import Path


def add_request(parser: argparse.ArgumentParser) -> None:
    """What plan and run have in common."""
    parser.add_argument("runbook", nargs="?", help="a name from opsbook list")
    parser.add_argument("-e", "--environment", metavar="ENV", help="a name from opsbook env list")
    add_values(parser)


def add_values(parser: argparse.ArgumentParser) -> None:
    """What gives parameters their values."""
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be given often"
    )
    parser.add_argument("--params-file", type=Path, metavar="FILE", help="YAML or JSON with values; -p wins over it")


def add_labels(parser: argparse.ArgumentParser) -> None:
    """The option that gives a run its labels."""
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="say what it is for, such as ticket=OPS-1"
    )


def add_manner(parser: argparse.ArgumentParser) -> None:
    """Options of everything that runs."""
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="answer a question ahead; a manual step takes done, skip or problem",
    )
    parser.add_argument("--wait", action="store_true", help="wait for approvals, and for locks that other runs hold")
    parser.add_argument("--pause-on-failure", action="store_true", help="ask before an automatic rollback")
    parser.add_argument("--detach", action="store_true", help="go on without this terminal; see opsbook attach")
    parser.add_argument("-y", "--yes", action="store_true", help="start without asking")
    parser.add_argument("-q", "--quiet", action="store_true", help="leave out what steps print; errors stay")
    parser.add_argument("--json", action="store_true", help="one event a line, as JSON")


def add_emergency(parser: argparse.ArgumentParser) -> None:
    """The option that passes approvals and windows."""
    parser.add_argument(
        "--emergency", default="", metavar="REASON", help="do not wait for approvals and windows; it is reviewed later"
    )
