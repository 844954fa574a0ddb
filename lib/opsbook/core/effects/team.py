"""Custom effects of a team: decorated functions in lib/<team>/."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import channel
from opsbook.core.effects.channel import perform as through_gate
from opsbook.core.effects.clean import clean
from opsbook.core.model.text import one_line

Result = TypeVar("Result")

_LONGEST = 200
"""Characters of a call in the journal's summary."""


def effect(
    *, changes: bool, idempotent: bool = False, pretend: Any = None, ignore: Sequence[str] = ()
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Make a function an effect: it passes the gate, is journaled before and after, and is replayed by its result.

        @effect(changes=False)
        def queue_length(url: str) -> int:
            return int(http("GET", url + "/queue").json["length"])

    `changes`: it changes external systems. `idempotent`: it may run again if its outcome is unknown.
    Arguments and result need a JSON form (text, numbers, lists, dicts; a Secret is recorded by name only);
    callers get the result in that form, live or recorded. A result with `"changed": False` says that nothing
    was changed. Effects that it calls are part of it, and may change something only if it may. Any exception
    makes it fail; of an EffectFailed, only the message is shown. Callers may pass `key=`. A check does not
    call a changing function, and returns `pretend`. `ignore` names parts of its result that change by
    themselves. Raises TypeError for a function that has a parameter `key` already.
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        signature = inspect.signature(function)
        if "key" in signature.parameters:
            raise TypeError(f"{function.__name__}() has a parameter named key, which every effect has already")

        @functools.wraps(function)
        def perform(*args: Any, key: str | None = None, **kwargs: Any) -> Result:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            arguments = {name: clean(value) for name, value in bound.arguments.items()}

            def work(call: EffectCall) -> tuple[Result, Any]:
                with channel().inside(call, changes=changes):
                    made = clean(function(*bound.args, **bound.kwargs))
                return made, made

            kind, summary = f"{function.__module__}.{function.__qualname__}", _summary(function.__name__, arguments)
            rules = {"idempotent": idempotent, "key": key, "pretend": pretend, "ignore": ignore}
            return through_gate(kind, {"arguments": arguments}, summary, work, changes=changes, **rules)

        return perform

    return decorate


def _summary(name: str, arguments: dict[str, Any]) -> str:
    shown = (f"{key}={_shown(value)}" for key, value in arguments.items())
    return one_line(f"{name}({', '.join(shown)})", _LONGEST)


def _shown(value: Any) -> str:
    return f"secret {value['secret']}" if isinstance(value, dict) and set(value) == {"secret"} else repr(value)
