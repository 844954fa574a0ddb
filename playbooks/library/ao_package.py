#!/usr/bin/python
"""Ansible module: build a release of an AO process."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from lupa import lua53

DOCUMENTATION = """
module: ao_package
short_description: Check the source of an AO process and pack it with its page
description:
  - Compiles the Lua source as aos does (Lua 5.3), and reads the messages of the trial.
  - The same source and version give the same bytes. A version that is there with other content is refused.
  - In check mode it does the same, and writes nothing.
options:
  source: {description: The folder with C(handlers), C(ui) and C(trial.json)., type: path, required: true}
  version: {description: The release's version., type: str, required: true}
  output: {description: The folder of the releases., type: path, required: true}
"""

EXAMPLES = """
- name: Build the release
  ao_package:
    source: /srv/project/services/ao
    version: 1.0.0
    output: /srv/releases/ao
"""

RETURN = """
path: {description: The tarball., returned: always, type: str}
sha256: {description: Its SHA-256., returned: always, type: str}
source: {description: The SHA-256 of the Lua source., returned: always, type: str}
ui: {description: The digest of the page., returned: always, type: str}
"""

TRIAL = "trial.json"
MOST_LUA = 65536
"""Bytes of Lua in one message that the messenger takes for certain: it refuses those over 100 KB."""


class Broken(Exception):
    """The source cannot be released; its text says why."""


def collected(source: Path) -> dict[str, bytes]:
    """The files of the release by name."""
    paths = [source / TRIAL, *(source / "handlers").glob("*.lua"), *(source / "ui").rglob("*")]
    kept = sorted(path for path in paths if not path.is_dir() and not path.name.startswith("."))
    for path in kept:
        if path.is_symlink() or not path.is_file():
            raise Broken(f"{path} is no regular file")
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in kept}


def lua_of(files: dict[str, bytes]) -> str:
    found = [name for name in files if name.startswith("handlers/")]
    if len(found) != 1:
        raise Broken(f"a release has one Lua source in handlers/, and there are {len(found)}")
    return found[0]


def check_lua(name: str, source: bytes) -> None:
    if len(source) > MOST_LUA:
        raise Broken(f"{name} has {len(source)} bytes, and a release takes {MOST_LUA}")
    lua = lua53.LuaRuntime(register_eval=False, register_builtins=False)
    # As text only: bytecode would pass every check of the source.
    compiled = lua.eval("function(text, name) return load(text, '@' .. name, 't') end")(source.decode(), name)
    if isinstance(compiled, tuple):
        raise Broken(str(compiled[1]))


def check_trial(text: bytes) -> None:
    trial = json.loads(text)
    texts = isinstance(trial, list) and all(
        isinstance(tags, dict) and "Action" in tags and all(isinstance(value, str) for value in tags.values())
        for tags in trial
    )
    if not trial or not texts:
        raise Broken(f"{TRIAL} must be a list of messages, each an object of tags with an Action")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest(files: dict[str, bytes], version: str) -> dict[str, object]:
    name = lua_of(files)
    check_lua(name, files[name])
    check_trial(files.get(TRIAL, b"null"))
    if "ui/index.html" not in files:
        raise Broken("there is no ui/index.html")
    digests = {each: digest(files[each]) for each in files}
    page = "".join(f"{each} {digests[each]}\n" for each in files if each.startswith("ui/"))
    told = {"service": "ao", "version": version, "lua": name, "source": digests[name], "ui": digest(page.encode())}
    return {**told, "files": digests}


def pack(files: dict[str, bytes], top: str) -> bytes:
    """A tarball in which nothing of the machine or the time is."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode = len(files[name]), 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    new.write_bytes(content)
    new.rename(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "output": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    version = module.params["version"]
    try:
        files = collected(Path(module.params["source"]))
        told = manifest(files, version)
    except (Broken, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    files["MANIFEST.json"] = (json.dumps(told, indent=2) + "\n").encode()
    content = pack(files, f"ao-{version}")
    path = Path(module.params["output"], f"{version}.tar.gz")
    changed = not path.exists()
    if not changed and path.read_bytes() != content:
        module.fail_json(msg=f"{path} exists with other content: a version is never rebuilt, choose a new one")
    if changed and not module.check_mode:
        write(path, content)
    module.exit_json(
        changed=changed,
        path=str(path),
        sha256=digest(content),
        source=told["source"],
        ui=told["ui"],
        diff={"before": "", "after": f"{path}\n" if changed else ""},
    )


if __name__ == "__main__":
    main()
