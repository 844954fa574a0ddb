"""A release says one version everywhere, is refused in a sentence, and leaves nothing half done."""

from pathlib import Path

import pytest

from tests.support import ROOT
from tools import new_adr, release

TEXTS = {
    "pyproject.toml": 'name = "opsbook"\nversion = "0.1.0"\n',
    "lib/opsbook/__init__.py": '__version__ = "0.1.0"\n',
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- Something.\n\n## 0.1.0 (2026-01-01)\n\n- All.\n",
}


def test_the_version_is_said_in_each_place() -> None:
    told = release.released("0.2.0", TEXTS, "2026-11-28")
    assert told["pyproject.toml"] == 'name = "opsbook"\nversion = "0.2.0"\n'
    assert told["lib/opsbook/__init__.py"] == '__version__ = "0.2.0"\n'
    assert "## Unreleased\n\n## 0.2.0 (2026-11-28)\n\n- Something." in told["CHANGELOG.md"]


@pytest.mark.parametrize(
    ("version", "changes", "said"),
    [
        ("", {}, "Say which version"),
        ("one", {}, "Say which version"),
        ("0.1.0", {}, "0.1.0 is not later than 0.1.0"),
        ("0.2.0", {"CHANGELOG.md": "## Unreleased\n\n## 0.1.0\n\n- All.\n"}, "says nothing below ## Unreleased"),
        ("0.2.0", {"pyproject.toml": 'version = "0.1.1"\n'}, "do not say the same version"),
        ("0.2.0", {"lib/opsbook/__init__.py": ""}, "says no version"),
    ],
)
def test_what_is_no_release(version: str, changes: dict[str, str], said: str) -> None:
    with pytest.raises(release.Refused, match=said):
        release.check(version, TEXTS | changes)


def test_this_project_says_one_version() -> None:
    said = {release._said(name, (ROOT / name).read_text(encoding="utf-8")) for name in release.PLACES}
    assert len(said) == 1


def test_the_sbom_names_every_package_that_runs(tmp_path: Path) -> None:
    wheel = tmp_path / "opsbook.whl"
    wheel.write_bytes(b"x")
    made = release.sbom("0.2.0", wheel)
    names = {each["name"] for each in made["components"]}
    assert {"ansible-core", "ipykernel", "markdown-it-py"} <= names
    assert "pytest" not in names
    assert made["metadata"]["component"]["purl"] == "pkg:pypi/opsbook@0.2.0"


def test_a_decision_gets_the_next_number(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Decisions\n\n| number | decision |\n| --- | --- |\n| [1](0001-a.md) | A |\n")
    (tmp_path / "0001-a.md").write_text("# 1. A\n")
    path = new_adr.begin(tmp_path, "One more", "one-more")
    assert path.name == "0002-one-more.md"
    assert path.read_text().startswith("# 2. One more\n\n**Decided.**")
    assert (tmp_path / "README.md").read_text().endswith("| [2](0002-one-more.md) | One more |\n")
