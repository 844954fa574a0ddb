#!/usr/bin/python
"""Ansible module: a file with a random token, for its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: token_file
short_description: Make a file with a random token
description:
  - 256 random bits as text, in a file that only this user reads. A token that is there stays.
  - A file that others may read becomes one that only its owner reads; what is in it is not shown.
options:
  path: {description: The token's file., type: path, required: true}
"""

EXAMPLES = """
- name: Make the token of the webhook
  token_file:
    path: /srv/ops/hook-token
"""

RETURN = """
path: {description: The token's file., returned: always, type: str}
"""

PRIVATE = 0o600


def write(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o700)
    new = path.with_name(f".{path.name}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def needed(module: AnsibleModule, path: Path) -> str:
    """Answer what is to be done; nothing if the file is as it should be."""
    if not path.exists():
        return f"a random token in {path}"
    if not path.is_file():
        module.fail_json(msg=f"{path} is no file: a token is kept in a file of its own")
    found = path.stat()
    if found.st_size == 0:
        module.fail_json(msg=f"{path} is empty: remove it, and a token is made, or write one into it")
    return f"{path} is for its owner only" if found.st_mode & 0o077 else ""


def main() -> None:
    # no_log would be wrong: this is the file's name, and the token is never a parameter.
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True, "no_log": False}}, supports_check_mode=True
    )
    path = Path(module.params["path"])
    try:
        wanted = needed(module, path)
        if wanted and not module.check_mode:
            path.chmod(PRIVATE) if path.exists() else write(path)
    except OSError as error:
        module.fail_json(msg=f"the token cannot be kept in {path}: {error.strerror}")
    difference = {"before": "", "after": f"{wanted}\n" if wanted else ""}
    module.exit_json(changed=bool(wanted), path=str(path), diff=difference)


if __name__ == "__main__":
    main()
