"""Walk a decision tree: run its checks, and ask the rest. Nothing is changed; a page that it runs leaves a record."""

import re
import shlex
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.model.environment import Environment
from opsbook.core.model.events import RunFinished, StepFinished
from opsbook.core.model.outcome import Exit
from opsbook.core.model.text import nearest
from opsbook.diagnose.trees import Node, Tree, TreeCheck
from opsbook.errors import InputError
from opsbook.operate import own_process
from opsbook.settings import Settings

Ask = Callable[[Node, str], str]
"""Takes a question, and why no check answers it, or nothing; returns one of its answers."""


_BROKEN = re.compile(r"(?!AssertionError\b)\w+(?:Error|Exception):")
"""How the reason of a page begins that is at fault itself, and has found nothing."""

_MOST = 256 * 1024
"""Bytes of an answer that are read."""


@dataclass(frozen=True)
class Answered:
    """A question with its answer. `seen` is the result of a check, or why it had none; empty if there is no check."""

    question: str
    answer: str
    seen: str = ""


@dataclass(frozen=True)
class Finding:
    """What the check of a page gave: `well` is None where it could not look. `seen` is its reason; `why` that of the
    step that failed, without its name.
    """

    well: bool | None
    seen: str
    why: str = ""


def walk(settings: Settings, tree: Tree, place: Environment, ask: Ask) -> Iterator[Answered | str | Node]:
    """Each question with its answer; last, the node that says what to do. Each page is run once at most.

    Before it is run, which takes seconds, its name.
    """
    node = tree.root
    found: dict[str, Finding] = {}
    while node.answers:
        answer, seen = "", ""
        if node.check and node.check.what in ("run", "says"):
            page = node.check.where
            if page not in found:
                yield page
                found[page] = _run(settings, page, place)
            answer, seen = said(node, found[page]), found[page].seen
        elif node.check:
            good, seen = look(node.check, place)
            answer = "yes" if good else "no"
        answer = answer or ask(node, seen)
        yield Answered(node.plain, answer, seen)
        node = dict(node.answers)[answer]
    yield node


def _run(settings: Settings, page: str, place: Environment) -> Finding:
    done = own_process.carry(settings.root, page, ["-e", place.name, "--check", "--json"])
    facts = done.facts()
    reason = next((fact.reason for fact in reversed(facts) if isinstance(fact, RunFinished)), done.said)
    steps = [fact for fact in facts if isinstance(fact, StepFinished)]
    if done.code == Exit.SUCCEEDED:
        left = next((fact for fact in steps if fact.status != "succeeded"), None)
        if left or not steps:
            why = left.why or left.status if left else "it has no step"
            return Finding(None, f"{page} did not look at everything: {why}")
        return Finding(True, f"{page} found nothing")
    why = steps[-1].why if steps else ""
    if done.code != Exit.FAILED or not steps or steps[-1].status != "failed" or _BROKEN.match(why):
        return Finding(None, f"{page} could not be run: {reason}")
    return Finding(False, f"{page}: {reason}", why)


def said(node: Node, found: Finding) -> str:
    """The answer that a page gives to a question; empty if it gives none."""
    labels = [label for label, _ in node.answers]
    if found.well is None:
        return ""
    if node.check and node.check.what == "run":
        return "yes" if found.well else "no"
    return next((each for each in labels[:-1] if not found.well and each in found.why), labels[-1])


def command(settings: Settings, page: str, place: Environment, last: Answered | None) -> str:
    """The line that runs a page that the tree leads to. What it needs and the last answer names is filled in.

    With the answer `does not answer` and `arcade-1 does not answer` in what was seen, that is arcade-1, if a parameter
    has it among its choices.
    """
    subject = _subject(last) if last else ""
    words = ["opsbook", "run", page, "-e", place.name]
    try:
        needed = [each for each in catalog.load(settings, page).parameters if each.required]
    except InputError:
        needed = []  # running it says what is wrong
    for each in needed:
        fits = subject in place.choices.get(each.choice_of or "", ())
        words += ["-p", f"{each.name}={subject if fits else '…'}"]
    return " ".join(word if word.endswith("=…") else shlex.quote(word) for word in words)


def _subject(last: Answered) -> str:
    """What stands before the answer in the sentence that has it."""
    sentence = next((each for each in re.split(r"; |: ", last.seen) if last.answer in each), "")
    return sentence.partition(last.answer)[0].strip()


def look(check: TreeCheck, place: Environment) -> tuple[bool, str]:
    """Run a check: whether it holds, and what was seen. Raises InputError for an unknown service."""
    started = time.monotonic()
    seen, good = (_port if check.what == "port" else _get)(check, place)
    took = time.monotonic() - started
    return good and took <= check.within, f"{seen} in {took * 1000:.0f} ms"


def _get(check: TreeCheck, place: Environment) -> tuple[str, bool]:
    service, _, path = check.where.partition("/")
    known = {**place.policy.urls, **{k: v for k, v in place.policy.settings.items() if _is_url(v)}}
    if service not in known:
        raise InputError(
            f"{place.name} does not say where {service} answers. {nearest(service, known)}",
            "Name it under urls: in environment.yml.",
        )
    url = f"{str(known[service]).rstrip('/')}/{path}"
    if not _is_url(url):
        raise InputError(f"{url} is no address of a web service.", "Correct environment.yml.")
    # No proxy: the check has to see what this machine sees.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    try:
        with _answer(opener, url, check.within) as response:
            status, body = int(response.status), response.read(_MOST)
    except (OSError, ValueError) as error:
        return f"GET {url}: {getattr(error, 'reason', error)}", False
    if check.has:
        there = _joined(check.has) in _joined(body.decode(errors="replace"))
        seen = f"GET {url}: {status}, {'has' if there else 'has no'} {check.has}"
        return seen, there and check.status in (None, status)
    return f"GET {url}: {status}", status == check.status if check.status else status < 400


def _answer(opener: urllib.request.OpenerDirector, url: str, within: float) -> Any:
    """The answer, also one of 400 and above: what is not well says there why."""
    try:
        return opener.open(url, timeout=within)
    except urllib.error.HTTPError as error:
        return error


def _joined(text: str) -> str:
    """Text without spaces: JSON is written with and without them."""
    return "".join(text.split())


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the check is about this service's status, not about another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _port(check: TreeCheck, _: Environment) -> tuple[str, bool]:
    host, port = check.where.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=check.within):
            return f"{check.where} takes connections", True
    except (OSError, OverflowError) as error:
        return f"{check.where}: {error}", False
