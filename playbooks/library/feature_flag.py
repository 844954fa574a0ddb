#!/usr/bin/python
"""Ansible module: the feature flags of one environment, in flagd's format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kept_file import kept_of, read, restore, text_of, write

DOCUMENTATION = """
module: feature_flag
short_description: Say which players get a feature
description:
  - The services read the file whenever it changes, and restart for nothing.
  - Owner, expiry and meaning of a flag are taken from the definitions of the release; who gets it, from O(percent) and
    O(players). Who has it at ten percent still has it at thirty.
  - The file has the digest of its flags, and what was written last is kept beside it. C(kept) brings that back if
    somebody changed the file by hand.
options:
  file: {description: The file of the environment., type: path, required: true}
  definitions: {description: The flags of the release that serves., type: path, required: true}
  flag: {description: The flag to set., type: str}
  percent: {description: The share of the players who get it., type: int, default: 0}
  players: {description: Players who get it whatever the share is., type: list, elements: str, default: []}
  state:
    description:
      - C(set) sets one flag. C(restored) brings back the file that was there before O(run).
    choices: [set, restored, kept]
    default: set
    type: str
  run: {description: The run that changes it., type: str, default: ""}
"""

EXAMPLES = """
- name: Give a tenth of the players the hint
  feature_flag:
    file: /srv/env/flags/arcade.json
    definitions: /srv/env/app/arcade-1/current/arcade/flags.json
    flag: close-hint
    percent: 10
    run: 20261130T070000Z-set-flag-ab12
"""

RETURN = """
flags: {description: Each flag with who gets it., returned: always, type: dict}
"""

SCHEMA = "https://flagd.dev/schema/v0/flags.json"


def digest(flags: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(flags, sort_keys=True).encode()).hexdigest()


def targeting(percent: int, players: list[str]) -> dict[str, Any]:
    """Answer flagd's rule; none where everybody or nobody gets it."""
    share = {0: "off", 100: "on"}.get(percent) or {"fractional": [["on", percent], ["off", 100 - percent]]}
    if players:
        return {"if": [{"in": [{"var": "targetingKey"}, sorted(players)]}, "on", share]}
    return share if isinstance(share, dict) else {}


def told(flag: dict[str, Any]) -> str:
    """Answer who gets a flag, in words."""
    try:
        rule = flag.get("targeting") or flag["defaultVariant"]
        named, share = (
            (rule["if"][0]["in"][1], rule["if"][2]) if isinstance(rule, dict) and "if" in rule else ([], rule)
        )
        percent = {"off": 0, "on": 100}[share] if isinstance(share, str) else share["fractional"][0][1]
    except (AttributeError, LookupError, TypeError):
        return "a rule that set-flag did not write"
    return f"{percent} %" + (f" and {', '.join(named)}" if named else "")


def defined(module: AnsibleModule) -> dict[str, Any]:
    path = Path(module.params["definitions"])
    try:
        return dict(json.loads(path.read_text())["flags"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError) as error:
        module.fail_json(msg=f"{path} does not define flags: {error}")


def changed_flags(module: AnsibleModule, present: dict[str, Any]) -> dict[str, Any]:
    name, percent = module.params["flag"], module.params["percent"]
    known = defined(module)
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        module.fail_json(msg=f"the release that serves has no flag {name}; it has: {names}")
    if not 0 <= percent <= 100:
        module.fail_json(msg=f"the share of a flag is from 0 to 100 percent, not {percent}")
    flag = {**known[name], "defaultVariant": "on" if percent == 100 else "off", "state": "ENABLED"}
    rule = targeting(percent, module.params["players"])
    return {**present, name: {**flag, "targeting": rule} if rule else flag}


def as_written(content: Any) -> bool:
    """Answer whether a run wrote these flags."""
    try:
        return bool(content["metadata"]["sha256"] == digest(content["flags"]))
    except (LookupError, TypeError):
        return False


def writer(content: Any) -> str:
    """Answer the run that wrote it; runs are named by when they began."""
    try:
        return str(content["metadata"]["run"])
    except (LookupError, TypeError):
        return ""


def last(file: Path) -> Any:
    """Answer what a run wrote last; None if nobody can say."""
    try:
        return read(last_of(file))
    except (OSError, ValueError):
        return None


def kept(module: AnsibleModule, file: Path, content: Any) -> Any:
    """Answer what the file should say: what a run wrote last, unless it says that."""
    written = last(file)
    if as_written(content) or (content is None and written is None):
        return content
    if not as_written(written):
        module.fail_json(msg=f"{file} was not written by a run: take it away, and set its flags with set-flag")
    return written


def last_of(file: Path) -> Path:
    return file.with_name(f"{file.stem}.last.json")


def present_flags(content: Any) -> dict[str, Any]:
    flags = content.get("flags") if isinstance(content, dict) else None
    return flags if isinstance(flags, dict) else {}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "definitions": {"type": "path", "required": True},
            "flag": {"type": "str"},
            "percent": {"type": "int", "default": 0},
            "players": {"type": "list", "elements": "str", "default": []},
            "state": {"choices": ["set", "restored", "kept"], "default": "set"},
            "run": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
        required_if=[("state", "set", ["flag"])],
    )
    file, state, run = Path(module.params["file"]), module.params["state"], module.params["run"]
    try:
        before = read(file)
    except (OSError, ValueError):
        # Somebody wrote it by hand.
        before = {}
    present = present_flags(before)
    after = kept(module, file, before) if state == "kept" else before
    if state == "restored":
        did, content = kept_of(file, run)
        if not did and (later := writer(before)) > run:
            module.fail_json(msg=f"{later} has set flags since: say what they should be with set-flag")
        after = content if did else before
    elif state == "set" and not as_written(before) and before is not None:
        module.fail_json(msg=f"{file} was changed by hand: sync-environment shows how, and brings back what was set")
    elif state == "set" and (flags := changed_flags(module, present)) != present:
        after = {"$schema": SCHEMA, "flags": flags, "metadata": {"run": run, "sha256": digest(flags)}}
    if after != before and not module.check_mode:
        if state == "kept":
            restore(file, after)
        elif state == "restored":
            # The services keep what they read last when the file is gone.
            restore(file, after or {"$schema": SCHEMA, "flags": {}, "metadata": {"run": run, "sha256": digest({})}})
        else:
            write(file, after, before, run)
    if not module.check_mode and as_written(after) and last(file) != after:
        # Also when a run was stopped before it came here.
        restore(last_of(file), after)
    flags = present_flags(after)
    module.exit_json(
        changed=after != before,
        flags={name: told(flag) for name, flag in flags.items()},
        diff={
            "before": text_of({name: told(flag) for name, flag in present.items()}),
            "after": text_of({name: told(flag) for name, flag in flags.items()}),
            "before_header": str(file),
            "after_header": str(file),
        },
    )


if __name__ == "__main__":
    main()
