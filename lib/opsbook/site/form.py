"""The form of a runbook's page: it writes the command to copy, and refuses values that the command line refuses."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from opsbook.core.model.environment import Environment
from opsbook.core.model.parameter import Parameter, Scalar
from opsbook.core.model.runbook import Runbook
from opsbook.html import data, tag, text
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
    fields = "".join(_field(parameter) for parameter in runbook.parameters)
    script = f"<script type='application/json'>{data(told)}</script>"
    return tag(
        "form",
        _environment(usable) + fields + _command(runbook, usable) + script,
        class_="ob-form",
        data_search_exclude=True,
        novalidate=True,
        autocomplete="off",
        aria_label="Parameters",
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


def _environment(environments: list[Environment]) -> str:
    options = "".join(
        tag("option", text(f"{e.name} – {e.policy.title}" if e.policy.title else e.name), value=e.name)
        for e in environments
    )
    known = {"id": "ob-environment", "name": "environment", "aria_describedby": "ob-environment-wrong"}
    return tag(
        "div",
        '<label for="ob-environment">environment</label>' + tag("select", options, **known) + _wrong("ob-environment"),
        class_="ob-field",
    )


def _wrong(identity: str) -> str:
    return f'<p class="ob-wrong" id="{identity}-wrong" role="alert" hidden></p>'


def _field(parameter: Parameter) -> str:
    # Prefix the ids: a parameter may have the name of another element, such as environment.
    name, identity = parameter.name, f"ob-p-{parameter.name}"
    star = '<abbr title="required">*</abbr>' if parameter.required else ""
    parts = [
        f'<label for="{identity}">{text(name)}{star}</label>',
        _input(parameter, identity),
        f'<p class="ob-hint" id="{identity}-hint">{_hint(parameter)}</p>',
        _wrong(identity),
    ]
    return tag("div", "".join(parts), class_="ob-field")


def _input(parameter: Parameter, identity: str) -> str:
    known = {"id": identity, "name": parameter.name, "aria_describedby": f"{identity}-hint {identity}-wrong"}
    if parameter.secret:
        return tag("input", **known, type="text", disabled=True, value="asked for when the run starts")
    choices = [str(choice) for choice in parameter.choices] or (["true", "false"] if parameter.base == "bool" else [])
    lines = _default(parameter) or [""]
    if choices and not parameter.many:
        empty = [] if not parameter.required and not parameter.optional else [""]
        options = "".join(tag("option", text(c), value=c, selected=c == lines[0]) for c in [*empty, *choices])
        return tag("select", options, **known)
    shown = "\n".join(lines)
    if (parameter.many and not parameter.choice_of) or "\n" in shown or "\r" in shown:
        # HTML ignores the first line end after the tag.
        return tag("textarea", text("\n" + shown), **known, rows=max(1, shown.count("\n") + 1), spellcheck="false")
    suggested = f'<datalist id="{identity}-list"></datalist>' if parameter.choice_of else ""
    listed: Mapping[str, Any] = {"list": f"{identity}-list"} if parameter.choice_of else {}
    mode: Mapping[str, Any] = {"inputmode": _INPUTS[parameter.base]} if parameter.base in _INPUTS else {}
    # No <input type="date">: it hides invalid values from the URL, and accepts only one format.
    return tag("input", **known, type="text", value=shown, spellcheck="false", **listed, **mode) + suggested


def _hint(parameter: Parameter) -> str:
    told = [parameter.description, _kind(parameter)]
    if not parameter.required and _default(parameter) is None and not parameter.secret:
        told.append(f"unless given: {parameter.default!r}")
    return " · ".join(text(each) for each in told if each)


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
    line = " ".join(["opsbook", "run", runbook.name, "-e", place, *needed])
    button = '<button type="button" class="ob-copy">Copy</button>'
    output = tag("output", tag("code", text(line)), class_="ob-line", aria_live="off")
    secrets = [parameter.name for parameter in runbook.parameters if parameter.secret]
    note = f"<p class='ob-hint'>{text(' and '.join(secrets))} will be asked for.</p>" if secrets else ""
    return tag("div", output + button, class_="ob-command") + note
