"""Where the project is, and what its opsbook.toml says."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook.errors import InputError

CONFIG = "opsbook.toml"
_KNOWN = {"records", "state", "vault_password_file", "keep_environment"}


@dataclass(frozen=True)
class Settings:
    """The project's settings. All paths are absolute.

    `keep_environment` names variables of the caller's environment that cells may see besides the
    usual ones (PATH, HOME, LANG, ...).
    """

    root: Path
    records: Path
    state: Path
    vault_password_file: Path | None = None
    keep_environment: tuple[str, ...] = ()

    @property
    def runbooks(self) -> Path:
        return self.root / "runbooks"

    @property
    def procedures(self) -> Path:
        return self.root / "procedures"

    @property
    def playbooks(self) -> Path:
        return self.root / "playbooks"

    @property
    def helpers(self) -> Path:
        return self.root / "lib"

    @property
    def inventories(self) -> Path:
        return self.playbooks / "inventories"


def load(start: Path, *, given: bool = False) -> Settings:
    """Settings of the project that holds `start`. `given` means: exactly this folder, do not look upwards."""
    root = _find_root(start.resolve(), given)
    values = _read(root / CONFIG)
    return Settings(
        root=root,
        records=(root / values.get("records", "records")).resolve(),
        state=(root / values.get("state", ".opsbook")).resolve(),
        vault_password_file=_path(root, values.get("vault_password_file")),
        keep_environment=tuple(values.get("keep_environment", ())),
    )


def _find_root(start: Path, given: bool) -> Path:
    candidates = [start] if given else [start, *start.parents]
    for folder in candidates:
        if (folder / CONFIG).is_file() or ((folder / "mkdocs.yml").is_file() and (folder / "runbooks").is_dir()):
            return folder
    raise InputError(
        f"No opsbook project {'in' if given else 'at or above'} {start}.",
        f"Go into one, name it with --project DIR, or create {CONFIG} where your runbooks/ folder is.",
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}.", "Correct the file and try again.") from error
    unknown = sorted(set(values) - _KNOWN)
    if unknown:
        raise InputError(
            f"{path}: unknown setting {', '.join(unknown)}.", f"Known settings: {', '.join(sorted(_KNOWN))}."
        )
    return values


def _path(root: Path, value: str | None) -> Path | None:
    return (root / Path(value).expanduser()).resolve() if value else None
