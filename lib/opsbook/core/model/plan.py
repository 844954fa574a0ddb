"""A plan: a runbook bound to an environment and parameters, frozen, with a digest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from opsbook.core.model.effect import digest
from opsbook.core.model.parameter import Value

PROMPT = "prompt"
"""The reference of a secret that a person typed at a hidden prompt."""

ARTEFACT, RELEASE = "file ", "release "
"""What the names of files that parameters name begin with, in the `trees` of a plan; of the type Release, the other."""


@dataclass(frozen=True)
class Plan:
    """What is going to run.

    `secrets` maps a secret parameter to its reference ("prompt" if a person types it); `trees` maps each
    dependency of the run to its SHA-256. The mode is not part of the plan: a check and its run share it.
    """

    runbook: str
    path: str
    title: str
    environment: str
    parameters: Mapping[str, Value]
    secrets: Mapping[str, str]
    locks: tuple[str, ...]
    hosts: tuple[str, ...]
    trees: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the whole plan."""
        return digest(asdict(self))

    @property
    def prompted(self) -> list[str]:
        """Names of secrets that a person typed at a hidden prompt, and types again whenever the plan is used."""
        return [name for name, reference in self.secrets.items() if reference == PROMPT]

    @property
    def releases(self) -> dict[str, str]:
        """The SHA-256 of the file of each release that a parameter names, by its path in the project."""
        return {name.removeprefix(RELEASE): sha for name, sha in self.trees.items() if name.startswith(RELEASE)}

    @property
    def artefacts(self) -> dict[str, str]:
        """The same of every file that a parameter names."""
        others = {name.removeprefix(ARTEFACT): sha for name, sha in self.trees.items() if name.startswith(ARTEFACT)}
        return self.releases | others

    @property
    def id(self) -> str:
        return f"{self.runbook}-{self.digest[:12]}"

    def to_json(self) -> dict[str, Any]:
        """The content of plan.json."""
        return {"id": self.id, "digest": self.digest, **asdict(self)}
