"""The files that values of parameters name, such as the tarball of a release.

A plan has their digests. So the bytes that were approved are those that run, and those that were tried in one
environment are those that go to the next.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from opsbook import files
from opsbook.core.model.environment import ChoiceRule, Policy
from opsbook.core.model.parameter import Parameter, Value
from opsbook.core.model.plan import ARTEFACT, RELEASE, Plan
from opsbook.errors import Refused

RELEASES = "Release"
"""The list of choices whose values are releases."""


def digests(
    root: Path, policy: Policy, parameters: tuple[Parameter, ...], values: Mapping[str, Value]
) -> dict[str, str]:
    """The SHA-256 of each file that a value names, for the `trees` of a plan. `root`: the project's folder.

    Raises InputError for a file that cannot be read.
    """
    named = {path: each.choice_of for each in parameters for path in _paths(policy, each, values.get(each.name))}
    there = {path: RELEASE if kind == RELEASES else ARTEFACT for path, kind in named.items() if (root / path).is_file()}
    return {prefix + path: digest(root / path) for path, prefix in there.items()}


def check(root: Path, plan: Plan) -> None:
    """Raises Refused if a file is not the one with which the plan was made: it may have waited for days."""
    for path, sha in plan.artefacts.items():
        now = digest(root / path) if (root / path).is_file() else "nothing"
        if now != sha:
            said = f"{path} is not what was planned: SHA-256 {sha[:12]} then, {now[:12]} now."
            raise Refused(said, "Put it back, or plan it anew.")


def digest(path: Path) -> str:
    """Hex SHA-256 of a file that may be kept elsewhere, and linked to. Raises InputError."""
    with files.saying(f"{path} cannot be read", "Put the file right and try again."):
        return files.sha256(path.resolve())


def _paths(policy: Policy, parameter: Parameter, value: Value) -> Iterator[str]:
    rule = policy.choices.get(parameter.choice_of or "")
    if isinstance(rule, ChoiceRule) and rule.glob is not None and value is not None:
        for each in value if isinstance(value, list) else [value]:
            yield rule.glob.replace("*", str(each))
