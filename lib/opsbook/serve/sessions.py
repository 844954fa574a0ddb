"""Who acts in a browser: a link from the command line, which is valid once and shortly, begins a session."""

import hashlib
import json
import secrets
import time
from pathlib import Path

from opsbook import files
from opsbook.settings import Settings

FOLDER = "sign-in"
"""The folder of links in the state folder. A file is named by the digest of its key, and is no secret itself."""

_LINK, _SESSION = 300.0, 12 * 3600.0
"""Seconds for which a link and a session are valid."""


def make_link(settings: Settings, who: str) -> str:
    """Make the key of a link with which a browser acts as this person. Whoever can write the state folder could."""
    key = secrets.token_urlsafe(32)
    folder = settings.state / FOLDER
    for each in folder.glob("*.json"):
        if (_read(each) or ("", 0.0))[1] < time.time():
            each.unlink(missing_ok=True)
    told = {"who": who, "until": time.time() + _LINK}
    files.write_atomic(folder / f"{_digest(key)}.json", json.dumps(told).encode())
    return key


class Sessions:
    """The sessions of a server. They end with it."""

    def __init__(self, settings: Settings) -> None:
        self._links = settings.state / FOLDER
        self._known: dict[str, tuple[str, float]] = {}

    def begin(self, key: str) -> str | None:
        """Use a link up: the key of a new session, or None if it is unknown, too old, or was used before."""
        link = self._links / f"{_digest(key)}.json"
        found = _read(link)
        try:
            link.unlink()
        except OSError:
            return None
        if found is None or found[1] < time.time():
            return None
        made = secrets.token_urlsafe(32)
        self._known = {each: known for each, known in self._known.items() if known[1] > time.time()}
        self._known[_digest(made)] = (found[0], time.time() + _SESSION)
        return made

    def who(self, key: str) -> str:
        """Whose session it is; empty if it is none."""
        who, until = self._known.get(_digest(key), ("", 0.0))
        return who if until > time.time() else ""

    def end(self, key: str) -> None:
        self._known.pop(_digest(key), None)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(link: Path) -> tuple[str, float] | None:
    try:
        told = json.loads(files.read(link))
        return str(told["who"]), float(told["until"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
