"""How an environment is: what it answers, which releases it has, since when and by whom, and what is locked."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from opsbook.core.locks import lock
from opsbook.core.model.environment import Environment
from opsbook.core.model.text import one_line
from opsbook.core.record.deliveries import Delivery, deliveries, places
from opsbook.environments.ages import SecretAge, ages
from opsbook.environments.drift import Drift, last_seen
from opsbook.settings import Settings

_SECONDS = 3.0
_LARGEST = 256 * 1024
"""Bytes of an answer that are read."""


@dataclass(frozen=True)
class Answer:
    """What a health check of an environment says. `status` is None where nobody answered; `said` is its content."""

    name: str
    url: str
    status: int | None
    seconds: float
    said: Any

    @property
    def good(self) -> bool:
        return self.status is not None and self.status < 400


@dataclass(frozen=True)
class State:
    """An environment as it is now. `releases` is the last good run with each component, `unsure` those after it.

    `drift` is what the last run found that compared it with its files; None if there was none.
    """

    environment: Environment
    answers: tuple[Answer, ...]
    releases: tuple[Delivery, ...]
    unsure: tuple[Delivery, ...]
    locks: tuple[lock.Lock, ...]
    secrets: tuple[SecretAge, ...]
    drift: Drift | None


def states(settings: Settings, chosen: Sequence[Environment]) -> list[State]:
    """Ask everything that `health` names, and read records and locks. Changes nothing."""
    every, held, seen = deliveries(settings.records), lock.holders(settings.state), last_seen(settings.records)
    return [
        _state(
            each,
            [one for one in every if one.environment == each.name],
            held,
            ages(settings, each.name, each.policy),
            seen.get(each.name),
        )
        for each in chosen
    ]


def _state(
    environment: Environment,
    every: Sequence[Delivery],
    held: Sequence[lock.Lock],
    secrets: tuple[SecretAge, ...],
    drift: Drift | None,
) -> State:
    there = places(every).values()
    return State(
        environment,
        _answers(environment.policy.health),
        tuple(each.delivery for each in there if each.delivery),
        tuple(each.unsure for each in there if each.unsure),
        tuple(each for each in held if each.target.split("/")[0] == environment.name),
        secrets,
        drift,
    )


def _answers(health: Mapping[str, str]) -> tuple[Answer, ...]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(pool.map(lambda each: _ask(*each), health.items()))


def _ask(name: str, url: str) -> Answer:
    began = time.monotonic()
    try:
        status, text = _answer(url, began)
    except (OSError, ValueError, HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        # Texts of errors may have the address, with a password in it.
        said = getattr(cause, "strerror", None) or type(cause).__name__
        return Answer(name, url, None, time.monotonic() - began, one_line(str(said)))
    return Answer(name, url, status, time.monotonic() - began, _content(text))


def _answer(url: str, began: float) -> tuple[int, bytes]:
    if not url.startswith(("http://", "https://")):
        raise ValueError("it is no address of HTTP")
    # Health checks are of this network: no proxy of the user's environment is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return answer.status, _read(answer, began)
    except urllib.error.HTTPError as error:
        return error.code, _read(error, began)


def _read(answer: Any, began: float) -> bytes:
    """The beginning of an answer, as far as it comes in time: some never end. Raises OSError if it breaks off."""
    found = b""
    while len(found) < _LARGEST and time.monotonic() - began < _SECONDS and (more := answer.read1(_LARGEST)):
        found += more
    return found


def _content(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return one_line(text.decode(errors="replace"))


def in_words(said: Any) -> str:
    """An answer on one line: the plain values of an object, and how many of each list there are."""
    if not isinstance(said, dict):
        return "" if isinstance(said, list) else one_line(str(said))
    plain = {key: len(value) if isinstance(value, list) else value for key, value in said.items()}
    return one_line(", ".join(f"{key} {value}" for key, value in plain.items() if not isinstance(value, dict)))
