"""Where the project is, and what its opsbook.toml says."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

from opsbook.errors import InputError
from opsbook.shapes import Check, Misfit, Shape

CONFIG = "opsbook.toml"


def _usable(text: str) -> str:
    if "\0" in text:
        raise ValueError("it contains a NUL character")
    return text


_Text = Annotated[str, Check(_usable, min_length=1)]


def _like(pattern: str, said: str) -> Check:
    """A text of this form; `said` is what to write instead of any other."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(said)
        return text

    return Check(check)


_Days = Annotated[str, _like(r"[1-9][0-9]{0,4}d", "write days, such as 365d")]
_Span = Annotated[str, _like(r"[1-9][0-9]{0,4}(ms|s|m|h)", "write a time in ms, s, m or h, such as 30s")]
_Name = Annotated[str, _like(r"[A-Za-z0-9][\w.-]*", "the name of an environment has letters, digits, dots, - and _")]
_ServiceName = Annotated[
    str,
    _like(r"[a-z][a-z0-9_]*", "the name of a service has small letters, digits and _, as its variables begin with it"),
]


class Retention(Shape, strict=True):
    """The table [retention] of opsbook.toml: how long records are kept."""

    keep: _Days | None = None
    keep_failed: _Days | None = None
    keep_last: Annotated[int, Check(int, ge=0)] = 10


def _inside(text: str) -> str:
    path = PurePosixPath(_usable(text))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("write a path below the project, without ..")
    return text


_Inside = Annotated[str, Check(_inside, min_length=1)]


def _some(sources: list[str]) -> list[str]:
    if not sources:
        raise ValueError("name at least one inventory")
    return sources


class Ansible(Shape, strict=True):
    """The table [ansible] of opsbook.toml: where an Ansible repository has its files."""

    playbooks: _Inside = "playbooks"
    inventories: dict[_Name, Annotated[list[_Inside], Check(_some)]] = field(default_factory=dict)


class Service(Shape, strict=True):
    """A table [services.NAME] of opsbook.toml: where a service says its settings and its feature flags.

    `flags_in`: the file of an environment, {environment} for its name, that says which flags are on there.
    """

    settings: _Inside | None = None
    flags: _Inside | None = None
    flags_in: _Inside | None = None


class Schemas(Shape, strict=True):
    """The table [schemas] of opsbook.toml: JSON schemas of what environments say that is not a service's own.

    `settings`: of `settings` in environment.yml. `variables`: of Ansible's variables, by their names.
    """

    settings: _Inside | None = None
    variables: _Inside | None = None


class _Check(Shape, strict=True):
    """The table [check] of opsbook.toml."""

    reads: list[_Text] = field(default_factory=list)


class Severity(Shape, strict=True):
    """A table [[severity]] of opsbook.toml: how bad something can be.

    `acknowledge`: how soon somebody has to work on an incident, `update`: how often others have to hear of it; without,
    nobody is reminded. `page`: whether whoever is on call is paged.
    """

    name: _Text
    means: _Text
    respond: _Text
    call: str = ""
    acknowledge: _Span | None = None
    update: _Span | None = None
    page: bool = True


class _Content(Shape, strict=True):
    """The content of opsbook.toml."""

    records: _Text = "records"
    state: _Text = ".opsbook"
    vault_password_file: Annotated[str, Check(_usable)] | None = None
    signing_key: Annotated[str, Check(_usable)] | None = None
    allowed_signers: _Text = "allowed_signers"
    protected_branch: _Text = "main"
    keep_environment: list[_Text] = field(default_factory=list)
    retention: Retention | None = None
    anchor: _Text | None = None
    stop_after: _Span = "30s"
    check: _Check = field(default_factory=_Check)
    ansible: Ansible = field(default_factory=Ansible)
    services: dict[_ServiceName, Service] = field(default_factory=dict)
    schemas: Schemas = field(default_factory=Schemas)
    severity: list[Severity] = field(default_factory=list)
    impact: dict[_Text, dict[_Text, _Text]] = field(default_factory=dict)
    status_page: _Inside | None = None


def protected_branch(text: str) -> str | None:
    """The protected branch that the text of an opsbook.toml names; None if the text is invalid."""
    content = _content(text)
    return content.protected_branch if content else None


def inventories(text: str) -> dict[str, list[str]] | None:
    """The environments with their inventories that the text of an opsbook.toml names; None if the text is invalid."""
    content = _content(text)
    return dict(content.ansible.inventories) if content else None


def _content(text: str) -> _Content | None:
    try:
        return _Content.read(tomllib.loads(text))
    except ValueError:
        return None


@dataclass(frozen=True)
class Settings:
    """The project's settings. All paths are absolute.

    `vaults` are where vault passwords are, as Ansible writes it: LABEL@PATH.

    `check_reads` names Ansible modules and plugins that only read: a check may really run them.

    `keep_environment` names variables of the caller's environment that cells may see besides the
    usual ones (PATH, HOME, LANG, ...). `severities`: the worst first. `allowed_signers` is a path
    in the repository; the version on `protected_branch` counts. `tree` is set where pages, playbooks and helpers are
    read from a stored tree instead of the project's folder.
    `stop_after`: after what time a signal counts as sent again, where there is no terminal.
    `anchor` is the text of the setting; records.anchor_store interprets it.
    """

    root: Path
    records: Path
    state: Path
    vaults: tuple[str, ...] = ()
    keep_environment: tuple[str, ...] = ()
    retention: Retention | None = None
    check_reads: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    impact: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    signing_key: Path | None = None
    allowed_signers: str = "allowed_signers"
    protected_branch: str = "main"
    anchor: str | None = None
    stop_after: str = "30s"
    ansible: Ansible = field(default_factory=Ansible)
    services: Mapping[str, Service] = field(default_factory=dict)
    schemas: Schemas = field(default_factory=Schemas)
    status_page: str | None = None
    tree: Path | None = None

    @property
    def vault_password_file(self) -> Path | None:
        """The first file with a vault password."""
        return Path(self.vaults[0].partition("@")[2]) if self.vaults else None

    @property
    def content(self) -> Path:
        """The folder with pages, playbooks and helpers: the project's, or a stored tree."""
        return self.tree or self.root

    def within(self, tree: Path) -> "Settings":
        """These settings for a stored tree: what its opsbook.toml says of what is executed counts, not the folder's."""
        content = _read(tree / CONFIG)
        reads = tuple(content.check.reads)
        said = replace(self, ansible=content.ansible, services=content.services, schemas=content.schemas)
        return replace(said, tree=tree, check_reads=reads)

    @property
    def runbooks(self) -> Path:
        return self.content / "runbooks"

    @property
    def procedures(self) -> Path:
        return self.content / "procedures"

    @property
    def playbooks(self) -> Path:
        return self.content / self.ansible.playbooks

    @property
    def helpers(self) -> Path:
        return self.content / "lib"

    @property
    def inventories(self) -> Path:
        """The folder with an environment in each of its folders; others are named in opsbook.toml."""
        return self.content / "playbooks" / "inventories"


def load(start: Path, *, given: bool = False) -> Settings:
    """Settings of the project that contains `start`. With `given`, `start` must be the project's folder itself.

    Raises InputError for no project, an invalid opsbook.toml, and folders that cannot be created.
    """
    try:
        root = _find_root(start.resolve(), given)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{start} cannot be read: {error}.", "Check the path.") from error
    content = _read(root / CONFIG)
    known = {each.name.lower() for each in content.severity}
    named = {severity for row in content.impact.values() for severity in row.values()}
    if known and (wrong := sorted(each for each in named if each.lower() not in known)):
        raise InputError(f"{root / CONFIG}: impact: no [[severity]] is named {', '.join(wrong)}.", "Correct the file.")
    own = {
        "root": root,
        "records": _folder(root, "records", content.records),
        "state": _folder(root, "state", content.state),
        "vaults": _vaults(root, content.vault_password_file),
        "keep_environment": tuple(content.keep_environment),
        "check_reads": tuple(content.check.reads),
        "severities": tuple(content.severity),
        "signing_key": _file(root, "signing_key", os.environ.get("OPSBOOK_SIGNING_KEY") or content.signing_key),
    }
    # The others are taken as they are written.
    same = {name: getattr(content, name) for name in _Content.names() if name in Settings.__annotations__}
    return Settings(**same | own)


def _find_root(start: Path, given: bool) -> Path:
    candidates = [start] if given else [start, *start.parents]
    for folder in candidates:
        if (folder / CONFIG).is_file() or ((folder / "mkdocs.yml").is_file() and (folder / "runbooks").is_dir()):
            return folder
    raise InputError(
        f"No opsbook project {'in' if given else 'at or above'} {start}.",
        f"Go into one, name it with --project DIR, or create {CONFIG} where your runbooks/ folder is.",
    )


def _read(path: Path) -> _Content:
    if not path.exists() and not path.is_symlink():
        return _Content()
    if path.exists() and not path.is_file():
        # Reading a pipe or a device might never end.
        raise InputError(f"{path} is not a file.", "Correct that and try again.")
    try:
        return _Content.read(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Correct the file and try again.") from error
    except Misfit as error:
        raise InputError(_problems(path, error), f"Known settings: {', '.join(_Content.names())}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}.", "Correct the file and try again.") from error


def _problems(path: Path, error: Misfit) -> list[str]:
    """One sentence for each; a setting in a list is named with its place, such as keep_environment.0."""
    return [
        f"{path}: unknown setting {e['loc'][0]}."
        if e["type"] == "extra_forbidden" and len(e["loc"]) == 1
        else f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}."
        for e in error.problems
    ]


def _folder(root: Path, name: str, value: str) -> Path:
    """The absolute path of a folder that exists or can be created."""
    try:
        path = (root / value).resolve()
        present = next(folder for folder in (path, *path.parents) if folder.exists())
        usable = present.is_dir()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{root / CONFIG}: {name}: {error}.", "Name a folder that can be made.") from error
    if not usable:
        raise InputError(f"{root / CONFIG}: {name}: {present} is not a folder.", "Name a folder that can be made.")
    return path


def _vaults(root: Path, named: str | None) -> tuple[str, ...]:
    """Where vault passwords are: in the file that opsbook.toml names, or as ansible.cfg says; not those to be typed."""
    if named:
        return (f"default@{_file(root, 'vault_password_file', named)}",)
    try:
        text = (root / "ansible.cfg").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    if "vault_" not in text:
        return ()
    # Most have none, and need not load what reads it.
    from opsbook.ansible_cfg import default

    listed = default(text, "vault_identity_list").split(",")
    all_of_them = [f"default@{default(text, 'vault_password_file')}", *map(str.strip, listed)]
    parts = [each.rpartition("@") for each in all_of_them if each]
    return tuple(
        f"{label or 'default'}@{_file(root, 'vault_password_file', path)}"
        for label, _, path in parts
        if path and not path.startswith("prompt")
    )


def _file(root: Path, name: str, value: str | None) -> Path | None:
    try:
        return (root / Path(value).expanduser()).resolve() if value else None
    except (OSError, RuntimeError) as error:
        raise InputError(f"{root / CONFIG}: {name}: {error}.", "Name a file.") from error
