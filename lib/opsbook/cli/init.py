"""Make a repository of your own: a runbook, a procedure, a playbook, an environment, and checks for CI.

Nothing that is there already is touched.
"""

import argparse
import shlex
from pathlib import Path

from opsbook import scaffold
from opsbook.cli.text import say
from opsbook.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, help="where; the present folder unless given")
    parser.add_argument("--owner", help="who keeps the pages right: your name in git unless given")


def execute(options: argparse.Namespace) -> int:
    folder: Path = options.folder or options.project or Path()
    try:
        full = folder.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be read: {error}.", "Check the path.") from error
    files = scaffold.project(scaffold.author(full, options.owner))
    scaffold.write(full, files)
    for name in files:
        say(f"  {name}")
    say(f"\n{len(files)} files in {full}. Next:\n")
    say(f"  {'' if full == Path.cwd() else f'cd {shlex.quote(str(folder))} && '}opsbook check")
    say("  opsbook show post-notice")
    say('  opsbook run post-notice -e local -p text="Hello"')
    return 0
