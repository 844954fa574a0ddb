#!/usr/bin/python
"""Ansible module: the file with the settings of one instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastjsonschema
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kept_file import kept_of, read, restore, text_of, write

DOCUMENTATION = """
module: instance_settings
short_description: Write the settings of an instance, if its release takes them
description:
  - The settings are checked against the schema of the release. What does not fit fails, and is not written.
  - An instance reads the file when it starts. This module restarts nothing.
  - A release without a schema takes no settings, and nothing is written.
options:
  file: {description: The file that the instance reads., type: path, required: true}
  schema: {description: The JSON schema of the release that will read it., type: path, required: true}
  settings: {description: The settings it should have., type: dict, default: {}}
  state:
    description:
      - C(present) writes the settings. C(fitting) writes them only if there is no file that can be read, and else
        checks that what it says fits the release. C(restored) brings back what the file said before O(run) changed it,
        if it did.
      - With C(fitting) and C(restored), what a release does not know is left out. It may be an earlier one.
    choices: [present, fitting, restored]
    default: present
    type: str
  run: {description: The run that changes it., type: str, default: ""}
"""

EXAMPLES = """
- name: Write the settings
  instance_settings:
    file: /srv/env/app/arcade-1/settings.json
    schema: /srv/env/app/arcade-1/current/arcade/settings.schema.json
    settings: {workers: 2}
    run: 20261130T070000Z-configure-service-ab12
"""

RETURN = """
settings: {description: What the file says afterwards., returned: always, type: dict}
"""

UNREADABLE = "unreadable"
"""In place of the settings that a file says, if it is no JSON."""


def known(schema: dict[str, Any], settings: Any) -> Any:
    """Answer the settings that the release knows; what is no mapping as it is."""
    if schema.get("additionalProperties", True) or not isinstance(settings, dict):
        return settings
    return {name: value for name, value in settings.items() if name in schema.get("properties", {})}


def check(module: AnsibleModule, schema: dict[str, Any], settings: Any) -> None:
    """Fail if the release does not take them."""
    try:
        fastjsonschema.compile(schema, use_default=False, use_formats=False)(settings)
    except fastjsonschema.JsonSchemaValueException as error:
        said = str(error.message).removeprefix("data.").removeprefix("data ")
        module.fail_json(msg=f"the settings do not fit the release: {said} ({module.params['schema']})")


def wanted(module: AnsibleModule, file: Path, before: Any) -> Any:
    """Answer what the file should say; None for no file. `before` is UNREADABLE if nobody can read what it says."""
    state, after = module.params["state"], module.params["settings"]
    if state == "restored":
        changed, content = kept_of(file, module.params["run"])
        after = content if changed else before
    elif state == "fitting" and before not in (None, UNREADABLE):
        after = before
    path = Path(module.params["schema"])
    if not path.exists() or after in (None, UNREADABLE):
        return before if state != "restored" else after
    schema = json.loads(path.read_text())
    after = after if state == "present" else known(schema, after)
    check(module, schema, after)
    return after


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "schema": {"type": "path", "required": True},
            "settings": {"type": "dict", "default": {}},
            "state": {"choices": ["present", "fitting", "restored"], "default": "present"},
            "run": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    file = Path(module.params["file"])
    try:
        before = read(file)
    except (OSError, ValueError):
        # Somebody wrote it by hand; what is wanted replaces it.
        before = UNREADABLE
    after = wanted(module, file, before)
    changed = after != before
    if changed and not module.check_mode:
        if module.params["state"] == "restored":
            restore(file, after)
        else:
            write(file, after, None if before == UNREADABLE else before, module.params["run"])
    module.exit_json(
        changed=changed,
        settings={} if after in (None, UNREADABLE) else after,
        diff={
            "before": "" if before == UNREADABLE else text_of(before),
            "after": "" if after == UNREADABLE else text_of(after),
            "before_header": str(file),
            "after_header": str(file),
        },
    )


if __name__ == "__main__":
    main()
