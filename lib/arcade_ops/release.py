"""What a release says of itself, for the record of the run that built it."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def contents(service: str, version: str) -> dict[str, Any]:
    """The release's SHA-256, its `manifest` and its `sbom`. Empty in a check that has built nothing.

    Raises EffectFailed if the file is not there or is no release.
    """
    file = Path(here.state, "releases", service, f"{version}.tar.gz")
    if here.mode == "check" and not file.exists():
        return {}
    try:
        content = file.read_bytes()
        with tarfile.open(file) as archive:
            manifest, sbom = (_member(archive, f"{service}-{version}/{name}") for name in _FILES)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise EffectFailed(f"{file.name} is no release of {service}: {error}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    return {"service": service, "version": version, "sha256": sha256, "manifest": manifest, "sbom": sbom}


_FILES = ("MANIFEST.json", "SBOM.cdx.json")


def _member(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    return json.load(file) if file else None
