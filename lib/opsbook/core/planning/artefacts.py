"""The files that values of parameters name, such as the tarball of a release.

A plan has their digests. So the bytes that were approved are those that run, and those that were tried in one
environment are those that go to the next.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from opsbook import files
from opsbook.core.model.environment import ChoiceRule, Policy
from opsbook.core.model.parameter import Parameter, Value
from opsbook.core.model.plan import ARTEFACT
from opsbook.errors import InputError


def digests(
    root: Path, policy: Policy, parameters: tuple[Parameter, ...], values: Mapping[str, Value]
) -> dict[str, str]:
    """The SHA-256 of each file that a value names, for the `trees` of a plan. `root`: the project's folder.

    Raises InputError for a file that cannot be read.
    """
    paths = dict.fromkeys(path for each in parameters for path in _paths(policy, each, values.get(each.name)))
    return {ARTEFACT + path: digest(root / path) for path in paths if (root / path).is_file()}


def digest(path: Path) -> str:
    """Hex SHA-256 of a file that may be kept elsewhere, and linked to. Raises InputError."""
    try:
        return files.sha256(path.resolve())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Put the file right and try again.") from error


def _paths(policy: Policy, parameter: Parameter, value: Value) -> Iterator[str]:
    rule = policy.choices.get(parameter.choice_of or "")
    if isinstance(rule, ChoiceRule) and rule.glob is not None and value is not None:
        for each in value if isinstance(value, list) else [value]:
            yield rule.glob.replace("*", str(each))
