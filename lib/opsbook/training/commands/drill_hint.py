"""The next hint. Each costs points, and is noted in the drill's journal before it is shown."""

import argparse

from opsbook.console import common
from opsbook.training import drill_clock, drilling


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    now = drill_clock.progress_of(settings, options.run)
    text = drilling.hint(settings, now)
    return common.tell(options, {"run": now.run, "hint": text, "number": now.hints + 1}, *text.split("\n"))
