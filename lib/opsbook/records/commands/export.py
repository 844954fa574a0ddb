"""Write sealed records into one archive, for another machine or a safe place; or the recording of one run.

Without RUN all of them, except those in quarantine. If a record does not match its seal, the error names it, and
nothing is written. The archive holds the records as in their folder, export.json with their seals, and later statements
about them: reviews, training records, sign-offs.

With --tree, the files that one run executed are written into a folder, as long as they are kept.

With --recording, the requests and results of one run are written beside its page, for opsbook test: small, without
secrets, and only if it replays. Read it before you commit it.
"""

import argparse
from datetime import date
from pathlib import Path

from opsbook.console import common
from opsbook.core.model.text import number_of, size_of
from opsbook.core.planning import drafts, tree_store
from opsbook.core.record import store
from opsbook.errors import InputError
from opsbook.records import archives
from opsbook.replay import recordings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", help="an id, its beginning, or last")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="FILE.tar.gz", help="the archive to write")
    named = "write runbooks/…/recordings/RUNBOOK.NAME.json instead; NAME is its outcome, unless given"
    what.add_argument("--recording", nargs="?", const="", metavar="NAME", help=named)
    files = "write the files that one run executed, as they were, into this new folder"
    what.add_argument("--tree", type=Path, metavar="DIR", help=files)
    parser.add_argument("--notebook", action="store_true", help="with --recording: also a notebook that replays it")
    parser.add_argument(
        "--since", metavar="DATE", help="only runs that started on this day or later, such as 2026-11-20"
    )
    parser.add_argument("--without", action="append", default=[], metavar="RUN", help="all but this run (repeatable)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.recording is not None:
        return _recording(options)
    if options.tree is not None:
        return _tree(options)
    chosen = archives.Chosen(options.runs, _day(options.since), options.without)
    with common.progress("exporting", quiet=options.json) as tell:
        runs = archives.export_records(settings, chosen, options.to, tell, force=options.force)
    size = options.to.stat().st_size
    said = f"{number_of(len(runs), 'record')} in {options.to} ({size_of(size)})"
    return common.tell(options, {"file": str(options.to), "bytes": size, "records": runs}, said)


def _recording(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if len(options.runs) != 1 or options.since or options.without or options.force:
        raise InputError("A recording is of one run.", "Name it: opsbook records export RUN --recording NAME")
    path, played = recordings.record(settings, options.runs[0], options.recording, book=options.notebook)
    size, shown = path.stat().st_size, path.relative_to(settings.root)
    told = {"file": str(path), "bytes": size, "outcome": played.outcome, "seconds": played.seconds}
    return common.tell(
        options,
        told,
        f"{shown} ({size_of(size)}): {played.outcome}, replays in {played.seconds:.1f} s",
        *([f"{shown.with_suffix('.ipynb')}: pytest --nbval runs it again"] if options.notebook else []),
        "Read it, then commit it. opsbook test runs the page against it.",
    )


def _tree(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if len(options.runs) != 1:
        raise InputError("The files are those of one run.", "Name it: opsbook records export RUN --tree DIR")
    then = store.find(settings.records, options.runs[0]).plan()
    found = drafts.tree_then(settings, then)
    tree_store.export(settings, found, options.tree)
    told = {"folder": str(options.tree), "files": len(found.files), "tree": found.digest, "commit": found.commit}
    of = f", of commit {found.commit[:12]}" if found.commit else ""
    return common.tell(options, told, f"{number_of(len(found.files), 'file')} in {options.tree}{of}")


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError(f"--since {text} is no date.", "Write it as 2026-11-20.") from error
