"""The module that writes the settings of an instance: what it takes over, leaves out and refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
pytestmark = pytest.mark.slow

WANTED = {"workers": 2}
"""What the files of variables say in each case."""

CASES: dict[str, tuple[str | None, dict[str, Any], Any]] = {
    "writes": (None, {"state": "present"}, {"workers": 2}),
    "begins": (None, {"state": "fitting"}, {"workers": 2}),
    "keeps": ('{"workers": 3}', {"state": "fitting"}, {"workers": 3}),
    # An earlier release does not know a setting of a later one: it gets the others.
    "leaves-out": ('{"workers": 3, "later": true}', {"state": "fitting"}, {"workers": 3}),
    "refuses": ('{"workers": "many"}', {"state": "fitting"}, "workers must be integer"),
    # Nobody can say what this means: the release gets what the files of variables say.
    "broken": ("{", {"state": "fitting"}, {"workers": 2}),
    "refuses-unknown": (None, {"state": "present", "settings": {"other": 1}}, "must not contain {'other'} properties"),
    "undoes": ('{"workers": 4}', {"state": "restored"}, {"workers": 3}),
    # The run wrote it for a release that served then; the present one does not know it.
    "undoes-in-part": ('{"workers": 4}', {"state": "restored", "kept": {"workers": 3, "later": 1}}, {"workers": 3}),
    "undoes-nothing": ('{"workers": 4}', {"state": "restored", "run": "another"}, {"workers": 4}),
}


def test_each_case(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    known = {"workers": {"type": "integer"}}
    schema.write_text(json.dumps({"type": "object", "properties": known, "additionalProperties": False}))
    items = []
    for name, (said, options, _) in CASES.items():
        file = tmp_path / name / "settings.json"
        file.parent.mkdir()
        if said is not None:
            file.write_text(said)
        kept = {"run": "this", "content": options.pop("kept", {"workers": 3})}
        if options["state"] == "restored":
            (file.parent / "settings.before.json").write_text(json.dumps(kept))
        items.append({"file": str(file), "schema": str(schema), "settings": WANTED, "run": "this", **options})
    results = dict(zip(CASES, played(tmp_path, items), strict=True))
    for name, (said, _, wanted) in CASES.items():
        file = tmp_path / name / "settings.json"
        if isinstance(wanted, str):
            assert wanted in results[name]["msg"], name
            assert (file.read_text() if file.exists() else None) == said, name
        else:
            assert not results[name].get("failed"), results[name]
            assert json.loads(file.read_text()) == wanted, name


def played(folder: Path, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the module answers for each, in one playbook."""
    task = {
        "name": "Write",
        "instance_settings": "{{ item }}",
        "loop": items,
        "register": "done",
        "ignore_errors": True,
    }
    told = {"name": "Tell", "ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": str(folder / "told")}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task, told]}
    (folder / "play.yml").write_text(json.dumps([play]))
    paths = {"ANSIBLE_LIBRARY": str(PLAYBOOKS / "library"), "ANSIBLE_MODULE_UTILS": str(PLAYBOOKS / "module_utils")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(folder / "play.yml")]
    given = {**os.environ, **paths, "ANSIBLE_INJECT_FACT_VARS": "false", "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    done = subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, check=False)
    assert (folder / "told").exists(), done.stdout + done.stderr
    results: list[dict[str, Any]] = json.loads((folder / "told").read_text())["results"]
    return results
