"""Who is on call: rotas, and overrides of them, as files.

A rota is a calendar, `oncall/ROTA.ics`: whoever an event names is on call while it lasts. The protected branch has the
one that counts. An override is a statement in `oncall/overrides/`, made by a command; where the project has committed
signers, it needs the signature of one of them. Nothing here looks at what was: an incident keeps who was on call.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

from opsbook import files
from opsbook.core.model.approval import Moment
from opsbook.core.model.effect import canonical
from opsbook.core.model.text import flat, nearest, one_line
from opsbook.errors import InputError, OpsbookError, Refused
from opsbook.settings import Settings
from opsbook.shapes import Shape, from_json

FOLDER, OVERRIDES = "oncall", "oncall/overrides"

_LONGEST = 80
"""Characters of a name that are shown."""


class Override(Shape, strict=True):
    """What is signed: this person is on call instead, from `begin` to `end`. `by` is the user of the system."""

    kind: Literal["on-call"] = "on-call"
    id: str
    rota: str
    person: str
    begin: Moment
    end: Moment
    reason: str
    by: str
    signed: Moment

    def statement(self) -> bytes:
        return canonical(asdict(self))


@dataclass(frozen=True)
class Shift:
    """Somebody is on call. `override`: who made the override, and why; empty if the rota says so."""

    person: str
    begin: datetime
    end: datetime
    override: str = ""


@dataclass(frozen=True)
class Roster:
    """Who is really on call in a rota, one after the other. `written`: shifts of the calendar alone, which may overlap.
    `complaints`: overrides that do not count, and why.
    """

    rota: str
    shifts: tuple[Shift, ...]
    written: tuple[Shift, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class OnCall:
    """Who is paged, and from which rota; both are empty if nobody is. `why`: what kept others from it."""

    person: str = ""
    rota: str = ""
    why: tuple[str, ...] = ()


def names(settings: Settings) -> list[str]:
    """The rotas of the project."""
    return sorted(path.stem for path in (settings.root / FOLDER).glob("*.ics"))


def check_name(settings: Settings, rota: str) -> None:
    """Raises InputError for a rota that there is not."""
    known = names(settings)
    if rota not in known:
        hint = nearest(rota, known) or f"Make {FOLDER}/{rota}.ics: a calendar whose events name who is on call."
        raise InputError(f"There is no rota {rota}.", hint)


def read(settings: Settings, rota: str, begin: datetime, end: datetime, *, draft: bool = False) -> Roster:
    """Who is on call from begin to end. Raises InputError if nobody can say. `draft`: by the calendar of the folder."""
    # Whoever has no rota need not load what seals, signs and asks git.
    from opsbook.core.trust import calendars

    name = f"{FOLDER}/{rota}.ics"
    try:
        text = (calendars.draft if draft else calendars.text)(settings, name)
        happening = list(calendars.between(text, "", begin, end))
    except OpsbookError as error:
        raise InputError(error.message, error.hint) from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.", "opsbook oncall lists the rotas.") from error
    except Exception as error:
        # Two libraries read what anybody wrote, and raise whatever they like.
        raise InputError(f"{name} cannot be read: {one_line(flat(error))}.", "Mend the calendar.") from error
    shifts = (Shift(_name(each.title), each.begin, each.end) for each in happening)
    # Of two at once, the one that began last is the more special one.
    written = sorted(
        (each for each in shifts if each.begin < end and each.end > begin), key=lambda each: each.begin, reverse=True
    )
    counting, complaints = _overrides(settings, rota, begin, end)
    return Roster(rota, tuple(_cut((*counting, *written), begin, end)), tuple(written[::-1]), tuple(complaints))


def _name(text: str) -> str:
    return one_line(flat(text.strip()), _LONGEST)


def _cut(layers: Sequence[Shift], begin: datetime, end: datetime) -> Iterator[Shift]:
    """The shifts that hold, in their order: of several at once, the first."""
    edges = {moment for each in layers for moment in (each.begin, each.end) if begin < moment < end}
    last = None
    for first, next_ in pairwise(sorted({begin, end} | edges)):
        found = next((each for each in layers if each.person and each.begin <= first < each.end), None)
        if last and found and (last.person, last.override, last.end) == (found.person, found.override, first):
            last = replace(last, end=next_)
            continue
        if last:
            yield last
        last = replace(found, begin=first, end=next_) if found else None
    if last:
        yield last


# -- overrides


def _overrides(settings: Settings, rota: str, begin: datetime, end: datetime) -> tuple[list[Shift], list[str]]:
    """The overrides in this time that count, the latest first; and why others do not."""
    found, complaints = [], []
    for path in sorted((settings.root / OVERRIDES).glob("*.json")):
        try:
            told = from_json(Override, files.read(path, within=settings.root))
            first, last = datetime.fromisoformat(told.begin), datetime.fromisoformat(told.end)
            if told.rota == rota and first < end and last > begin:
                by = _signer(settings, path, told)
                said = one_line(flat(f"{by}: {told.reason}" if told.reason else by))
                found.append((datetime.fromisoformat(told.signed), Shift(_name(told.person), first, last, said)))
        except Refused as error:
            complaints.append(f"{OVERRIDES}/{flat(path.name)} does not count: {error.message}")
        except (OSError, ValueError, RecursionError):
            complaints.append(f"{OVERRIDES}/{flat(path.name)} does not count: it cannot be read")
    return [shift for _, shift in sorted(found, key=lambda each: each[0], reverse=True)], complaints


def _signer(settings: Settings, path: Path, told: Override) -> str:
    """Who made an override. Raises Refused for one that does not count."""
    from opsbook.core.trust import sign, signing

    known = signing.known_signers(settings)
    if known is None:
        return told.by
    try:
        signature = files.read(path.with_suffix(".sig"), within=settings.root).decode(errors="replace")
    except OSError as error:
        raise Refused("it is not signed") from error
    try:
        # A key that was revoked since then cannot be used by dating the signature back.
        for at in (datetime.fromisoformat(told.signed), datetime.now(UTC)):
            who = sign.signer(known.text, sign.ON_CALL, told.statement(), signature, at)
    except (sign.BadSignature, sign.Unsigned) as error:
        raise Refused(str(error)) from error
    return who.principal


# -- paging


def paged(settings: Settings, rotas: Sequence[str], last: str, now: datetime, *, onward: bool = True) -> OnCall:
    """Who is paged now: whoever is on call in the rota after the last one, or the first. It never raises.

    After the last rota comes the first one again. Without `onward`, the last one is paged again.
    """
    start = (rotas.index(last) + onward) % len(rotas) if last in rotas else 0
    why: list[str] = []
    for rota in (*rotas[start:], *rotas[:start]):
        try:
            roster = read(settings, rota, now, now + timedelta(seconds=1))
            why += roster.complaints
            if roster.shifts:
                return OnCall(roster.shifts[0].person, rota, tuple(why))
            why.append(f"nobody is on call in {rota}")
        except InputError as error:
            why.append(error.message.rstrip("."))
    return OnCall(why=tuple(why))
