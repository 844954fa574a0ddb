"""The next hint. Each costs points, and is noted in the journal of the drill before it is shown."""

import argparse

from opsbook import flow
from opsbook.cli import common
from opsbook.cli.text import say


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    now = flow.drill_progress(settings, options.run)
    text = flow.hint(settings, now)
    if options.json:
        common.print_json({"run": now.run, "hint": text, "number": now.hints + 1})
    else:
        say(text)
    return 0
