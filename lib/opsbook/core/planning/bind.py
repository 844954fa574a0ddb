"""Bind the user's values to a runbook's parameters: reports all problems at once, guesses nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from opsbook.core.model.environment import Environment, check_reference
from opsbook.core.model.parameter import Parameter, Value, check_text, quoted
from opsbook.core.model.plan import PROMPT
from opsbook.core.model.text import nearest, one_line
from opsbook.errors import InputError

Given = Mapping[str, str | Sequence[str] | None]
"""Values by name; None is null. A list may be one text with commas; in several texts a comma is a character."""

_LONGEST_NAME = 80
"""Characters of an unknown name that are shown; a longer one is no typo."""


@dataclass(frozen=True)
class Bound:
    """Converted values, and the references of secret parameters. `missing`: parameters without value and default."""

    values: dict[str, Value] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    missing: tuple[Parameter, ...] = ()
    problems: tuple[str, ...] = ()

    def complete(self, runbook: str) -> "Bound":
        """Self, if nothing is wrong or missing. Raises InputError with every problem."""
        problems = [*self.problems, *(_absent(parameter) for parameter in self.missing)]
        if problems:
            raise InputError(problems, f"opsbook show {runbook} lists its parameters. Nothing ran.")
        return self


def pairs(arguments: Sequence[str]) -> dict[str, list[str]]:
    """`NAME=VALUE` arguments; a name given twice has two values. Raises InputError for all bad ones."""
    found: dict[str, list[str]] = {}
    bad = [text for text in arguments if not text.partition("=")[1] or not text.partition("=")[0].strip()]
    if bad:
        raise InputError([f"{text!r} is not NAME=VALUE." for text in bad], "Write for example -p version=1.2.0.")
    for text in arguments:
        name, _, value = text.partition("=")
        found.setdefault(name.strip(), []).append(value)
    return found


def bind(
    parameters: Sequence[Parameter], given: Given, environment: Environment, prompted: Collection[str] = ()
) -> Bound:
    """Convert the given values; the rest get their defaults. `prompted` secrets were typed at a hidden prompt."""
    known = {parameter.name: parameter for parameter in parameters}
    strange = (one_line(name, _LONGEST_NAME) for name in given if name not in known)
    problems = [f"There is no parameter {name}. {nearest(name, known)}" for name in strange]
    values: dict[str, Value] = {}
    secrets: dict[str, str] = {}
    missing = []
    for name, parameter in known.items():
        try:
            if name in prompted:
                secrets[name] = PROMPT
            elif name not in given:
                missing += _unset(parameter, environment, values)
            elif (typed := given[name]) is None:
                _check_optional(parameter)
                values[name] = None
            elif parameter.secret:
                secrets[name] = _reference(name, typed)
            else:
                values[name] = check(parameter, typed, environment)
        except ValueError as error:
            said = str(error)
            problems.append(f"Parameter {name}: {said}{'' if said.endswith(('.', '?')) else '.'}")
    return Bound(values, secrets, tuple(missing), tuple(problems))


def _unset(parameter: Parameter, environment: Environment, values: dict[str, Value]) -> list[Parameter]:
    if parameter.required:
        return [parameter]
    if parameter.default is not None:
        _in_choices(parameter, parameter.default, environment)
    values[parameter.name] = parameter.default
    return []


def _check_optional(parameter: Parameter) -> None:
    """Raise ValueError if null is no value of the parameter."""
    if not parameter.optional or parameter.secret:
        raise ValueError(f"null is no value for it; it takes {parameter.kind}")


def check(parameter: Parameter, typed: str | Sequence[str], environment: Environment) -> Value:
    """Convert one typed value. Raises ValueError with what is wrong."""
    value = parameter.convert(typed)
    _in_choices(parameter, value, environment)
    return value


def recheck(parameters: Sequence[Parameter], values: Mapping[str, Value], environment: Environment) -> list[str]:
    """Problems of values bound earlier that are no longer among the choices."""
    problems = []
    for parameter in parameters:
        try:
            _in_choices(parameter, values.get(parameter.name), environment)
        except ValueError as error:
            problems.append(f"Parameter {parameter.name}: {error}")
    return problems


def _in_choices(parameter: Parameter, value: Value, environment: Environment) -> None:
    if parameter.choice_of is None or value is None:
        return
    choices = environment.choices.get(parameter.choice_of, ())
    for item in value if isinstance(value, list) else [value]:
        if item not in choices:
            what = parameter.choice_of.lower()
            hint = nearest(str(item), choices)
            raise ValueError(f"there is no {what} {quoted(str(item))} in {environment.name}. {hint}")


def _reference(name: str, typed: str | Sequence[str]) -> str:
    values = [typed] if isinstance(typed, str) else typed
    if len(values) != 1:
        raise ValueError(f"takes one value, not {len(values)}")
    check_text(values[0])
    check_reference(name, values[0])
    return values[0]


def _absent(parameter: Parameter) -> str:
    if parameter.secret:
        return f"Parameter {parameter.name} is missing: a secret; give -p {parameter.name}=env:NAME or file:PATH."
    return f"Parameter {parameter.name} is missing: {parameter.kind}; give -p {parameter.name}=…."
