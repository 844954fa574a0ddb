"""Where incidents are, and how one is opened, found, read and changed.

An incident is a folder with a journal, and a seal once it is over. A change takes the lock of the journal, looks at the
incident as it is then, and writes: of two people at once, the second sees what the first did.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opsbook import files
from opsbook.core.model.events import Fact, read
from opsbook.core.model.redact import Redactor
from opsbook.core.model.text import nearest
from opsbook.core.record import journal
from opsbook.core.record.store import INCIDENTS, SEAL, Record, is_incident
from opsbook.errors import InputError, Refused
from opsbook.incidents import incident
from opsbook.incidents.facts import IncidentOpened
from opsbook.incidents.incident import Action, Incident
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.core.trust.signing import Verified

_TRIES, _PAUSE = 1000, 0.01
"""Attempts, and seconds between them, to lock an incident that somebody else changes."""

Change = Callable[[Incident], Iterable[Fact]]
"""Takes the incident as it is, and gives what is to be written; raises InputError or Refused to write nothing."""

Redacting = Callable[[str], Redactor]
"""Gives a redactor with the secrets of an environment."""


def folder(settings: Settings) -> Path:
    return settings.records / INCIDENTS


def new_id() -> str:
    """An id that begins with its time, such as inc-20261130T142233Z-071406."""
    return f"{datetime.now(UTC):inc-%Y%m%dT%H%M%SZ-%f}"


def every(records: Path) -> Iterator[Path]:
    """The folder of each incident, newest first."""
    with contextlib.suppress(OSError):
        names = sorted((each.name for each in os.scandir(records / INCIDENTS)), reverse=True)
        yield from (records / INCIDENTS / name for name in names if name.startswith("inc-"))


def exact(settings: Settings, wanted: str) -> Path:
    """The incident with exactly this id. Raises InputError, also for what is no id."""
    path = settings.records / INCIDENTS / wanted
    if not (is_incident(wanted) and path.is_dir()):
        raise InputError(f"There is no incident {wanted}.", "opsbook incident list --all shows those that there are.")
    return path


def find(settings: Settings, wanted: str) -> Path:
    """The incident with this id, unique beginning of one, or `last`. Raises InputError."""
    there = {path.name: path for path in every(settings.records)}
    if wanted == "last" and there:
        return next(iter(there.values()))
    prefixes = (wanted, f"inc-{wanted}")
    matches = [path for name, path in there.items() if name in prefixes] or [
        path for name, path in there.items() if name.startswith(prefixes)
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"{wanted} fits {len(matches)} incidents.", "Write more of it.")
    hint = nearest(wanted, list(there)[:50]) if there else "There is no incident yet: opsbook incident open TITLE."
    raise InputError(f"There is no incident {wanted}.", hint)


def load(path: Path) -> Incident:
    """The incident in a folder. Raises InputError if its journal is damaged or missing."""
    hint = f"opsbook incident verify {path.name} says more. Its folder: {path}"
    try:
        found = incident.of(path.name, journal.read(path / journal.NAME))
    except OSError as error:
        raise InputError(f"{path / journal.NAME} cannot be read: {error.strerror}.", hint) from error
    except InputError as error:
        raise InputError(error.message, hint) from error
    if not found.reached:
        raise InputError(f"{path / journal.NAME} does not begin with the opening of an incident.", hint)
    return found


def shown(path: Path) -> Incident:
    """The same for a list; of one that is damaged what can be said of it: it must not hide the others."""
    try:
        return load(path)
    except InputError as error:
        return Incident(path.name, title=error.message, severity="damaged")


def open_(settings: Settings) -> Iterator[Incident]:
    """Incidents that are not over, newest first; those that are sealed are not even read."""
    for path in every(settings.records):
        with contextlib.suppress(InputError):
            if not sealed(path) and not (found := load(path)).over:
                yield found


def readable(settings: Settings) -> Iterator[Incident]:
    """Every incident that can be read, newest first."""
    for path in every(settings.records):
        with contextlib.suppress(InputError):
            yield load(path)


class Overview(NamedTuple):
    """Incidents that are not over, newest first, and actions that are overdue, the oldest day first."""

    open: tuple[Incident, ...] = ()
    overdue: tuple[tuple[Incident, Action], ...] = ()


def overview(settings: Settings, today: date, hidden: Container[str]) -> Overview:
    """What is open and overdue; incidents of `hidden` environments are left out, and those that cannot be read."""
    known = [each for each in readable(settings) if each.environment not in hidden]
    actions = ((each, action) for each in known for action in each.actions)
    due = [(each, action) for each, action in actions if not action.closed and action.due < today.isoformat()]
    return Overview(tuple(each for each in known if not each.over), tuple(sorted(due, key=lambda pair: pair[1].due)))


def verified(settings: Settings, path: Path) -> "Verified":
    """An incident that is over compared with its seal and signature, another one's journal with itself.

    Nobody changes it meanwhile, if that can be had within ten seconds.
    """
    # One without a journal cannot be locked: that is what is wrong with it.
    with contextlib.suppress(OSError), files.holding(path / journal.NAME, shared=True, tries=_TRIES, pause=_PAUSE):
        return _verified(settings, path)
    return _verified(settings, path)


def _verified(settings: Settings, path: Path) -> "Verified":
    # Whoever only reads incidents need not load what verifies.
    from opsbook.core.record.seal import Flaw
    from opsbook.core.trust import signing

    if sealed(path):
        return next(signing.verified(settings, [Record(path.name, path, "sealed")]))
    try:
        found = load(path)
    except InputError as error:
        return signing.Verified(path.name, (Flaw("", error.message),))
    why = f"it is {found.state}, and has no seal: a change was interrupted. Any note seals it"
    return signing.Verified(path.name, (Flaw(journal.NAME, why),) if found.over else (), unsigned="it is not over")


def key_of(path: Path) -> str:
    """The group of alerts of an incident, from its first event: cheap, however long it is. Empty without one."""
    with contextlib.suppress(OSError, InputError, StopIteration):
        event, _ = next(journal.chain(path / journal.NAME))
        opened = read(event, lenient=True)
        return opened.key if isinstance(opened, IncidentOpened) else ""
    return ""


def redactor(settings: Settings, place: str) -> Redactor:
    """A redactor with those secrets of an environment that can be read: an incident is written without the others."""
    # Whoever only reads incidents need not load what reads secrets.
    from opsbook.core.planning import context, environment

    found = Redactor()
    if place:
        with contextlib.suppress(InputError):
            context.vault(settings, environment.load(settings, place), {}, {}, found)
    return found


def create(settings: Settings, facts: Sequence[Fact], known: Redactor | None = None) -> Incident:
    """A new incident with these first events, of which the first opens it. Raises InputError.

    It has its name only once they are on disk: a process that is killed leaves no half of an incident.
    """
    opened = facts[0]
    assert isinstance(opened, IncidentOpened)
    root, hidden = folder(settings), folder(settings) / f".{opened.incident}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        _write(hidden, facts, known or redactor(settings, opened.environment))
        hidden.rename(root / opened.incident)
        files.sync_folder(root)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        hint = "Correct that folder, or records in opsbook.toml."
        raise InputError(f"No incident can be made in {root}: {error.strerror}.", hint) from error
    return load(root / opened.incident)


def change(
    settings: Settings,
    path: Path,
    work: Change,
    redacting: Redacting | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Incident:
    """Change an incident, and return it as it is then. Raises what `work` raises, and writes nothing then.

    `redacting` gives the redactor of an environment, if that is known; `more` are files for its folder, by name, which
    the events name.

    An incident that is over is opened again for the time of the change, and gets a new seal; the earlier ones stay.
    """
    # Whoever only reads incidents need not load what seals and signs.
    from opsbook.core.record import seal
    from opsbook.core.trust import adopting
    from opsbook.core.trust.signing import sealer

    with files.holding(path / journal.NAME, tries=_TRIES, pause=_PAUSE) as held:
        if not held:
            raise Refused(f"{path.name} is being changed by another process.", "Try again; nothing was written.")
        if sealed(path) and (flaws := seal.verify(path)):
            raise InputError(
                f"{path.name} was changed after it was sealed: {flaws[0].file} {flaws[0].message}.",
                f"opsbook incident verify {path.name} says more. Open a new one.",
            )
        adopting.check(settings, path.name)
        before = load(path)
        facts = list(work(before))
        if facts:
            seal.unseal(path)
            for name, data in (more or {}).items():
                files.write_atomic(path / name, data)
            known = redacting(before.environment) if redacting else redactor(settings, before.environment)
            head = _write(path, facts, known, again=True)
            after = load(path)
            if after.over:
                hint = f"Make room. Any later note seals it: opsbook incident note {path.name} …"
                with files.saying("It is written, and not sealed", hint):
                    seal.seal(path, head, sealer(settings))
            return after
        return before


def sealed(path: Path) -> bool:
    return os.path.lexists(path / SEAL)


def _write(path: Path, facts: Sequence[Fact], known: Redactor, *, again: bool = False) -> str:
    book = journal.Journal(path, known, again=again)
    try:
        for number, fact in enumerate(facts, 1):
            book.write(fact, durable=number == len(facts))
    finally:
        book.close()
    return book.head
