"""Write the digests of seals to an anchor, and compare the records with it."""

import getpass
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from opsbook.core.model.text import number_of
from opsbook.core.planning.context import operator
from opsbook.core.record.seal import Flaw
from opsbook.errors import InputError, Refused
from opsbook.records import anchor as anchors
from opsbook.records import anchor_store
from opsbook.settings import Settings


@dataclass(frozen=True)
class Anchored:
    """The written line: its number, time and runs. `unlike` are runs that no longer match what was anchored before.

    If nothing was new, there are no runs, and number and time are those of the last line.
    """

    place: str
    seq: int
    time: str | None
    records: Mapping[str, str] = field(default_factory=dict)
    pruned: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


def anchor(settings: Settings, to: str | None) -> Anchored:
    """Append one line with what is new. Raises InputError; Refused for the anchor of another records folder."""
    place = _place(settings, to)
    if place is None:
        raise InputError("There is no place for the anchor.", 'Write anchor = "…" in opsbook.toml, or --to PLACE.')
    done: list[Anchored] = []

    def line(before: bytes | None) -> bytes | None:
        found = anchors.read(before or b"", place.name)
        unlike = tuple(anchors.flaws(found, settings.records))
        _check_own(settings, place.name, found, unlike)
        new = anchors.next_line(found, settings.records, operator())
        done[:] = [
            Anchored(place.name, new.seq, new.time, new.records, tuple(new.pruned), unlike)
            if new
            else Anchored(place.name, found.lines, found.until, unlike=unlike)
        ]
        return anchors.render(new) if new else None

    place.append(line)
    return done[0]


def _place(settings: Settings, given: str | None) -> anchor_store.AnchorStore | None:
    text = given or settings.anchor
    if not text:
        return None
    text = text.replace("{user}", getpass.getuser()).replace("{host}", socket.gethostname())
    return anchor_store.at(text, settings.root, settings.records, settings.state, operator())


def _check_own(settings: Settings, place: str, found: anchors.Anchor, unlike: tuple[str, ...]) -> None:
    """Raises Refused for another folder's anchor: each folder would report the other's records as missing forever."""
    here = [run for run, words in found.words.items() if words and anchors.there(settings.records, run)]
    if unlike and not here:
        raise Refused(
            f"{place} is the anchor of another records folder: none of its {found.records} records is here.",
            "Give each folder a place of its own, such as git:REMOTE#{host}.",
        )


@dataclass(frozen=True)
class Compared:
    """The records compared with an anchor: flaws by run, flaws of the anchor itself (`own`), and a summary (`said`).

    `unread`: the anchor could not be read, and `said` is why.
    """

    said: str
    flaws: Mapping[str, list[Flaw]] = field(default_factory=dict)
    own: tuple[Flaw, ...] = ()
    unread: bool = False


def against_anchor(settings: Settings, to: str | None, run: str | None = None) -> Compared | None:
    """Compare all records, or one run, with the anchor; None without one. Raises InputError for an invalid place."""
    place = _place(settings, to)
    if place is None:
        return None
    try:
        data = place.read()
        if data is None:
            return Compared(f"Nothing is anchored in {place.name} yet: opsbook records anchor.", unread=True)
        found = anchors.read(data, place.name)
        wrong = anchors.flaws(found, settings.records, run)
    except anchors.Broken as error:
        own = Flaw(place.name, f"the chain of the anchor is broken: line {error.line} {error.what}", error.line)
        return Compared("Nothing was compared with the anchor.", own=(own,))
    except InputError as error:
        return Compared(f"{error.message} Nothing was compared with the anchor.", unread=True)
    return Compared(_said(settings, place.name, found, run), wrong)


def _said(settings: Settings, place: str, found: anchors.Anchor, run: str | None) -> str:
    new = anchors.unanchored(found, settings.records)
    later = f", {number_of(len(new), 'record')} not yet" if new else ""
    this = f"; {run} not yet" if run in new else ""
    return f"anchored until {found.until}: {number_of(found.records, 'record')}{this or later} ({place})"
