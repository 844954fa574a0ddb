"""Create a project: a runbook, a procedure, a playbook, an environment, and checks for CI.

Missing files are added. Existing files stay as they are, and are listed. In a folder with playbooks and inventories of
its own, it adds what opsbook needs to run them, and a page for one of the playbooks.
"""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path

from opsbook.console.text import say
from opsbook.core.model.text import number_of, slug
from opsbook.errors import InputError
from opsbook.scaffold import adding, existing, writing


def execute(options: argparse.Namespace) -> int:
    folder: Path = options.folder or options.project or Path()
    try:
        full = folder.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be read: {error}.", "Check the path.") from error
    author, there = writing.author(full, options.owner), existing.repository(full)
    files = there.files(author) if there else writing.project(author)
    added = adding.add(full, files)
    for name in added.written:
        say(f"  {name}")
    _tell_left(full, added, files)
    made = f"{number_of(len(added.written), 'file')} in {full}" if added.written else f"Nothing is missing in {full}"
    say("", f"{made}. Next:", "")
    say(f"  {'' if full == Path.cwd() else f'cd {shlex.quote(str(folder))} && '}opsbook check")
    if there:
        _tell_found(there)
    else:
        say("  opsbook show post-notice")
        say('  opsbook run post-notice -e local -p text="Hello"')
    return 0


def _tell_found(there: existing.Repository) -> None:
    """How to look at what was found, and how to try the page for one of the playbooks."""
    page = slug(Path(there.first).stem)
    say("  opsbook env list" + " " * 20 + f"# {', '.join(there.inventories)}")
    say(f"  opsbook run {page} -e {there.safest} --check")
    say(
        "",
        f"environments/NAME.yml says who may do what there; {number_of(len(there.playbooks), 'playbook')} can be run.",
    )


def _tell_left(folder: Path, added: adding.Added, files: Mapping[str, str]) -> None:
    """List the existing files, and the lines that they lack."""
    if added.left:
        say("", "There already, and left as they are:")
    for name in added.left:
        say(f"  {name}")
    for name, lines in adding.lacking(folder, added, files).items():
        say("", f"Add to your {name}:")
        for line in lines:
            say(f"  {line}")
