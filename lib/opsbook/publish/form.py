"""The form of a runbook's page: it writes the command to copy, and refuses what the command line would refuse."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from opsbook.model.environment import Environment
from opsbook.model.parameter import Parameter
from opsbook.model.runbook import Runbook
from opsbook.publish.html import data, tag, text

_INPUTS = {"int": "numeric", "float": "decimal"}


def form(runbook: Runbook, environments: Iterable[Environment]) -> str:
    """A block of HTML; without scripts it is the table of the parameters, and a command to complete by hand."""
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
        novalidate=True,
        autocomplete="off",
        aria_label="Parameters",
    )


def _schema(parameter: Parameter) -> dict[str, Any]:
    """What the page checks: the schema of the command line, and what only it says in words."""
    found = {
        "name": parameter.name,
        "base": parameter.base,
        "kind": parameter.kind,
        "required": parameter.required,
        "many": parameter.many,
        "optional": parameter.optional,
        "choices": [str(choice) for choice in parameter.choices],
        "choice": parameter.choice_of,
        "low": parameter.low,
        "high": parameter.high,
        "pattern": parameter.pattern,
        "default": _default(parameter),
    }
    return {key: value for key, value in found.items() if value not in (None, False, [], "")}


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _choices(parameters: Iterable[Parameter], environment: Environment) -> dict[str, list[str]]:
    """What the environment offers, for those choices alone that the page uses."""
    wanted = {parameter.choice_of for parameter in parameters if parameter.choice_of}
    return {name: list(environment.choices.get(name, ())) for name in sorted(wanted)}


def _environment(environments: list[Environment]) -> str:
    options = "".join(
        tag("option", text(f"{e.name} – {e.policy.title}" if e.policy.title else e.name), value=e.name)
        for e in environments
    )
    select = tag("select", options, id="ob-environment", name="environment")
    return tag("div", '<label for="ob-environment">environment</label>' + select, class_="ob-field")


def _field(parameter: Parameter) -> str:
    name, identity = parameter.name, f"ob-{parameter.name}"
    star = '<abbr title="required">*</abbr>' if parameter.required else ""
    parts = [
        f'<label for="{identity}">{text(name)}{star}</label>',
        _input(parameter, identity),
        f'<p class="ob-hint" id="{identity}-hint">{_hint(parameter)}</p>',
        f'<p class="ob-wrong" id="{identity}-wrong" role="alert" hidden></p>',
    ]
    return tag("div", "".join(parts), class_="ob-field")


def _input(parameter: Parameter, identity: str) -> str:
    known = {"id": identity, "name": parameter.name, "aria_describedby": f"{identity}-hint {identity}-wrong"}
    if parameter.secret:
        return tag("input", **known, type="text", disabled=True, value="asked for when the run starts, never here")
    choices = [str(choice) for choice in parameter.choices] or (["true", "false"] if parameter.base == "bool" else [])
    if choices and not parameter.many:
        empty = [] if not parameter.required and not parameter.optional else [""]
        default = _default(parameter)
        options = "".join(tag("option", text(c), value=c, selected=c == default) for c in [*empty, *choices])
        return tag("select", options, **known)
    suggested = f'<datalist id="{identity}-list"></datalist>' if parameter.choice_of else ""
    listed: Mapping[str, Any] = {"list": f"{identity}-list"} if parameter.choice_of else {}
    mode: Mapping[str, Any] = {"inputmode": _INPUTS[parameter.base]} if parameter.base in _INPUTS else {}
    kind = "date" if parameter.base == "date" and not parameter.many else "text"
    return tag("input", **known, type=kind, value=_default(parameter), spellcheck="false", **listed, **mode) + suggested


def _hint(parameter: Parameter) -> str:
    told = text(parameter.description) if parameter.description else ""
    return " · ".join(filter(None, (told, text(parameter.kind))))


def _command(runbook: Runbook, environments: list[Environment]) -> str:
    """The line itself; what it says before any script runs is what somebody would complete by hand."""
    needed = [f"-p {p.name}=…" for p in runbook.parameters if p.required and not p.secret]
    place = shlex.quote(environments[0].name) if environments else "ENVIRONMENT"
    line = " ".join(["opsbook", "run", runbook.name, "-e", place, *needed])
    button = '<button type="button" class="ob-copy">Copy</button>'
    output = tag("output", tag("code", text(line)), class_="ob-line", aria_live="off")
    secrets = [parameter.name for parameter in runbook.parameters if parameter.secret]
    note = f"<p class='ob-hint'>{text(' and '.join(secrets))} will be asked for.</p>" if secrets else ""
    return tag("div", output + button, class_="ob-command") + note
