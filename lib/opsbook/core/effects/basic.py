"""The small effects: questions, secrets, waiting, values, notes, attachments; and the run's context."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from opsbook.core.effects import session, watch
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import channel, perform
from opsbook.core.effects.clean import clean
from opsbook.core.model.text import slug
from opsbook.errors import EffectFailed
from opsbook.params import Secret

ATTACHMENT_LIMIT = 32 * 1024 * 1024
"""Bytes of one attachment."""


class Here:
    """The read-only context of the run. It is fetched from the gate once, on first use."""

    @cached_property
    def _values(self) -> dict[str, Any]:
        return dict(channel().query("hello"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(sorted(self._values))
            raise AttributeError(f"here has no {name}; it has {known}, url()") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("here is read-only")

    def url(self, service: str) -> str:
        """The URL of a service in this environment. Raises EffectFailed if environment.yml has none."""
        urls: dict[str, str] = self.urls
        if service not in urls:
            raise EffectFailed(
                f"environment {self.environment} has no URL for {service}; add it under urls: in environment.yml"
            )
        return urls[service].rstrip("/")

    def __repr__(self) -> str:
        return f"<here: {self.environment}, run {self.run}, mode {self.mode}>"


here = Here()
"""environment, settings, urls, ports, contacts, hosts, groups, operator, run, mode, sandbox, clone."""


def done(step: str) -> bool:
    """Whether a step of this page, named by its title, began in this run. If so, it may have changed something."""
    if session.begun is not None:
        return slug(step) in session.begun
    return bool(channel().query("done", step=step))


def ask(name: str, question: str, choices: Sequence[str] = (), *, key: str | None = None) -> str:
    """Ask the operator; returns the answer. `--answer NAME=VALUE` answers ahead."""
    request = {"name": name, "question": question, "choices": list(choices)}
    answer: dict[str, Any] = _by_runner("ask", request, f"ask {name}", key)
    return str(answer["value"])


def confirm(name: str, question: str, *, key: str | None = None) -> bool:
    """Ask the operator a yes/no question; True for yes."""
    answer: dict[str, Any] = _by_runner("confirm", {"name": name, "question": question}, f"confirm {name}", key)
    return bool(answer["value"] == "yes")


def secret(name: str, *, key: str | None = None) -> Secret:
    """A secret of the environment, or a secret parameter. It prints as dots; `.reveal()` gives the text."""
    text = _by_runner("secret", {"name": name}, f"secret {name}", key or name)
    return Secret(str(text), name)


def note(text: str, *, key: str | None = None) -> None:
    """Write a remark into the journal."""
    _by_runner("note", {"text": str(text)}, "note", key)


def _by_runner(kind: str, request: dict[str, Any], summary: str, key: str | None) -> Any:
    def work(call: EffectCall) -> tuple[Any, Any]:
        # In a run, the runner answers these. Only in a session does the cell ask its person.
        answer = _answered_here(request)
        if call.then is not None:
            answer = _then(answer, call.then)
        return answer, answer

    return perform(kind, request, summary, work, changes=False, idempotent=True, key=key)


def _answered_here(request: dict[str, Any]) -> dict[str, str]:
    choices = request.get("choices") or (["yes", "no"] if "choices" not in request else [])
    prompt = f"{request['question']} [{'/'.join(choices)}] " if choices else f"{request['question']} "
    while (text := input(prompt).strip()) not in choices and choices:
        pass
    return {"value": text, "by": str(here.operator), "note": ""}


def _then(answer: dict[str, str], then: dict[str, Any]) -> dict[str, str]:
    """Show the recorded answer, and return it: everything recorded after it depends on it."""
    same = "the same" if answer["value"] == then["value"] else "otherwise"
    note = f": {then['note']}" if then.get("note") else ""
    print(f"  then, {same}: {then['value']}, by {then['by']}{note}\n{watch.when(then)}")
    return {name: str(then.get(name) or "") for name in ("value", "by", "note")}


def value(name: str, make: Callable[[], Any]) -> Any:
    """A value that would differ in a replay (a time, a random number): generated once, then always the recorded one.

    It needs a JSON form: text, numbers, lists, dicts; dates become text. Raises TypeError if it has none.
    """

    def work(call: EffectCall) -> tuple[Any, Any]:
        with channel().inside(call):
            made = clean(make())
        return made, made

    return perform("value", {"name": name}, f"value {name}", work, changes=False, idempotent=True, key=name)


def wait_until(
    name: str,
    check: Callable[[], Any],
    timeout: float = 60.0,
    every: float = 1.0,
    *,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> Any:
    """Call `check` every `every` seconds until it returns a true value, and return that in its JSON form.

    Reading effects inside `check` are part of this one; an EffectFailed in it counts as not yet. Raises
    EffectFailed after `timeout` seconds. `ignore` names parts of the value that change by themselves.
    """

    def work(call: EffectCall) -> tuple[Any, Any]:
        found, polls = _poll(call, name, check, timeout, every)
        made: Any = True
        with suppress(TypeError):
            made = found.to_json() if hasattr(found, "to_json") else clean(found)
        return made, {"value": made, "polls": polls, "changed": False}

    request = {"name": name, "timeout": timeout, "every": every}
    rules = {"idempotent": True, "key": key, "ignore": ignore, "decode": lambda recorded: recorded["value"]}
    return perform("wait_until", request, f"wait until {name}", work, changes=False, **rules)


def _poll(call: EffectCall, name: str, check: Callable[[], Any], timeout: float, every: float) -> tuple[Any, int]:
    deadline = time.monotonic() + timeout
    polls, last, call.polls = 0, "nothing yet", True
    while True:
        polls += 1
        try:
            with channel().inside(call):
                made = check()
        except EffectFailed as failed:
            made, last = None, str(failed)
        else:
            last = repr(made)[:200]
        call.sample({"poll": polls, "value": last}, f"{name}: {last}")
        if made:
            return made, polls
        if time.monotonic() + every > deadline:
            raise EffectFailed(f"{name} did not come true within {timeout:g} s; last: {last}")
        time.sleep(every)


def attach(name: str, data: str | bytes, *, key: str | None = None) -> None:
    """Keep evidence in the record, as a separate file of at most 32 MiB. Raises ValueError for more."""
    content = data.encode() if isinstance(data, str) else bytes(data)
    if len(content) > ATTACHMENT_LIMIT:
        raise ValueError(f"{name} has {len(content)} bytes; a record keeps at most {ATTACHMENT_LIMIT}")
    request = {"name": name, "bytes": len(content)}

    def work(call: EffectCall) -> tuple[None, Any]:
        call.attachment = content
        return None, {"name": name, "changed": False}

    perform("attach", request, f"attach {name}", work, changes=False, idempotent=True, key=key or name)
