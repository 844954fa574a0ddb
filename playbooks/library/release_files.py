#!/usr/bin/python
"""Ansible module: unpack a release tarball and verify it."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_archive import extract

DOCUMENTATION = """
module: release_files
short_description: Unpack a release tarball and verify it
description:
  - Unpacks beside the folder, verifies every file against the release's MANIFEST.json and renames, so
    that the folder is either absent or whole. A folder that is there is verified, never replaced.
  - In check mode verifies the tarball in a folder of its own that is removed again.
options:
  tarball: {description: The release tarball., type: path, required: true}
  name: {description: The tarball's only top folder., type: str, required: true}
  folder: {description: Where the release goes., type: path, required: true}
"""

EXAMPLES = """
- name: Unpack the release
  release_files:
    tarball: /srv/releases/1.2.0.tar.gz
    name: arcade-1.2.0
    folder: /srv/app/releases/1.2.0
"""

RETURN = """
folder: {description: The folder of the release., returned: always, type: str}
"""

MANIFEST = "MANIFEST.json"


def wrong_files(folder: Path) -> list[str]:
    """Name the files that differ from the manifest in the folder."""
    digests = json.loads((folder / MANIFEST).read_text())["files"]
    return [name for name, digest in digests.items() if digest_of(folder / name) != digest]


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def packed_manifest(tarball: Path, name: str) -> bytes:
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(f"{name}/{MANIFEST}")
        return member.read() if member else b""


def verify(module: AnsibleModule, folder: Path) -> None:
    wrong = wrong_files(folder)
    if wrong:
        module.fail_json(msg=f"{folder} differs from its {MANIFEST}: {', '.join(wrong)}")


def unpack(module: AnsibleModule, tarball: Path, name: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        release = extract(module, tarball, name, scratch)
        verify(module, release)
        release.rename(folder)


def foresee(module: AnsibleModule, tarball: Path, name: str) -> None:
    """Fail as unpacking would. A tarball that is not there may be one that build.yml only simulated."""
    if tarball.exists():
        with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
            verify(module, extract(module, tarball, name, scratch))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tarball": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    tarball, name = Path(module.params["tarball"]), module.params["name"]
    folder = Path(module.params["folder"])
    missing = not folder.exists()
    if not tarball.exists() and not module.check_mode:
        module.fail_json(msg=f"{tarball} does not exist: run build.yml first")
    try:
        if not missing:
            verify(module, folder)
            if tarball.exists() and packed_manifest(tarball, name) != (folder / MANIFEST).read_bytes():
                module.fail_json(msg=f"{folder} was unpacked from another {tarball.name}: build a new version")
        elif module.check_mode:
            foresee(module, tarball, name)
        else:
            unpack(module, tarball, name, folder)
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        module.fail_json(msg=f"{tarball} is no release {name}: {error}")
    difference = {"before": "", "after": f"{folder}\n" if missing else ""}
    module.exit_json(changed=missing, folder=str(folder), diff=difference)


if __name__ == "__main__":
    main()
