#!/usr/bin/python
"""Ansible module: a message to the AO process of an environment."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible.module_utils.ao_network import ACCESS, Network
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: ao_message
short_description: Send a message to the AO process, or ask it
description:
  - Fails when the process refuses the message. The reply tells what it did.
  - With O(reads=true), and in check mode, the process computes the answer and forgets it.
options:
  app: {description: The folder of the programs of the network., type: path, required: true}
  page: {description: The URL of the page., type: str, required: true}
  environment: {description: The mark of the environment., type: str, required: true}
  key: {description: The file of the owner's key., type: path, required: true}
  tags: {description: The tags of the message, with C(Action)., type: dict, required: true}
  data: {description: Its data., type: str, default: ""}
  reads: {description: Whether it only asks., type: bool, default: false}
"""

EXAMPLES = """
- name: Record a result
  ao_message:
    app: /srv/ao/app
    page: http://127.0.0.1:9045
    environment: dev/0123456789ab
    key: /srv/ao/secrets/owner.json
    tags: {Action: Record-Result, Game: "4711", Winner: ann}
"""

RETURN = """
replies: {description: What the process sent, each with tags and data., returned: always, type: list, elements: dict}
process: {description: The process., returned: always, type: str}
release: {description: What it says that it runs., returned: always, type: dict}
state: {description: The SHA-256 of its state, after the message., returned: always, type: str}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCESS,
            "tags": {"type": "dict", "required": True},
            "data": {"type": "str", "default": ""},
            "reads": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    network = Network(module)
    if not network.process:
        module.fail_json(msg="there is no process yet: run ao-deploy first")
    if not module.params["tags"].get("Action"):
        module.fail_json(msg="a message needs the tag Action")
    reads = module.params["reads"]
    how = "dryrun" if reads or module.check_mode else "send"
    step: dict[str, Any] = {"do": how, "tags": module.params["tags"], "data": module.params["data"]}
    answer, state = network.ask([step, network.reading()])
    if not answer["replies"]:
        module.fail_json(msg=f"nothing in the process answers {module.params['tags']['Action']}")
    module.exit_json(
        changed=not reads,
        replies=answer["replies"],
        process=network.process,
        release=network.release,
        state=hashlib.sha256(state["output"].encode()).hexdigest(),
        diff={"before": "", "after": "" if reads else f"{module.params['tags']['Action']}\n"},
    )


if __name__ == "__main__":
    main()
