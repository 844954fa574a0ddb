"""Overrides of a rota: somebody else is on call for some time. What is written is what is signed."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook import files
from opsbook.core.model.text import flat, nearest
from opsbook.core.planning.context import operator
from opsbook.core.trust import sign, signing
from opsbook.errors import InputError
from opsbook.incidents import rotas
from opsbook.incidents.rotas import Override
from opsbook.oncall import checking
from opsbook.settings import Settings

_FARTHEST = timedelta(days=3650)


@dataclass(frozen=True)
class Wanted:
    """What a person asks for. Times are as they were typed; without `begin`, from now on."""

    rota: str
    person: str
    end: str
    begin: str = ""
    reason: str = ""


def override(settings: Settings, wanted: Wanted, now: datetime, *, ask: bool) -> tuple[Override, str, Path]:
    """Write an override; with it, who signed it, and its file. Raises InputError and Refused; nothing is there then."""
    rotas.check_name(settings, wanted.rota)
    _check_person(settings, wanted.person)
    begin, end = moment(wanted.begin, now) if wanted.begin else now, moment(wanted.end, now)
    for typed, time in ((wanted.begin, begin), (wanted.end, end)):
        if time < now:
            raise InputError(f"{typed} is in the past.", "What was stays: an override begins now or later.")
    if end <= begin:
        raise InputError(f"{wanted.end} is not after {wanted.begin or 'now'}.", "Write --until with a later time.")
    made = Override(
        id=f"{wanted.rota}-{begin:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        rota=wanted.rota,
        person=wanted.person,
        begin=begin.isoformat(timespec="seconds"),
        end=end.isoformat(timespec="seconds"),
        reason=wanted.reason,
        by=operator(),
        signed=now.isoformat(timespec="microseconds"),  # the last one counts, and two may come in one second
    )
    path, signer = settings.root / rotas.OVERRIDES / f"{made.id}.json", ""
    signature = b""
    if signing.known_signers(settings) is not None:
        text, who = signing.signed_here(settings, sign.ON_CALL, made.statement(), now, ask=ask)
        signature, signer = text.encode(), who.principal
    with files.saying(f"{path} cannot be written", "Make room, or correct the folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        if signature:
            # First: an override counts once its own file is there.
            files.write_atomic(path.with_suffix(".sig"), signature)
        files.write_atomic(path, made.statement())
    return made, signer, path


def _check_person(settings: Settings, person: str) -> None:
    known = checking.people(settings)
    if not person.strip() or flat(person) != person:
        raise InputError(f"{flat(person)!r} is no name.", "Write it as the rota does.")
    if known and person not in known:
        hint = f"{nearest(person, known)} People are in training.yml.".lstrip()
        raise InputError(f"There is nobody named {person}.", hint)


def moment(text: str, now: datetime) -> datetime:
    """A time as a person types it, in UTC: 18:00 is the next one, 2026-12-24T18:00 is by the clock here. Raises
    InputError.
    """
    clock = ":" in text and "-" not in text[:10]
    today = now.astimezone().replace(tzinfo=None)
    try:
        found = datetime.fromisoformat(f"{today:%Y-%m-%d}T{text}" if clock else text).astimezone()
        if clock and found <= now:
            # By the clock, which may be set another way tonight.
            found = datetime.fromisoformat(f"{today + timedelta(days=1):%Y-%m-%d}T{text}").astimezone()
        if abs(found - now) > _FARTHEST:
            raise InputError(f"{text} is more than ten years away.", "Write a time that is nearer.")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no time.", "Write 18:00, or 2026-12-24T18:00.") from error
