"""Take records elsewhere, take them in, and go on with those of others."""

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from datetime import date

from rich.filesize import decimal as size_of

from opsbook.console import common
from opsbook.core.model.text import number_of
from opsbook.core.planning import drafts, tree_store
from opsbook.core.record import store
from opsbook.core.trust import adopting
from opsbook.errors import InputError
from opsbook.records import archives
from opsbook.replay import recordings
from opsbook.settings import Settings


def export(options: argparse.Namespace) -> int:
    """Write sealed records into one archive, for another machine or a safe place; or the recording of one run.

    Without RUN all of them, except those in quarantine. If a record does not match its seal, the error names it, and
    nothing is written. The archive holds the records as in their folder, export.json with their seals, and later
    statements about them: reviews, training records, sign-offs.

    With --tree, the files that one run executed are written into a folder, as long as they are kept.

    With --recording, the requests and results of one run are written beside its page, for opsbook test: small, without
    secrets, and only if it replays. Read it before you commit it.
    """
    settings = common.project(options)
    if options.recording is not None:
        return _recording(settings, options)
    if options.tree is not None:
        return _tree(settings, options)
    chosen = archives.Chosen(options.runs, _day(options.since), options.without)
    with common.progress("exporting", quiet=options.json) as tell:
        runs = archives.export_records(settings, chosen, options.to, tell, force=options.force)
    size = options.to.stat().st_size
    said = f"{number_of(len(runs), 'record')} in {options.to} ({size_of(size)})"
    return common.tell(options, {"file": str(options.to), "bytes": size, "records": runs}, said)


def _recording(settings: Settings, options: argparse.Namespace) -> int:
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


def _tree(settings: Settings, options: argparse.Namespace) -> int:
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


def take_in(options: argparse.Namespace) -> int:
    """Take the records of an export into this project's folder.

    Each record is compared with its seal and with export.json, then moved in as a whole. A run that is here already is
    left unchanged; one that is here with another seal is refused. Statements about a record (a review, a training
    record, a sign-off) are imported too, unless different ones are here. Exit code 1 if any record was refused.
    """
    settings = common.project(options)
    with common.progress("importing", quiet=options.json) as tell:
        found = archives.import_records(settings, options.archive, tell)
    count = Counter(one.result for one in found)
    odd = [one for one in found if one.result != "imported" or one.why]
    return common.tell(
        options,
        [asdict(one) for one in found],
        *(f"{one.run}: {one.result}{': ' if one.why else ''}{one.why}" for one in odd),
        f"{count['imported']} imported, {count['there already']} there already, {count['refused']} refused",
        code=1 if count["refused"] else 0,
    )


def adopt(options: argparse.Namespace) -> int:
    """Adopt an imported record, signed: only then may somebody here resume it, or roll it back."""
    run = adopting.adopt(common.project(options), options.run, options.note, ask=sys.stdin.isatty())
    said = f"{run} is adopted: opsbook resume and opsbook rollback go on with it."
    return common.tell(options, {"run": run, "action": "adopt"}, said)
