"""Make a release: `make release VERSION=0.2.0` writes version, changelog, wheel, constraints and SBOM, and tests them.

Nothing is committed or pushed: it prints the commands for that at the end. If anything fails, the project's files are
restored.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from tools import install, wheel

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"pyproject.toml": r'(?m)^version = "(.*)"$', "lib/opsbook/__init__.py": r'(?m)^__version__ = "(.*)"$'}
"""Files that contain the version, and where."""

CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"
_LOCKED = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)")


class Refused(Exception):
    """Why the release fails, in one sentence."""


def main(arguments: list[str]) -> int:
    """Make the release; the exit code."""
    version = arguments[0] if arguments else ""
    before = {name: (ROOT / name).read_text(encoding="utf-8") for name in (*PLACES, CHANGELOG)}
    try:
        check(version, before)
        for name, text in released(version, before, datetime.now(UTC).date().isoformat()).items():
            (ROOT / name).write_text(text, encoding="utf-8")
        made = build(version)
        tried(made, version)
    except (Refused, subprocess.CalledProcessError) as error:
        for name, text in before.items():
            (ROOT / name).write_text(text, encoding="utf-8")
        print(f"{error} Nothing was released.", file=sys.stderr)
        return 1
    print(f"{version} is in dist/ and was tried in an empty environment. Look at the changes, then:")
    print(f"  git commit --all --message 'Release {version}' && git tag --annotate v{version} --message {version}")
    return 0


def check(version: str, texts: dict[str, str]) -> None:
    """Raises Refused if this cannot be released."""
    try:
        wanted = Version(version)
    except InvalidVersion as error:
        raise Refused("Say which version: make release VERSION=0.2.0.") from error
    said = {name: _said(name, texts[name]) for name in PLACES}
    if len(set(said.values())) > 1:
        raise Refused(f"These do not say the same version: {said}.")
    if any(wanted <= Version(each) for each in said.values()):
        raise Refused(f"{version} is not later than {next(iter(said.values()))}.")
    news = texts[CHANGELOG].partition(UNRELEASED)[2].partition("\n## ")[0]
    if not news.strip():
        raise Refused(f"{CHANGELOG} says nothing below {UNRELEASED.strip()}.")
    status = ["git", "status", "--porcelain", "--untracked-files=no"]
    if subprocess.run(status, cwd=ROOT, check=True, capture_output=True, text=True).stdout:
        raise Refused("There are changes that are not committed.")


def _said(name: str, text: str) -> str:
    found = re.search(PLACES[name], text)
    if found is None:
        raise Refused(f"{name} says no version.")
    return found[1]


def released(version: str, texts: dict[str, str], today: str) -> dict[str, str]:
    """The files with the new version, and the changelog with its heading."""
    told = {}
    for name, where in PLACES.items():
        told[name] = re.sub(where, lambda at: at[0].replace(at[1], version), texts[name])
    told[CHANGELOG] = texts[CHANGELOG].replace(UNRELEASED, f"{UNRELEASED}\n## {version} ({today})\n", 1)
    return told


def build(version: str) -> Path:
    """Write the wheel, the constraints and the SBOM to dist/; the wheel's path."""
    subprocess.run([sys.executable, "-m", "tools.wheel"], cwd=ROOT, check=True)
    made = wheel.DIST / f"opsbook-{version}-py3-none-any.whl"
    content = json.dumps(sbom(version, made), indent=1) + "\n"
    made.with_suffix(".cdx.json").write_text(content, encoding="utf-8")
    return made


def sbom(version: str, made: Path) -> dict[str, Any]:
    """The wheel and its locked dependencies, as CycloneDX 1.5: https://cyclonedx.org/docs/1.5/json/."""
    own = component("opsbook", version)
    own["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(made.read_bytes()).hexdigest()}]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {"timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "component": own},
        "components": list(locked()),
    }


def component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def locked() -> Iterator[dict[str, Any]]:
    """Every package of requirements.lock."""
    for pin in sorted(wheel.pinned(("requirements.lock",))):
        found = _LOCKED.match(pin)
        if found:
            yield component(found["name"], found["version"])


def tried(made: Path, version: str) -> None:
    """Install the wheel into an empty environment and create a project with it. Raises Refused if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        place, constraints = Path(folder), wheel.DIST / "constraints.txt"
        python, program = place / "venv/bin/python", str(place / "venv/bin/opsbook")
        steps = [
            [sys.executable, "-m", "venv", str(place / "venv")],
            [str(python), *install.PIP, "install", "--quiet", "--constraint", str(constraints), str(made)],
            [str(python), *install.PIP, "check"],
            [program, "init", str(place / "project")],
            [program, "--project", str(place / "project"), "check"],
        ]
        for step in steps:
            done = subprocess.run(step, check=False, capture_output=True, text=True)
            if done.returncode:
                raise Refused(f"The wheel does not work in an empty environment: {' '.join(step)}\n{done.stderr}")
        said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
        if said.strip() != f"opsbook {version}":
            raise Refused(f"The wheel says that it is {said.strip()}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
