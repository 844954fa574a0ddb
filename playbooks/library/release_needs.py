#!/usr/bin/python
"""Ansible module: whether an environment has what a release needs."""

from __future__ import annotations

import json
import os
import tarfile
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import psycopg
from ansible.module_utils.basic import AnsibleModule
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

DOCUMENTATION = """
module: release_needs
short_description: Check that an environment has what a release needs
description:
  - Reads C(needs) of the C(MANIFEST.json) in the release's tarball, asks the database server and the other services
    for their versions, and fails with everything that does not fit. Changes nothing.
  - A service says its version as C({"version":...}) at its URL with C(/version).
options:
  tarball: {description: The release tarball., type: path, required: true}
  name: {description: The tarball's only top folder., type: str, required: true}
  conninfo: {description: How the service finds the database., type: str, required: true}
  service_file: {description: The file in which libpq finds role and password., type: path, required: true}
  urls: {description: The URL of each service of the environment., type: dict, default: {}}
"""

EXAMPLES = """
- name: Check what it needs
  release_needs:
    tarball: /srv/releases/1.2.0.tar.gz
    name: arcade-1.2.0
    conninfo: service=arcade host=/srv/env/run port=5432 dbname=arcade
    service_file: /srv/env/secrets/database.conf
    urls: {scores: "http://127.0.0.1:8000"}
"""

RETURN = """
needs: {description: What the release needs., returned: always, type: dict}
found: {description: The version that each has., returned: always, type: dict}
"""

SECONDS = 5


def needs_of(tarball: Path, name: str) -> dict[str, str]:
    """Answer the range of versions of everything that the release needs. Raises OSError, TarError, ValueError."""
    with tarfile.open(tarball) as archive:
        file = archive.extractfile(f"{name}/MANIFEST.json")
        told = json.loads(file.read() if file else b"{}").get("needs", {})
    return {"postgresql": told.get("postgresql", ""), **told.get("services", {})}


def version_of(module: AnsibleModule, what: str) -> str:
    """Answer the version of what is there. Raises OSError with the reason if nothing is, or nothing answers."""
    if what == "postgresql":
        return database(module)
    url = module.params["urls"].get(what)
    if not url:
        raise OSError("urls: in environment.yml has none of this name")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url.rstrip('/')}/version", timeout=SECONDS) as answer:
        return str(json.load(answer)["version"])


def database(module: AnsibleModule) -> str:
    os.environ["PGSERVICEFILE"] = module.params["service_file"]
    try:
        with psycopg.connect(module.params["conninfo"], connect_timeout=SECONDS) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.Error as error:
        raise OSError(f"the database does not answer: {str(error).strip().splitlines()[-1]}") from error
    return str(row[0]).split()[0] if row else ""


def wrong(module: AnsibleModule, needs: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for what, wanted in needs.items():
        if not wanted:
            continue
        try:
            found[what] = version_of(module, what)
            if not SpecifierSet(wanted).contains(Version(found[what]), prereleases=True):
                yield f"{what} {wanted}, and {found[what]} is there"
        except (OSError, ValueError, KeyError, TypeError, HTTPException, InvalidVersion) as error:
            yield f"{what} {wanted}, and nobody can say which is there: {error}"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tarball": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "conninfo": {"type": "str", "required": True},
            "service_file": {"type": "path", "required": True},
            "urls": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    tarball, name = Path(module.params["tarball"]), module.params["name"]
    if module.check_mode and not tarball.exists():
        # One that build.yml has only simulated.
        module.exit_json(skipped=True, msg=f"{tarball} is not built yet: nobody can say what it needs")
    try:
        needs = needs_of(tarball, name)
    except (OSError, tarfile.TarError, ValueError, KeyError, AttributeError, TypeError) as error:
        module.fail_json(msg=f"{tarball} is no release {name}: {error}")
    found: dict[str, str] = {}
    problems = list(wrong(module, needs, found))
    if problems:
        module.fail_json(msg=f"{name} needs {'; '.join(problems)}", needs=needs, found=found)
    module.exit_json(changed=False, needs=needs, found=found)


if __name__ == "__main__":
    main()
