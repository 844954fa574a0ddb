"""Values as papermill has read them: which of them are still what was typed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsbook.core.model.parameter import Parameter
from opsbook.errors import InputError

_NUMBERS = {"int": int, "float": int | float}
"""What papermill may make of a value: of any other kind, the text that was typed is lost."""


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values as text, as they would be typed; None stays None."""
    return {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def check(known: Mapping[str, Parameter], given: Mapping[str, Any]) -> None:
    """Raises InputError for values that papermill has read as something else than was typed: 1.1 for 1.10."""
    wrong = [name for name, value in given.items() if name in known and not _kept(known[name], value)]
    said = [f"{name} is {known[name].kind}, and papermill has read {given[name]!r}: text is lost." for name in wrong]
    if said:
        raise InputError(said, "-r NAME VALUE keeps it as typed; in a list, or in Python, give text. Nothing ran.")


def _kept(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, list):
        return parameter.many and all(
            item is not None and _kept(replace(parameter, many=False), item) for item in value
        )
    if value is None or isinstance(value, str):
        return True
    if isinstance(value, bool) or parameter.base == "bool":
        return isinstance(value, bool) and parameter.base == "bool"
    return isinstance(value, _NUMBERS.get(parameter.base, ()))
