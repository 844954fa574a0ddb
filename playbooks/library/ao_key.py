#!/usr/bin/python
"""Ansible module: the key of the owner of AO processes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from cryptography.hazmat.primitives.asymmetric import rsa

DOCUMENTATION = """
module: ao_key
short_description: Make the key of the owner of AO processes
description:
  - An RSA key of 4096 bits as a JWK, in a file that only this user reads. A key that is there stays.
options:
  path: {description: The key's file., type: path, required: true}
"""

EXAMPLES = """
- name: Make the owner's key
  ao_key:
    path: /srv/ao/secrets/owner.json
"""

RETURN = """
path: {description: The key's file., returned: always, type: str}
"""


def number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def made() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096).private_numbers()
    public = key.public_numbers
    parts = {"n": public.n, "e": public.e, "d": key.d, "p": key.p, "q": key.q}
    parts |= {"dp": key.dmp1, "dq": key.dmq1, "qi": key.iqmp}
    return {"kty": "RSA", **{name: number(value) for name, value in parts.items()}}


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    new = path.with_name(f".{path.name}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made(), file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def main() -> None:
    # no_log would be wrong: this is the file's name, and the key is never a parameter.
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True, "no_log": False}}, supports_check_mode=True
    )
    path = Path(module.params["path"])
    missing = not path.exists()
    if missing and not module.check_mode:
        write(path)
    difference = {"before": "", "after": f"a key of 4096 bits in {path}\n" if missing else ""}
    module.exit_json(changed=missing, path=str(path), diff=difference)


if __name__ == "__main__":
    main()
