"""Commands that no page foresaw: each is in the journal of an incident, with its output and exit code."""

import codecs
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from opsbook import files
from opsbook.core.model.events import Fact
from opsbook.core.planning import context
from opsbook.errors import InputError, Refused
from opsbook.incidents import facts, store
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

OUTPUTS = "outputs"
"""Folder of the outputs in an incident."""

_PIECE = 65536

Show = Callable[[str], None]


def chosen(settings: Settings, wanted: str) -> Path:
    """The incident that is named, or the only one that is open. Raises InputError."""
    if wanted:
        return store.find(settings, wanted)
    open_ = [store.folder(settings) / each.id for each in store.open_(settings)]
    if len(open_) == 1:
        return open_[0]
    if open_:
        raise InputError(f"{len(open_)} incidents are open.", "Say which: --incident ID. opsbook incident list")
    raise InputError("No incident is open.", 'Open one: opsbook incident open "WHAT IS WRONG"')


def execute(settings: Settings, path: Path, argv: Sequence[str], show: Show) -> int:
    """Run a command, show its output, and keep both; returns its exit code, as a shell would.

    Raises InputError, and runs nothing, if the incident cannot be written, or is over.
    """
    number, here = 0, Path.cwd()
    cwd = here.relative_to(settings.root).as_posix() if here.is_relative_to(settings.root) else str(here)

    def begin(now: Incident) -> Iterable[Fact]:
        nonlocal number
        if now.over:
            raise Refused(f"{now.id} is {now.state}.", "Open a new one: opsbook incident open TITLE.")
        number = len(now.commands) + 1
        yield facts.CommandStarted(number=number, argv=list(argv), cwd=cwd, by=context.operator())

    # On disk first: what was begun and has no end is unknown, as with the effects of a run.
    place = store.change(settings, path, begin).environment
    kept = settings.state / "exec" / f"{path.name}-{number}.txt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    began, stream = time.monotonic(), store.redactor(settings, place).stream()
    with kept.open("w", encoding="utf-8", errors="replace") as out:

        def take(text: str) -> None:
            out.write(text)
            out.flush()
            show(text)

        code = _run(argv, lambda piece: take(stream.feed(piece)))
        take(stream.flush())
    name, data = f"{OUTPUTS}/{number}.txt", kept.read_bytes()
    seconds = round(time.monotonic() - began, 3)
    ended = facts.CommandEnded(number=number, exit=code, seconds=seconds, output=name, sha256=files.sha256(kept))
    store.change(settings, path, lambda _: [ended], more={name: data})
    kept.unlink()
    return code


def _run(argv: Sequence[str], take: Show) -> int:
    # A handler, and not ignored: the command would inherit that. Ctrl-C reaches it, and its end is written down.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(list(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        take(f"{argv[0]}: {error.strerror}\n")
        return 127
    else:
        assert process.stdout is not None
        with process.stdout:
            pieces = iter(partial(os.read, process.stdout.fileno(), _PIECE), b"")
            for text in codecs.iterdecode(pieces, "utf-8", "replace"):
                take(text)
        code = process.wait()
        return code if code >= 0 else 128 - code
    finally:
        signal.signal(signal.SIGINT, before)
