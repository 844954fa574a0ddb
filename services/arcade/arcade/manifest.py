"""What a release says of itself: its parts, what it needs where it is deployed, and the packages it was built with."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from arcade.errors import BuildError
from arcade.migrations import read_migrations

NEEDS = "needs.json"
MANIFEST = "MANIFEST.json"
SBOM = "SBOM.cdx.json"
COMPONENTS = {"code": "arcade", "handlers": "handlers", "migrations": "migrations", "ui": "ui"}
"""What a release consists of, with the folder of each."""


def manifest(source: Path, version: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """MANIFEST.json of a release of these files. Raises BuildError for a wrong needs.json."""
    needs = read_needs(source)
    schema = [each.version for each in read_migrations(source / "migrations")]
    digests = {name: _digest(files[name]) for name in sorted(files)}
    return {
        "service": "arcade",
        "version": version,
        "needs": {"postgresql": needs["postgresql"], "services": needs["services"]},
        # The oldest schema that its migrations go on from, and the one they lead to.
        "schema": {"from": schema[0] - 1, "to": schema[-1]},
        "components": {name: _together(folder, digests) for name, folder in COMPONENTS.items()},
        "files": digests,
    }


def _together(folder: str, digests: Mapping[str, str]) -> str:
    """One digest for every file below a folder, as `sha256sum` would list them."""
    lines = (f"{digest}  {name}\n" for name, digest in digests.items() if name.startswith(f"{folder}/"))
    return _digest("".join(lines).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_needs(source: Path) -> dict[str, Any]:
    """needs.json of a source. Raises BuildError if it is missing, or says something else than it may."""
    try:
        found = json.loads((source / NEEDS).read_bytes())
        _check(found)
    except OSError as error:
        raise BuildError(f"{source} has no {NEEDS}") from error
    except (ValueError, TypeError) as error:
        raise BuildError(f"{NEEDS}: {error}") from error
    return dict(found)


def _check(found: Any) -> None:
    """Raises ValueError or TypeError for what is no needs.json."""
    expected = {"postgresql": str, "services": dict, "packages": list}
    if not isinstance(found, dict) or set(found) != set(expected):
        raise ValueError(f"it has to say {', '.join(expected)}, and nothing else")
    for name, kind in expected.items():
        if not isinstance(found[name], kind):
            raise TypeError(f"{name} has to be a {'text' if kind is str else 'list' if kind is list else 'mapping'}")
    for name, text in {"postgresql": found["postgresql"], **found["services"]}.items():
        try:
            SpecifierSet(text)
        except (InvalidSpecifier, AttributeError, TypeError) as error:
            raise ValueError(f"{name}: {text!r} is no range of versions, such as >=14 or >=1.2,<2") from error


def sbom(version: str, packages: Iterable[str]) -> dict[str, Any]:
    """What the service runs on, as CycloneDX 1.5. Neither time nor serial number: the same build, the same bytes.

    `packages` are requirements; what they need in turn is found. Raises BuildError for one that is not installed.
    """
    found: dict[str, str] = {}
    for text in packages:
        try:
            _follow(Requirement(text), found)
        except (InvalidRequirement, PackageNotFoundError) as error:
            raise BuildError(f"{NEEDS}: packages: {text!r} is not installed here: {error}") from error
    own = {"type": "application", "name": "arcade", "version": version, "bom-ref": f"arcade@{version}"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": list(_components(found)),
    }


def _components(found: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for name, version in sorted(found.items()):
        purl = f"pkg:pypi/{name}@{version}"
        yield {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def _follow(requirement: Requirement, found: dict[str, str]) -> None:
    """Add the package, and what it needs with the extras that were asked for."""
    package = distribution(requirement.name)
    name = package.metadata["Name"].lower().replace("_", "-")
    if name in found and not requirement.extras:
        return
    found[name] = package.version
    for text in package.requires or ():
        needed = Requirement(text)
        extras = requirement.extras or {""}
        here: dict[str, Any] = {**default_environment()}
        places = ({**here, "extra": extra} for extra in extras)
        if needed.marker is None or any(needed.marker.evaluate(place) for place in places):
            _follow(needed, found)
