#!/usr/bin/python
"""Ansible module: the release that an AO process runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.ao_network import ACCESS, EVAL, Network, long_text
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_archive import extract

DOCUMENTATION = """
module: ao_release
short_description: Have an AO process run a release
description:
  - First the release is tried in a second process, which ends with the trial and has a copy of the state. There it is
    installed over the release that runs now, and has to answer the messages of its C(trial.json).
  - Then one Eval installs it in the process that serves. The process takes all of it or nothing, and refuses a
    release that changes the state. The page goes with it, because the process itself says which page belongs to it.
  - Installing an earlier release is the way back.
  - In check mode only the trial is made; of a release that is not unpacked yet, with what its tarball holds.
options:
  app: {description: The folder of the programs of the network., type: path, required: true}
  page: {description: The URL of the page., type: str, required: true}
  environment: {description: The mark of the environment., type: str, required: true}
  key: {description: The file of the owner's key., type: path, required: true}
  releases: {description: The folder of the releases that were unpacked., type: path, required: true}
  tarball: {description: The tarball of the release., type: path, required: true}
  version: {description: The release to install., type: str, required: true}
  folder: {description: The folder of the network., type: path, required: true}
  spawn: {description: Whether a process is spawned when there is none., type: bool, default: false}
"""

EXAMPLES = """
- name: Install the release
  ao_release:
    app: /srv/ao/app
    page: http://127.0.0.1:9045
    environment: dev/0123456789ab
    key: /srv/ao/secrets/owner.json
    releases: /srv/ao/releases
    tarball: /srv/releases/ao/1.1.0.tar.gz
    version: 1.1.0
    folder: /srv/ao
"""

RETURN = """
process: {description: The process; empty where a check foresees the first one., returned: always, type: str}
before: {description: The version that ran before; empty for none., returned: always, type: str}
trial: {description: How many messages the second process answered., returned: always, type: int}
state_before: {description: The SHA-256 of the state right before the release came in., returned: changed, type: str}
state_after: {description: The SHA-256 of the state right after it., returned: changed, type: str}
"""


class Release:
    """A release that was unpacked and verified."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))
        self.lua = (folder / self.manifest["lua"]).read_bytes()

    @property
    def told(self) -> dict[str, str]:
        """What the process says once it runs it."""
        return {
            "File": self.manifest["lua"],
            "Source": self.manifest["source"],
            "Ui": self.manifest["ui"],
            "Version": self.manifest["version"],
        }

    def runs_as(self, said: dict[str, Any]) -> bool:
        return all(said.get(name) == value for name, value in self.told.items())

    def install(self, network: Network) -> dict[str, Any]:
        """The message that installs it."""
        if hashlib.sha256(self.lua).hexdigest() != self.manifest["source"]:
            network.module.fail_json(msg=f"{self.folder / self.manifest['lua']} is not what was built")
        given = f"{long_text(self.lua.decode())}, json.decode({long_text(json.dumps(self.told))})"
        code = "\n".join([network.lua("state"), network.lua("install"), f"return install({given})"])
        return {"do": "send", "tags": EVAL, "data": code}

    def trial(self) -> list[dict[str, Any]]:
        messages = json.loads((self.folder / "trial.json").read_text(encoding="utf-8"))
        return [{"do": "send", "tags": tags} for tags in messages]


def try_out(network: Network, wanted: Release, present: Release | None) -> int:
    """Install the release in a second process, with the state of the one that serves; how many messages it answered."""
    steps: list[dict[str, Any]] = [{"do": "spawn"}]
    if present is not None:
        state = "return require('json').encode(State)"
        (kept,) = network.ask([{"do": "dryrun", "tags": EVAL, "data": state}])
        steps.append(present.install(network))
        steps.append(
            {"do": "send", "tags": EVAL, "data": f"State = require('json').decode({long_text(kept['output'])})"}
        )
    steps += [wanted.install(network), *wanted.trial()]
    results, problem = network.alone(steps)
    if problem:
        network.module.fail_json(
            msg=f"{wanted.told['Version']} fails in a second process, and was not installed: {problem}"
        )
    answers = results[-len(wanted.trial()) :]
    silent = [step["tags"]["Action"] for step, each in zip(wanted.trial(), answers, strict=True) if not each["replies"]]
    if silent:
        network.module.fail_json(
            msg=f"{wanted.told['Version']} does not answer {', '.join(silent)}; it was not installed"
        )
    return len(answers)


def place_page(release: Release, folder: Path) -> bool:
    """Put the page where its digest says; whether it was not there before. The process has to name it first."""
    target = folder / "ui" / release.told["Ui"]
    if target.is_dir():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ui-") as scratch:
        shutil.copytree(release.folder / "ui", Path(scratch, "ui"))
        Path(scratch, "ui").rename(target)
    return True


def install(network: Network, release: Release, folder: Path) -> dict[str, Any]:
    """Install the page and the release: both, or neither."""
    placed = place_page(release, folder)
    first = [] if network.process else [{"do": "spawn"}]
    about = {"network": network.about["network"], "key": network.module.params["key"], "process": network.process}
    results, problem = network.client({**about, "steps": [*first, release.install(network)]})
    if problem:
        # It may have taken the message although nobody heard the answer.
        network.look()
        if placed and network.release.get("Ui") != release.told["Ui"]:
            shutil.rmtree(folder / "ui" / release.told["Ui"])
        network.module.fail_json(msg=f"the process refused {release.told['Version']}: {problem}")
    if first:
        name_process(folder / "process.json", results[0]["process"])
    network.look()
    if not release.runs_as(network.release):
        network.module.fail_json(
            msg=f"the process took {release.told['Version']} and says that it runs {network.release}"
        )
    said = json.loads(results[-1]["output"])
    return {"state_before": "" if said["first"] else said["before"], "state_after": said["after"]}


def name_process(path: Path, process: str) -> None:
    """From here on it is the process that serves."""
    new = path.with_name(f".{path.name}")
    with new.open("w", encoding="utf-8") as file:
        json.dump({"process": process}, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def unpacked(module: AnsibleModule, folder: Path) -> Path:
    """The folder of the release; in check mode the task before may only have simulated to unpack it."""
    tarball = Path(module.params["tarball"])
    if folder.exists() or not module.check_mode:
        return folder
    if not tarball.exists():
        module.exit_json(skipped=True, msg=f"{tarball.name} is not built yet: nobody can try it")
    return extract(module, tarball, f"ao-{folder.name}", module.tmpdir)


def present_of(network: Network, releases: Path) -> Release | None:
    """The release that runs, as it was unpacked."""
    if not network.process:
        return None
    version = network.release.get("Version", "")
    folder = releases / version
    if not version or not (folder / "MANIFEST.json").exists():
        network.module.fail_json(
            msg=f"the process runs {version or 'no release'}, which is not in {releases}: build it"
        )
    return Release(folder)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCESS,
            "releases": {"type": "path", "required": True},
            "tarball": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "spawn": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    network = Network(module)
    releases, version = Path(module.params["releases"]), module.params["version"]
    before = network.release.get("Version", "")
    told: dict[str, Any] = {"process": network.process or "", "before": before, "trial": 0}
    if not network.process and not module.params["spawn"]:
        module.fail_json(msg="there is no process yet: run ao-deploy first")
    try:
        wanted = Release(unpacked(module, releases / version))
        if wanted.runs_as(network.release):
            module.exit_json(changed=False, **told)
        told["trial"] = try_out(network, wanted, present_of(network, releases))
        if not module.check_mode:
            told |= install(network, wanted, Path(module.params["folder"]))
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        module.fail_json(msg=f"{version} cannot be installed: {error}")
    told["process"] = network.process or ""
    module.exit_json(changed=True, **told, diff={"before": f"{before}\n", "after": f"{version}\n"})


if __name__ == "__main__":
    main()
