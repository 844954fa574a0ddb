"""The form of a runbook's page: it writes the command to copy, and refuses values that the command line refuses."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from opsbook.core.model.environment import Environment
from opsbook.core.model.parameter import Parameter, Scalar
from opsbook.core.model.runbook import Runbook
from opsbook.html import render
from opsbook.site.patterns import in_browser

_INPUTS = {"int": "numeric", "float": "decimal"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1), ("ms", 0.001))


def form(runbook: Runbook, environments: Iterable[Environment]) -> str:
    """The form as HTML; without scripts, it shows the parameters and a command to complete by hand."""
    usable = [e for e in environments if not runbook.front.environments or e.name in runbook.front.environments]
    told = {
        "runbook": runbook.name,
        "parameters": [_schema(parameter) for parameter in runbook.parameters],
        "choices": {e.name: _choices(runbook.parameters, e) for e in usable},
    }
    return render(
        "site/form.html",
        told=told,
        environments=usable,
        fields=map(_field, runbook.parameters),
        command=_command(runbook, usable),
        secrets=[parameter.name for parameter in runbook.parameters if parameter.secret],
    )


def _schema(parameter: Parameter) -> dict[str, Any]:
    """The checks of a parameter for the page's script, the same as on the command line, and the words for them."""
    found: dict[str, Any] = {
        "name": parameter.name,
        "base": parameter.base,
        "kind": parameter.kind,
        "required": parameter.required or None,
        "many": parameter.many or None,
        "optional": parameter.optional or None,
        "choices": [str(choice) for choice in parameter.choices] or None,
        "choice": parameter.choice_of,
        "low": parameter.low,
        "high": parameter.high,
        "limits": _limits(parameter),
        "pattern": parameter.pattern,
        "test": in_browser(parameter.pattern) if parameter.pattern else None,
        "default": _default(parameter),
    }
    # Keep a limit of 0 and an empty default.
    return {key: value for key, value in found.items() if value is not None}


def _default(parameter: Parameter) -> list[str] | None:
    """The texts to type for the default; None if no text gives that value."""
    value = parameter.default
    if parameter.required or parameter.secret:
        return None
    if not isinstance(value, list):
        texts = [["" if value is None else _typed(parameter, value)]]
    else:
        # One text with commas, or one line for each item.
        items = [_typed(parameter, item) for item in value]
        texts = [[",".join(items)], items] if len(items) != 1 else [items]
    return next((each for each in texts if _fits(parameter, each)), None)


def _fits(parameter: Parameter, texts: list[str]) -> bool:
    if (parameter.many and any("\n" in each for each in texts)) or (len(texts) > 1 and not texts[-1]):
        return False
    try:
        return parameter.convert(texts[0] if len(texts) == 1 else texts) == parameter.default
    except ValueError:
        return False


def _typed(parameter: Parameter, value: Scalar) -> str:
    plain = isinstance(value, bool) and not parameter.choices
    return str(value).lower() if plain else str(value)


def _limits(parameter: Parameter) -> list[str] | None:
    """The limits as they would be typed: those of a duration have a unit."""
    if parameter.low is None or parameter.high is None:
        return None
    say = _span if parameter.base == "duration" else "{:g}".format
    return [say(parameter.low), say(parameter.high)]


def _span(seconds: float) -> str:
    whole = ((unit, size) for unit, size in _UNITS if seconds and seconds % size == 0)
    unit, size = next(whole, ("s", 1))
    return f"{seconds / size:g}{unit}"


def _choices(parameters: Iterable[Parameter], environment: Environment) -> dict[str, list[str]]:
    """The environment's choices that the page uses."""
    wanted = {parameter.choice_of for parameter in parameters if parameter.choice_of}
    return {name: list(environment.choices.get(name, ())) for name in sorted(wanted)}


def _field(parameter: Parameter) -> dict[str, Any]:
    """How a parameter is typed: in one of `options`, in so many `rows`, or on one line. `shown` is its default."""
    shown = "\n".join(_default(parameter) or [""])
    one_a_line = parameter.many and not parameter.choice_of
    return {
        "name": parameter.name,
        "required": parameter.required,
        "secret": parameter.secret,
        "hint": _hint(parameter),
        "shown": shown,
        "options": _options(parameter),
        "rows": max(1, shown.count("\n") + 1) if one_a_line or "\n" in shown or "\r" in shown else 0,
        "listed": bool(parameter.choice_of),
        "mode": _INPUTS.get(parameter.base, ""),
    }


def _options(parameter: Parameter) -> tuple[str, ...]:
    choices = [str(choice) for choice in parameter.choices] or (["true", "false"] if parameter.base == "bool" else [])
    if not choices or parameter.many:
        return ()
    return (*(() if not parameter.required and not parameter.optional else ("",)), *choices)


def _hint(parameter: Parameter) -> str:
    told = [parameter.description, _kind(parameter)]
    if not parameter.required and _default(parameter) is None and not parameter.secret:
        told.append(f"unless given: {parameter.default!r}")
    return " · ".join(filter(None, told))


def _kind(parameter: Parameter) -> str:
    """What to type, in words; a duration's limits have a unit here."""
    limits = _limits(parameter)
    one = replace(parameter, many=False, low=None, high=None) if limits else replace(parameter, many=False)
    said = f"{one.kind}{f' from {limits[0]} to {limits[1]}' if limits and not parameter.choices else ''}"
    return f"a list ({said} each), with commas or one a line" if parameter.many else said


def _command(runbook: Runbook, environments: list[Environment]) -> str:
    """The command line. Without scripts, it has a placeholder for each required parameter."""
    needed = [f"-p {p.name}=…" for p in runbook.parameters if p.required and not p.secret]
    place = shlex.quote(environments[0].name) if environments else "ENVIRONMENT"
    return " ".join(["opsbook", "run", runbook.name, "-e", place, *needed])
