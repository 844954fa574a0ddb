#!/usr/bin/python
"""Ansible module: the database cluster of one environment."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ansible.module_utils import credentials
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.supervised import end_processes

DOCUMENTATION = """
module: postgres_cluster
short_description: Create a PostgreSQL cluster with one database, its owner and a role that logs in
description:
  - Creates the cluster once. The database belongs to a role that cannot log in. A role that acts as it can, over the
    server's Unix socket and with a password, which is made here and written to a file, and is in no argument, log or
    result. Whoever made the cluster is its administrator, over the same socket, without a password; and may come as
    a role that sees what the server does, and no data.
  - A cluster from before there were such roles keeps its owner's password until the first rotation.
  - Removes the lock file of a server that was killed.
options:
  environment_folder: {description: The folder that names the environment., type: path, required: true}
  bin_folder: {description: The folder of the PostgreSQL programs., type: path, required: true}
  folder: {description: The cluster's folder in the environment., type: path, required: true}
  run_as: {description: The user PostgreSQL runs as; empty for the present one., type: str, required: true}
  run_as_folder:
    description: Where the cluster is kept when it runs as another user; O(folder) is a link to it then.
    type: path
    required: true
  database: {description: The name of the database and of its owner., type: str, required: true}
  credentials_file:
    description: Where role and password are written as a service file of libpq, for its reader only.
    type: path
    required: true
"""

EXAMPLES = """
- name: Create the database cluster
  postgres_cluster:
    environment_folder: /srv/env
    bin_folder: /var/lib/opsbook/runtime/postgresql-18.4/bin
    folder: /srv/env/db
    run_as: opsbook
    run_as_folder: /var/lib/opsbook/1a2b3c
    database: arcade
    credentials_file: /srv/env/secrets/database.conf
"""

RETURN = """
data_folder: {description: The cluster's data directory., returned: always, type: str}
"""


class Cluster:
    """One cluster: where it is and who owns it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.bin = Path(module.params["bin_folder"])
        self.run_as = module.params["run_as"]
        self.link = Path(module.params["folder"])
        self.data = Path(module.params["run_as_folder"], "db") if self.run_as else self.link
        self.database = module.params["database"]
        self.credentials_file = Path(module.params["credentials_file"])
        # That of a cluster from before there were two roles.
        self.password_file = self.credentials_file.with_name("db_password")

    def exists(self) -> bool:
        linked = not self.run_as or (self.link.is_symlink() and self.link.readlink() == self.data)
        return linked and Path(self.data, "PG_VERSION").exists()

    def create(self) -> None:
        # A server that outlived its folder would write into the new one: it knows it by its path.
        if not end_processes(self.module.params["environment_folder"], patience=30):
            self.module.fail_json(msg="processes of an earlier environment in this folder do not end")
        self.data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._set_aside_the_lost()
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.run_as:
            account = pwd.getpwnam(self.run_as)
            os.chown(new, account.pw_uid, account.pw_gid)
        self._run("initdb", "--pgdata", new, "--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C")
        self._create_database(new, self._make_password())
        self.let_in(new)
        new.rename(self.data)
        if self.run_as:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.data)

    def access(self) -> dict[str, str]:
        """Who comes in: the roles of the service, and the user who could read the cluster's files anyway.

        That one also into the database in which a backup is proven, and as the role that only looks.
        """
        name, user = self.database, pwd.getpwuid(os.geteuid()).pw_name
        service = f"local {name} {name},{name}_a,{name}_b scram-sha-256\n"
        return {
            "pg_hba.conf": f"{service}local {name},{name}_restored postgres,{name}_monitor peer map=administrator\n",
            "pg_ident.conf": f'administrator "{user}" postgres\nadministrator "{user}" {name}_monitor\n',
        }

    def let_in(self, data: Path) -> None:
        for name, text in self.access().items():
            Path(data, name).write_text(text)

    def opens_otherwise(self) -> bool:
        """Tell a cluster that an earlier version made."""
        return any(Path(self.data, name).read_text() != text for name, text in self.access().items())

    def reload(self) -> None:
        """Have a server that runs read again who comes in."""
        lock = Path(self.data, "postmaster.pid")
        if lock.exists() and self.stale_lock() is None:
            os.kill(int(lock.read_text().split(maxsplit=1)[0]), signal.SIGHUP)

    def earlier_password(self) -> bool:
        """Tell a cluster whose owner logs in: its password is not in the file with credentials yet."""
        return not self.credentials_file.exists() and self.password_file.exists()

    def keep_password(self) -> None:
        password = self.password_file.read_text().strip()
        found = credentials.Credentials(self.database, self.database, password)
        credentials.write(self.credentials_file, found)

    def _set_aside_the_lost(self) -> None:
        """Keep the data of an environment whose own folder was removed without `purge`."""
        if self.run_as and self.data.exists():
            aside = self.data.with_name(f"db.lost-{time.time_ns()}")
            self.data.rename(aside)
            self.module.warn(f"the database of an earlier environment in this folder is kept as {aside}")

    def _make_password(self) -> str:
        password = secrets.token_urlsafe(32)
        self.password_file.unlink(missing_ok=True)
        for end in ("next", "earlier"):
            self.credentials_file.with_name(f"{self.credentials_file.name}.{end}").unlink(missing_ok=True)
        found = credentials.Credentials(self.database, f"{self.database}_a", password)
        credentials.write(self.credentials_file, found)
        return password

    def _create_database(self, data: Path, password: str) -> None:
        """Talk to a server without a port: over standard input, where no other process can read."""
        name = self.database
        statements = (
            f'CREATE ROLE "{name}" NOLOGIN;\n'
            f'CREATE ROLE "{name}_a" LOGIN PASSWORD \'{password}\' IN ROLE "{name}";\n'
            f'ALTER ROLE "{name}_a" SET role TO "{name}";\n'
            f'CREATE DATABASE "{name}" OWNER "{name}";\n'
            f'CREATE ROLE "{name}_monitor" LOGIN IN ROLE pg_monitor;\n'
        )
        quiet = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        self._run("postgres", "--single", *quiet, "-D", data, "postgres", statements=statements)

    def _run(self, program: str, *arguments: str | Path, statements: str = "") -> None:
        account = {"user": self.run_as, "group": self.run_as, "extra_groups": []} if self.run_as else {}
        done = subprocess.run(
            [self.bin / program, *arguments],
            input=statements,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **account,
        )
        if done.returncode != 0:
            self.module.fail_json(msg=f"{program} fails: {done.stderr.strip()}")

    def stale_lock(self) -> Path | None:
        """Find the lock of a killed server: its number may belong to another process by now."""
        lock = Path(self.data, "postmaster.pid")
        try:
            pid = lock.read_text().split(maxsplit=1)[0]
        except (FileNotFoundError, IndexError):
            return None
        try:
            runs = Path("/proc", pid, "cwd").readlink() == self.data.resolve()
        except OSError:
            runs = False
        return None if runs else lock


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environment_folder": {"type": "path", "required": True},
            "bin_folder": {"type": "path", "required": True},
            "folder": {"type": "path", "required": True},
            "run_as": {"type": "str", "required": True},
            "run_as_folder": {"type": "path", "required": True},
            "database": {"type": "str", "required": True},
            # no_log would be wrong: this is the file's name, and the password is never a parameter.
            "credentials_file": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    cluster = Cluster(module)
    if not cluster.exists():
        if not module.check_mode:
            cluster.create()
        difference = {"before": "", "after": f"PostgreSQL cluster {cluster.data}\n"}
        module.exit_json(changed=True, data_folder=str(cluster.data), diff=difference)
    earlier = cluster.earlier_password()
    if not earlier and not cluster.credentials_file.exists():
        module.fail_json(
            msg=f"{cluster.credentials_file} is missing: bring it back or run platform-down.yml with purge"
        )
    lock = cluster.stale_lock()
    otherwise = cluster.opens_otherwise()
    if lock is not None and not module.check_mode:
        lock.unlink()
    if earlier and not module.check_mode:
        cluster.keep_password()
    if otherwise and not module.check_mode:
        cluster.let_in(cluster.data)
        cluster.reload()
    changes = {"the lock of a killed server": lock is not None, "who comes in": otherwise, "credentials": earlier}
    after = "".join(f"{what}\n" for what, is_so in changes.items() if is_so)
    module.exit_json(changed=bool(after), data_folder=str(cluster.data), diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
