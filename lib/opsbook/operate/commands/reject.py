"""Reject a plan, signed and with a reason. The run that waits for it is told the reason, and cannot run it."""

import argparse

from opsbook.console import common
from opsbook.core.trust import approving
from opsbook.errors import InputError
from opsbook.operate.commands import approve


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", help="an id from opsbook status, or its beginning")
    parser.add_argument("--reason", required=True, help="why; whoever asked for it reads it")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    if not options.reason.strip():
        raise InputError("The reason is empty.", "Say what has to change: --reason WHY.")
    settings = common.project(options)
    return approve.signed(settings, options, approving.show(settings, options.plan), "reject", options.reason)
