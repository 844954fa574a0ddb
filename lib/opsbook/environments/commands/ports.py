"""Show an environment's block of ports, or give this clone another one.

    opsbook env ports dev            show its ports on this machine
    opsbook env ports dev 18400      give this clone the block from 18400 on
    opsbook env ports dev --free     keep them if nobody else listens there, otherwise take a free block
    opsbook env ports dev --reset    go back to what environment.yml says

Running services keep their ports until they are restarted."""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.environments import ports


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="as opsbook env list shows it")
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("first", nargs="?", type=number, help="the first port of a block of a hundred")
    wanted.add_argument("--free", action="store_true", help="keep the block if it is free, or take one that is")
    wanted.add_argument("--reset", action="store_true", help="go back to what environment.yml says")
    common.add_json(parser)


def number(text: str) -> int:
    """Parse a port argument."""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number such as 18400")
    return int(text)


def execute(options: argparse.Namespace) -> int:
    settings, name = common.project(options), options.name
    if options.free:
        found = ports.free(settings, name)
    elif options.reset:
        found = ports.reset(settings, name)
    elif options.first is not None:
        found = ports.give(settings, name, options.first)
    else:
        found = ports.block(settings, name)
    show(found, as_json=options.json)
    return 0


def show(found: ports.Block, *, as_json: bool) -> None:
    """Print the block and its URLs."""
    moved = found.first != found.written
    if as_json:
        content = {
            "name": found.environment,
            "first": found.first,
            "last": found.last,
            "moved": moved,
            "clone": found.clone,
        }
        common.print_json({**content, "written": found.written, "urls": found.urls})
        return
    why = f"given to this clone; environment.yml says {found.written}" if moved else "as environment.yml says"
    say(f"{found.environment}: ports {found.first} to {found.last}, {why}")
    for name, url in found.urls.items():
        say(f"  {name}: {url}")
