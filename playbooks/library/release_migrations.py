#!/usr/bin/python
"""Ansible module: apply the migrations of a release."""

from __future__ import annotations

import json
import os
import socket as sockets
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_archive import extract

DOCUMENTATION = """
module: release_migrations
short_description: Apply those migrations of a release that are pending
description:
  - Asks the release's own C(migrate --status) what is pending, and runs C(migrate) if anything is.
  - In check mode it only asks. A release that is not unpacked yet is asked in a folder of its own that
    is removed again. Without a release or without a database that answers, nothing can be said; the
    task is skipped then.
options:
  python: {description: The interpreter that has what the service needs., type: path, required: true}
  service: {description: The service's package., type: str, required: true}
  release: {description: The folder of the unpacked release., type: path, required: true}
  tarball: {description: The release tarball; read in check mode only., type: path, required: true}
  name: {description: The tarball's only top folder., type: str, required: true}
  socket: {description: The Unix socket the database listens on., type: path, required: true}
  conninfo: {description: How the service finds the database., type: str, required: true}
  service_file: {description: The file in which libpq finds role and password., type: path, required: true}
"""

EXAMPLES = """
- name: Apply the migrations
  release_migrations:
    python: /srv/python/bin/python
    service: arcade
    release: /srv/env/app/arcade-1/releases/1.2.0
    tarball: /srv/releases/1.2.0.tar.gz
    name: arcade-1.2.0
    socket: /srv/env/run/.s.PGSQL.5432
    conninfo: service=arcade host=/srv/env/run port=5432 dbname=arcade
    service_file: /srv/env/secrets/database.conf
"""

RETURN = """
migrations: {description: What was applied or would be., returned: always, type: list, elements: str}
"""


def ask(module: AnsibleModule, release: Path, *options: str) -> dict[str, list[str]]:
    variables = {
        "PYTHONPATH": str(release),
        "ARCADE_DATABASE": module.params["conninfo"],
        "PGSERVICEFILE": module.params["service_file"],
    }
    if module.check_mode:
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [module.params["python"], "-m", module.params["service"], "migrate", *options],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        module.fail_json(msg=done.stderr.strip() or f"migrate ends with exit code {done.returncode}")
    return dict(json.loads(done.stdout))


def apply(module: AnsibleModule) -> list[str]:
    release = Path(module.params["release"])
    return ask(module, release)["applied"] if ask(module, release, "--status")["pending"] else []


def foresee(module: AnsibleModule) -> list[str]:
    release, tarball = Path(module.params["release"]), Path(module.params["tarball"])
    if release.exists():
        return pending(module, release)
    if not tarball.exists():
        unknown(module, f"{tarball} is not built yet")
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
        try:
            unpacked = extract(module, tarball, module.params["name"], scratch)
        except (OSError, tarfile.TarError) as error:
            module.fail_json(msg=f"{tarball} is no release {module.params['name']}: {error}")
        return pending(module, unpacked)


def pending(module: AnsibleModule, release: Path) -> list[str]:
    if not Path(module.params["service_file"]).exists():
        # The password is made together with the database, which will be empty.
        return sorted(path.stem for path in release.glob("migrations/*.sql"))
    with sockets.socket(sockets.AF_UNIX) as client:
        if client.connect_ex(module.params["socket"]) != 0:
            unknown(module, "the database does not run")
    return ask(module, release, "--status")["pending"]


def unknown(module: AnsibleModule, reason: str) -> None:
    module.exit_json(skipped=True, msg=f"{reason}: which migrations are pending cannot be said in check mode")


def main() -> None:
    texts = ("service", "name", "conninfo")
    paths = ("python", "release", "tarball", "socket", "service_file")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in texts},
            **{name: {"type": "path", "required": True} for name in paths},
        },
        supports_check_mode=True,
    )
    migrations = foresee(module) if module.check_mode else apply(module)
    module.exit_json(
        changed=bool(migrations),
        migrations=migrations,
        diff={"before": "", "after": "".join(f"{name}\n" for name in migrations)},
    )


if __name__ == "__main__":
    main()
