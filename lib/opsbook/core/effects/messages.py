"""Messages to people: their texts, and the channels that take them. The only module that uses Apprise, which comes with
opsbook[notify].
"""

import re
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from opsbook.core.effects.show import Shown
from opsbook.core.model.text import flat, nearest, one_line
from opsbook.errors import EffectFailed
from opsbook.params import Secret

Channels = Mapping[str, Mapping[str, Any]]
"""The channels of an environment by name: each with `to`, `audience` and `events`, and `person` if there is one, as
environment.yml has them.
"""

FOLDER = "playbooks/messages"
"""Where the texts are: EVENT.AUDIENCE.j2, or EVENT.j2 for every audience without one of its own."""

_LACKING = "notify() needs Apprise: pip install 'opsbook[notify]'"
_WITH_HOSTS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
"""Schemes of addresses that begin with a host."""

_TRIES, _PAUSE = 3, 1.0
"""Attempts for each channel, and seconds before the second one; twice as many before each further one."""

_SHORTEST = 4
"""Characters of a part of an address that is left out of errors: shorter ones are no tokens."""


@dataclass(frozen=True, repr=False)
class Sent(Shown):
    """What became of a message. `sent`: the channels that took it; `failed`: the others, each with why.

    `texts` has title and body by audience. A check fills in `would`.
    """

    event: str
    sent: tuple[str, ...]
    failed: Mapping[str, str]
    texts: Mapping[str, tuple[str, str]]
    would: tuple[dict[str, Any], ...] = ()

    def headline(self) -> str:
        if not self.texts and not self.failed:
            return f"{self.event}: no channel wants it"
        failed = "".join(f"; {name} did not take it: {why}" for name, why in self.failed.items())
        return f"{self.event}: sent to {', '.join(self.sent) or 'nobody'}{failed}"

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        return super().of({**recorded, "texts": {name: tuple(text) for name, text in recorded["texts"].items()}})


# -- texts


class Texts(NamedTuple):
    """Title and body by audience, and what is wrong with the texts of other audiences."""

    texts: Mapping[str, tuple[str, str]]
    wrong: Mapping[str, str]


def wanting(event: str, channels: Channels, paged: str = "") -> Channels:
    """The channels that want an event; of those that are a person's own, only of the person who is paged."""
    return {
        name: each
        for name, each in channels.items()
        if any(fnmatchcase(event, p) for p in each["events"]) and each.get("person", "") in ("", paged)
    }


def texts(event: str, wanted: Channels, values: Mapping[str, Any], folder: Path) -> Texts:
    """The text of an event for each audience of these channels, from this folder; `values` are what texts see."""
    made, wrong = {}, {}
    for audience in sorted({each["audience"] for each in wanted.values()}):
        try:
            made[audience] = _text(event, audience, values, folder)
        except EffectFailed as error:
            wrong[audience] = str(error)
    return Texts(made, wrong)


def check_ready(wrong: Mapping[str, str], wanted: Channels) -> None:
    """Raises EffectFailed for what would keep a run from telling people."""
    if wrong:
        raise EffectFailed("; ".join(wrong.values()), untouched=True)
    if wanted and find_spec("apprise") is None:
        raise EffectFailed(_LACKING, untouched=True)


def files_of(event: str, audience: str) -> tuple[str, str]:
    """The names of the files that may have the text, the one that is taken first in front."""
    return f"{event}.{audience}.j2", f"{event}.j2"


def _text(event: str, audience: str, values: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    """Title and body of an event for an audience. Raises EffectFailed."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    names = files_of(event, audience)
    path = next((path for name in names if (path := folder / name).is_file()), None)
    if path is None:
        known = sorted({each.name.partition(".")[0] for each in folder.glob("*.j2")})
        said = f"there is no text for the event {event}: {FOLDER}/{names[1]}. {nearest(event, known)}".rstrip()
        if event in known:
            said = f"there is no text of {event} for {audience}: {FOLDER}/{names[0]}"
        raise EffectFailed(said, untouched=True)
    # A value is text on one line: it can neither begin a title nor forge a line of the message.
    options = {"autoescape": False, "finalize": lambda value: flat(value) if isinstance(value, str) else value}
    environment = SandboxedEnvironment(undefined=StrictUndefined, **options)
    try:
        text = environment.from_string(path.read_text(encoding="utf-8")).render(values)
    except Exception as error:
        # A template can raise whatever its expressions do.
        said = f"{FOLDER}/{path.name} cannot be filled in: {one_line(str(error))}"
        raise EffectFailed(said, untouched=True) from error
    title, _, body = text.strip().partition("\n")
    return title.strip(), body.strip()


# -- sending


def send(event: str, wanted: Channels, addresses: Mapping[str, Secret], found: Texts, tries: int = _TRIES) -> Sent:
    """Send to one channel after the other: what Apprise says of a failure does not name the channel."""
    why = {}
    for name, each in wanted.items():
        text = found.texts.get(each["audience"])
        why[name] = _try(addresses[name], *text, tries) if text else found.wrong[each["audience"]]
    failed = {name: said for name, said in why.items() if said}
    return Sent(event, tuple(name for name in wanted if name not in failed), failed, found.texts)


def _try(address: Secret, title: str, body: str, tries: int) -> str:
    """Send one message; why it was not taken, empty if it was."""
    said = ""
    for attempt in range(tries):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        # It loads its plugins when it needs them, and what they will have to change one day is nothing for our reader.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            said = _once(address.reveal(), title, body)
        if not said:
            return ""
    return f"{said} ({tries} times)" if tries > 1 else said


def _once(address: str, title: str, body: str) -> str:
    try:
        import apprise
    except ImportError:
        return _LACKING
    target = apprise.Apprise()
    if not target.add(address):
        return "its address is none that Apprise knows"
    with apprise.LogCapture(level=apprise.logging.WARNING) as log:  # type: ignore[no-untyped-call]
        try:
            if target.notify(body=body or title, title=title if body else "", body_format=apprise.NotifyFormat.TEXT):
                return ""
        except Exception as error:
            # A channel never fails a run, whatever its plugin does.
            return _without(address, f"{type(error).__name__}: {error}")
        lines = log.getvalue().strip().splitlines()
    return _without(address, lines[-1] if lines else "it was refused, or cannot be reached")


def _without(address: str, said: str) -> str:
    """A reason without what the address keeps secret: users, passwords, tokens in paths and queries."""
    try:
        parts = sorted(_parts(address), key=len, reverse=True)
    except ValueError:
        # Nobody can say what in it is secret.
        return "it was refused, or cannot be reached"
    for part in parts:
        said = said.replace(part, "•••")
    return one_line(re.sub(r"^\S+ \S+ - \w+ - ", "", said))


def _parts(address: str) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme not in _WITH_HOSTS:
        # What looks like a host is a token there.
        yield from (one for one in re.split(r"[/@:]", parts.netloc) if len(one) >= _SHORTEST)
    user = parts.netloc.rpartition("@")[0]
    for each in (address, user, *user.split(":"), *re.split(r"[/?&=:@#]", f"{parts.path}?{parts.query}")):
        yield from (one for one in {each, unquote(each)} if len(one) >= _SHORTEST)
