"""List locked targets, each with the run that holds it and why."""

import argparse
from dataclasses import asdict

from opsbook.console import common
from opsbook.core.locks import lock


def execute(options: argparse.Namespace) -> int:
    found = lock.holders(common.project(options).state)
    rows = [(h.target, h.run, h.operator, common.local(h.since), h.reason) for h in found]
    columns = ("TARGET", "RUN", "BY", "SINCE", "WHAT FOR")
    return common.tell_rows(options, [asdict(one) for one in found], columns, rows, "Nothing is locked.")
