#!/usr/bin/python
"""Ansible module: the API key with which partners read from the service."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: api_key
short_description: Rotate the API key of partners without a refused request
description:
  - The service reads a file with the SHA-256 of each key. Partners are given the key in another file.
  - C(add) makes a new key beside the present one, and gives it to partners. C(only) makes every other key invalid.
    C(back) makes the key that this O(run) has added invalid, and gives partners the one from before.
  - After each step every instance is asked whether it takes the key, and refuses one that is not valid any more.
  - Each is repeatable. No key is in an argument, a log or a result.
options:
  step: {description: One of add, only and back., type: str, required: true}
  keys_file: {description: What the service reads., type: path, required: true}
  key_file: {description: The key that partners are given; the one before stands beside it., type: path, required: true}
  run: {description: The run that changes it; a key has its name., type: str, required: true}
  urls: {description: Where each instance that gets requests takes keys., type: list, elements: str, required: true}
  patience: {description: Seconds that an instance has to see a change., type: int, default: 10}
"""

EXAMPLES = """
- name: Make a new key beside the present one
  api_key:
    step: add
    keys_file: /srv/env/secrets/api-keys.json
    key_file: /srv/env/secrets/api.key
    run: 20261130T070000Z-rotate-api-key-ab12
    urls: [http://127.0.0.1:18111/leaderboard]
"""

RETURN = """
keys: {description: The names of the keys that are valid., returned: always, type: list, elements: str}
"""


class Keys:
    """The valid keys by name, the present one, and the one from before."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.file, self.present = Path(module.params["keys_file"]), Path(module.params["key_file"])
        self.before = self.present.with_name(f"{self.present.name}.before")
        self.run = module.params["run"]
        self.known: dict[str, str] = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.changed = False
        self.withdrawn = self.key(self.before)

    def add(self) -> None:
        if digest(self.key(self.present)) == self.known.get(self.run):
            return
        key = secrets.token_urlsafe(32)
        # One that a run was stopped in the middle of making is made anew: nobody has it.
        if self.present.exists():
            self.write(self.before, self.present.read_text())
        # The service knows it before anybody can use it.
        self.know({**self.known, self.run: digest(key)})
        self.write(self.present, f"{key}\n")

    def only(self) -> None:
        mine = digest(self.key(self.present))
        if mine != self.known.get(self.run):
            self.module.fail_json(msg=f"{self.present} is not the key of this run: nothing was made invalid")
        self.know({name: each for name, each in self.known.items() if each == mine})

    def back(self) -> None:
        if self.run not in self.known:
            return
        rest = {name: each for name, each in self.known.items() if name != self.run}
        if not rest and not self.before.exists():
            # It was the first one.
            self.know(rest)
            if not self.module.check_mode:
                self.present.unlink(missing_ok=True)
            return
        if digest(self.key(self.before)) not in rest.values():
            self.module.fail_json(msg="there is no way back: the key from before is not valid any more")
        self.withdrawn = self.key(self.present)
        self.write(self.present, self.before.read_text())
        self.know(rest)

    def key(self, path: Path) -> str:
        return path.read_text().strip() if path.exists() else ""

    def know(self, keys: dict[str, str]) -> None:
        if keys != self.known:
            self.known = keys
            self.write(self.file, json.dumps(keys, indent=2) + "\n")

    def write(self, path: Path, text: str) -> None:
        """Whoever reads it reads the old content or the new one, never half of it."""
        self.changed = True
        if self.module.check_mode:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # By a name that the next run takes, too: a key must not stay behind in a file of a run that was killed.
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def prove(module: AnsibleModule, keys: Keys) -> None:
    """Fail if an instance does not take the present key, or takes another one that is not valid any more."""
    expected = {keys.key(keys.present): 200} if keys.known else {}
    if keys.withdrawn and digest(keys.withdrawn) not in keys.known.values():
        expected[keys.withdrawn] = 401
    for url in module.params["urls"]:
        for key, status in expected.items():
            found = answered(url, key, status, module.params["patience"])
            if found != status:
                what = "the key that partners have" if status == 200 else "a key that is not valid any more"
                module.fail_json(msg=f"{url} answers {what} with {found}, not with {status}")


def answered(url: str, key: str, wanted: int, patience: float) -> int | str:
    until = time.monotonic() + patience
    while True:
        found = status_of(url, key)
        if found == wanted or time.monotonic() > until:
            return found
        time.sleep(0.2)


def status_of(url: str, key: str) -> int | str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(getattr(error, "reason", error))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": ["add", "only", "back"]},
            "keys_file": {"type": "path", "required": True},
            "key_file": {"type": "path", "required": True, "no_log": False},
            "run": {"type": "str", "required": True},
            "urls": {"type": "list", "elements": "str", "required": True},
            "patience": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    if not module.params["urls"] and not module.check_mode:
        module.fail_json(msg="no instance gets requests: nobody could say whether a key works. Nothing was changed")
    try:
        keys = Keys(module)
        before = "".join(f"{name}\n" for name in keys.known)
        if module.check_mode and module.params["step"] == "only" and keys.run not in keys.known:
            module.exit_json(skipped=True, msg="the key is one that is only simulated")
        {"add": keys.add, "only": keys.only, "back": keys.back}[module.params["step"]]()
        if not module.check_mode:
            prove(module, keys)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"the API keys cannot be changed: {error}")
    after = "".join(f"{name}\n" for name in keys.known)
    module.exit_json(changed=keys.changed, keys=list(keys.known), diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
