"""Effects of a team's own: one decorated function in lib/<team>/."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from opsbook.core.effects.channel import EffectCall, EffectRequest, channel
from opsbook.core.effects.clean import clean
from opsbook.core.model.text import one_line

Result = TypeVar("Result")

_LONGEST = 200
"""Characters of a call as the journal's summary shows it."""


def effect(
    *, changes: bool, idempotent: bool = False, pretend: Any = None, ignore: Sequence[str] = ()
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Make a function an effect: asked for at the gate, journaled before and after, replayed from its result.

        @effect(changes=False)
        def queue_length(url: str) -> int:
            return int(http("GET", url + "/queue").json["length"])

    `changes` says whether it changes anything outside; `idempotent`, whether it may run again when nobody
    knows what became of it. Arguments and result need a JSON form (text, numbers, lists, dicts; a Secret is
    named, never written); callers get the result in that form, live and from a recording alike. A result
    with `"changed": False` says that nothing was changed. Effects it calls belong to it, and only read
    unless it changes. It fails with whatever it raises; EffectFailed is shown as its sentence alone.
    Callers may pass `key=`. A check calls none that changes, and gives `pretend`. `ignore` names what
    of its result changes by itself. Raises TypeError for a function that has a parameter `key` already.
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

            def work(call: EffectCall) -> tuple[Any, Any]:
                with channel().inside(call, changes=changes):
                    made = clean(function(*bound.args, **bound.kwargs))
                return made, made

            return channel().perform(  # type: ignore[no-any-return]
                EffectRequest(
                    f"{function.__module__}.{function.__qualname__}",
                    {"arguments": arguments},
                    summary=_summary(function.__name__, arguments),
                    changes=changes,
                    idempotent=idempotent,
                    key=key,
                    pretend=pretend,
                    ignore=ignore,
                ),
                work,
            )

        return perform

    return decorate


def _summary(name: str, arguments: dict[str, Any]) -> str:
    shown = (f"{key}={_shown(value)}" for key, value in arguments.items())
    return one_line(f"{name}({', '.join(shown)})", _LONGEST)


def _shown(value: Any) -> str:
    return f"secret {value['secret']}" if isinstance(value, dict) and set(value) == {"secret"} else repr(value)
