"""Diagnose a problem: walk a decision tree, which runs its own checks and asks the rest. Changes nothing."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from opsbook.console import common, inputs
from opsbook.console.text import say
from opsbook.core.model.text import quoted
from opsbook.core.planning import environment
from opsbook.diagnose import diagnosing, trees
from opsbook.diagnose.diagnosing import Answered
from opsbook.diagnose.trees import Node
from opsbook.errors import InputError


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.tree is None:
        names = trees.names(settings)
        none = "There is no decision tree yet. One is a page docs/trees/NAME.md."
        return common.tell(options, names, *names or [none])
    if options.environment is None and inputs.asks():
        options.environment = inputs.place(settings)
    if options.environment is None:
        raise InputError("A tree looks at an environment.", f"opsbook diagnose {options.tree} -e ENVIRONMENT")
    tree, place = trees.load(settings, options.tree), environment.load(settings, options.environment)
    if not options.json:
        say(f"{quoted(tree.title)}  ({place.name})")
    steps: list[dict[str, Any]] = []
    last: Answered | None = None
    for found in diagnosing.walk(settings, tree, place, _ask):
        if isinstance(found, str):
            if not options.json:
                say(f"  {found} is run as a check …")
        elif isinstance(found, Node):
            pages = list(found.pages())
            commands = [diagnosing.command(settings, name, place, last) for name in pages]
            told = {"steps": steps, "advice": found.plain, "runbooks": pages, "commands": commands}
            common.tell(options, told, "", found.plain, *(f"  {each}" for each in commands))
        else:
            seen = f"  ({found.seen})" if found.seen and not (last and last.seen == found.seen) else ""
            last = found
            steps.append(asdict(found))
            if not options.json:
                say(f"  {found.question}  {found.answer}{seen}")
    return 0


def _ask(node: Node, why: str) -> str:
    labels = [label for label, _ in node.answers]
    if not sys.stdin.isatty():
        asked = f"Somebody has to say: {node.plain} ({', '.join(labels)})"
        raise InputError([*filter(None, [why]), asked], "Use a terminal.")
    if why:
        say(f"  {why}")
    while True:
        try:
            say(f"  {node.plain} [{'/'.join(labels)}] ", end="")
            typed = input().strip().lower()
        except EOFError as error:
            raise InputError("Nobody answered.", "Begin again in a terminal.") from error
        exact = [label for label in labels if label.lower() == typed]
        fitting = exact or [label for label in labels if label.lower().startswith(typed)]
        if typed and len(fitting) == 1:
            return fitting[0]
        say(f"    one of {', '.join(labels)}")
