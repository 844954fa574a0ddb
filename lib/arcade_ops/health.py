"""The service's health as its clients see it: runbooks and drills check it before they report a repair."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import httpx

from arcade_ops.identity import mark, owner, said_by
from opsbook import EffectFailed, effect

SLOW_SECONDS = 0.2
"""An instance is slow if the fastest of three Info requests takes longer: a busy machine slows down some, not all."""

TIMES = 3
"""Good checks in a row that count as healthy: one alone may be luck."""

_SILENT, _NO_DATABASE = " does not answer", " is not ready (database)"

_LEADERBOARD = {"Action": "Leaderboard", "From": "opsbook", "Tags": {"Limit": "3"}}
_INFO = {"Action": "Info", "From": "opsbook"}
# Always the same player and name, so that repeated checks add no data.
_REGISTER = {"Action": "Register", "From": "opsbook", "Data": "opsbook"}


@effect(changes=False)
def problems(url: str, balancer: str, canary: bool = False) -> list[str]:
    """What is wrong, one sentence each; empty if everybody can play.

    `url` is the service, `balancer` the load balancer's state page. It checks what players get, and each instance
    that serves them. With `canary`, a healthy canary may have a share of the traffic.
    """
    with httpx.Client(trust_env=False, timeout=5) as client:
        return list(look(client, url, balancer, mark(), canary=canary))


class SteadilyWell:
    """For wait_until: true when the service was healthy TIMES times in a row.

    Raises EffectFailed with what is wrong, so that the run shows it while it waits. `also` returns further
    problems, which the service itself cannot see.
    """

    def __init__(self, url: str, balancer: str, also: Callable[[], list[str]] = list) -> None:
        self._url = url
        self._balancer = balancer
        self._also = also
        self._good = 0

    def __call__(self) -> bool:
        found = [*problems(self._url, self._balancer), *self._also()]
        self._good = 0 if found else self._good + 1
        if found:
            raise EffectFailed("; ".join(found))
        return self._good >= TIMES


def look(client: httpx.Client, url: str, balancer: str, own: str, *, canary: bool = False) -> Iterator[str]:
    """The same as `problems`, outside of a run. `own` is the mark of the environment."""
    try:
        answer = client.get(balancer).raise_for_status()
        state = answer.json()
    except (httpx.HTTPError, ValueError):
        yield "the load balancer does not say who serves"
        return
    if (said := said_by(answer.headers, state)) != own:
        yield f"the load balancer at {balancer} is one of {owner(said)}, not of {own}"
        return
    if state["share"] and not canary:
        yield f"{state['share']} % of the requests go to a canary"
    serving = [each for each in state["instances"] if each["colour"] == state["serving"]]
    found = [list(_instance(client, each, own)) for each in serving]
    yield from _shared(found)
    yield from chain(*found)
    yield from _players(client, url, 2 * len(state["instances"]), own)
    for instance in state["instances"]:
        if state["share"] and instance not in serving and instance["pool"]:
            yield from (f"the canary {each}" for each in _instance(client, instance, own))


def _shared(found: list[list[str]]) -> Iterator[str]:
    """What is wrong with all instances that serve, and so hardly with each of them."""
    for end, said in ((_SILENT, "no instance answers"), (_NO_DATABASE, "no instance reaches the database")):
        if all(any(each.endswith(end) for each in one) for one in found):
            yield said


def _players(client: httpx.Client, url: str, times: int, own: str) -> Iterator[str]:
    """What players get, asked often enough to reach every instance behind the load balancer."""
    for _ in range(times):
        answer = _answer(client, url, _LEADERBOARD)
        if (status := _status(answer)) != "200":
            yield f"players get {status}"
            return
        if answer is not None and (said := said_by(answer.headers, None)) != own:
            yield f"players get answers of {owner(said)}"
            return


def _instance(client: httpx.Client, instance: dict[str, Any], own: str) -> Iterator[str]:
    name, url = instance["name"], instance["url"]
    if not instance["pool"]:
        yield f"{name} is not in the pool"
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.HTTPError:
        yield f"{name}{_SILENT}"
        return
    if (said := said_by(answer.headers, None)) != own:
        yield f"{name} does not answer: {owner(said)} has its port"
        return
    if answer.status_code != 200:
        yield f"{name} is not ready ({_failing(answer)})"
        return
    for message in (_REGISTER, _LEADERBOARD):
        status = _status(_answer(client, url, message))
        if status != "200":
            yield f"{name} answers {message['Action']} with {status}"
    answers = [_answer(client, url, _INFO) for _ in range(3)]
    took = min((answer.elapsed.total_seconds() for answer in answers if answer is not None), default=0.0)
    if took > SLOW_SECONDS:
        yield f"{name} takes {took * 1000:.0f} ms for Info"


def _failing(answer: httpx.Response) -> str:
    """The first check of /readyz that fails: those after it often fail because of it."""
    try:
        return str(next(name for name, said in answer.json()["checks"].items() if said != "ok"))
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return str(answer.status_code)


def _answer(client: httpx.Client, url: str, message: dict[str, Any]) -> httpx.Response | None:
    try:
        return client.post(f"{url}/messages", json=message)
    except httpx.HTTPError:
        return None


def _status(answer: httpx.Response | None) -> str:
    return "no answer" if answer is None else str(answer.status_code)
