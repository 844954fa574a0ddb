"""Current secrets of environments, to search texts for them."""

from collections.abc import Iterable, Mapping

from opsbook.core.model.redact import Redactor
from opsbook.core.planning import environment as environments
from opsbook.core.planning.context import vault
from opsbook.errors import InputError
from opsbook.settings import Settings


def redactor(settings: Settings, names: Iterable[str]) -> Redactor:
    """A redactor with every secret of these environments. Raises InputError with all that are unavailable."""
    return knowing(settings, {name: {} for name in names}, {})


def knowing(settings: Settings, wanted: Mapping[str, Mapping[str, str]], typed: Mapping[str, str]) -> Redactor:
    """A redactor with the secrets of environments, and of these references in each; `typed` are values by name.

    Raises InputError with all that are unavailable.
    """
    found = Redactor()
    problems: list[str] = []
    for name, references in wanted.items():
        try:
            vault(settings, environments.load(settings, name), references, typed, found)
        except InputError as error:
            problems += error.problems
    if problems:
        hint = "What is not known is not found. Name the environments whose secrets you can read: -e ENV."
        raise InputError(problems, hint)
    return found
