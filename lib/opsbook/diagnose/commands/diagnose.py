"""Diagnose a problem: walk a decision tree, which runs its own checks and asks the rest. Changes nothing."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from opsbook.console import common, inputs
from opsbook.console.text import say
from opsbook.core.model.text import quoted
from opsbook.diagnose import diagnosing, trees
from opsbook.diagnose.tree import Node
from opsbook.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tree", nargs="?", help="its name; without one, all trees are listed")
    parser.add_argument("-e", "--environment", metavar="ENV", help="where it looks")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.tree is None:
        return _list(trees.names(settings), options.json)
    if options.environment is None and inputs.asks():
        options.environment = inputs.place(settings)
    if options.environment is None:
        raise InputError("A tree looks at an environment.", f"opsbook diagnose {options.tree} -e ENVIRONMENT")
    tree, place = diagnosing.load(settings, options.tree, options.environment)
    if not options.json:
        say(f"{quoted(tree.title)}  ({place.name})")
    steps: list[dict[str, Any]] = []
    for found in diagnosing.walk(tree, place, _ask):
        if isinstance(found, Node):
            _over(found, place.name, steps, options.json)
        else:
            steps.append(asdict(found))
            if not options.json:
                say(f"  {found.question}  {found.answer}" + (f"  ({found.seen})" if found.seen else ""))
    return 0


def _list(names: list[str], as_json: bool) -> int:
    if as_json:
        common.print_json(names)
    else:
        say(*names or ["There is no decision tree yet. One is a page docs/trees/NAME.md."])
    return 0


def _ask(node: Node) -> str:
    labels = [label for label, _ in node.answers]
    if not sys.stdin.isatty():
        raise InputError(f"Somebody has to say: {node.plain} ({', '.join(labels)})", "Use a terminal.")
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


def _over(node: Node, place: str, steps: list[dict[str, Any]], as_json: bool) -> None:
    pages = list(node.pages())
    if as_json:
        common.print_json({"steps": steps, "advice": node.plain, "runbooks": pages})
        return
    say("", f"{node.plain}")
    for name in pages:
        say(f"  opsbook run {name} -e {place}")
