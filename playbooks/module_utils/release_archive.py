"""What the modules that open a release's tarball share."""

from __future__ import annotations

import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def refuse_odd_members(module: AnsibleModule, archive: tarfile.TarFile, name: str) -> None:
    """Only plain files and folders below the release's own folder are unpacked."""
    for member in archive.getmembers():
        inside = member.name == name or member.name.startswith(f"{name}/")
        if not inside or ".." in member.name.split("/") or not (member.isfile() or member.isdir()):
            module.fail_json(msg=f"{archive.name} holds {member.name}, which is no plain file of {name}")


def extract(module: AnsibleModule, tarball: Path, name: str, scratch: str) -> Path:
    """Unpack into the folder; answer the release's own folder in it. Raises OSError, TarError."""
    with tarfile.open(tarball) as archive:
        refuse_odd_members(module, archive, name)
        # The filter came with Python 3.11.4; what it would refuse is refused above, for 3.11.0 to 3.11.3.
        options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(scratch, **options)  # noqa: S202  (every member was looked at above)
    return Path(scratch, name)
