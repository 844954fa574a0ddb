"""Prompts of playbooks, read from their text and from the tasks, roles and playbooks that they include.

It reports too few prompts rather than false ones: prompts that exist only at run time are handled there
(core/effects/ansible_command.py).
"""

import configparser
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from opsbook import ansible_cfg
from opsbook.core.source.prompts import Prompt
from opsbook.settings import Settings

_SETTINGS = (
    ("privilege_escalation", "become_ask_pass", "become"),
    ("defaults", "ask_pass", "connection"),
    ("defaults", "ask_vault_pass", "vault"),
)
_BLOCKS = ("block", "rescue", "always")
_PLAY = ("pre_tasks", "tasks", "post_tasks", "handlers")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_TIMED = re.compile(r"\b(?:seconds|minutes)\s*=")
_CAN_ASK = re.compile(r"pause|vars_|include_|import_|roles|dependencies|\\|!")
"""Stands in every file that asks something or names another one, unless an escape or a tag hides it."""

_VAULT = "$ANSIBLE_VAULT;"
_VAULTED_VALUE = re.compile(r":\s+!vault\b")


class Project:
    """The playbooks of a project. Each file is read once."""

    def __init__(self, root: Path, playbooks: Path, *, vault_password: bool) -> None:
        self._root = root
        self._playbooks = playbooks
        self._vault_password = vault_password
        self._known: dict[str, tuple[Prompt, ...]] = {}

    def __call__(self, name: str) -> tuple[Prompt, ...]:
        """Every prompt of playbooks/NAME, after those of Ansible itself."""
        if name not in self._known:
            found = chain(self.settings, _Walk(self, self._playbooks / name).played())
            self._known[name] = tuple(dict.fromkeys(found))
        return self._known[name]

    @cached_property
    def _config(self) -> configparser.RawConfigParser:
        try:
            return ansible_cfg.parse((self._root / "ansible.cfg").read_text(encoding="utf-8"))
        except (OSError, ValueError, ansible_cfg.Unreadable):
            return ansible_cfg.parse("")

    @property
    def settings(self) -> Iterator[Prompt]:
        """Passwords that ansible.cfg makes Ansible ask for."""
        for section, name, what in _SETTINGS:
            on = self._config.get(section, name, fallback="no").strip().lower() in ("1", "yes", "true", "on", "y", "t")
            if on and not (what == "vault" and self._vault_password):
                yield Prompt("password", what, f"{name} in ansible.cfg")
        if "@prompt" in self._config.get("defaults", "vault_identity_list", fallback=""):
            yield Prompt("password", "vault", "vault_identity_list in ansible.cfg")

    @cached_property
    def roles(self) -> tuple[Path, ...]:
        """Folders of roles, besides those next to a playbook."""
        text = self._config.get("defaults", "roles_path", fallback="")
        return tuple(self._root / Path(part.strip()).expanduser() for part in text.split(":") if part.strip())

    def place(self, path: Path, line: int = 0) -> str:
        inside = path.is_relative_to(self._root)
        return f"{path.relative_to(self._root) if inside else path}{f':{line}' if line else ''}"

    def vaulted(self, path: Path) -> bool:
        """Whether a file has vaulted content and no vault password is configured."""
        text = _text(path)
        return not self._vault_password and (text.startswith(_VAULT) or bool(_VAULTED_VALUE.search(text)))


def of_project(settings: Settings) -> Project:
    """The playbooks of a project with these settings."""
    return Project(settings.content, settings.playbooks, vault_password=settings.vault_password_file is not None)


class _Walk:
    """One playbook with all files that it includes."""

    def __init__(self, project: Project, playbook: Path) -> None:
        self._project = project
        self._playbook = playbook
        self._seen: set[Path] = set()

    def played(self, path: Path | None = None, *, sure: bool = True) -> Iterator[Prompt]:
        """The prompts of the playbook, or of an imported one."""
        path = path or self._playbook
        for play in self._read(path):
            imported = _module(play, "import_playbook")
            if isinstance(imported, str):
                for file in _files([path.parent], imported):
                    yield from self.played(file, sure=sure and not _conditional(play))
                continue
            for asked in _list(play.get("vars_prompt")):
                if isinstance(asked, dict) and isinstance(asked.get("name"), str):
                    yield Prompt("variable", asked["name"], self._project.place(path, _line(asked)), sure)
            yield from self._vaulted(_named([path.parent, path.parent / "vars"], play.get("vars_files")))
            for role in _list(play.get("roles")):
                yield from self._role(_role_of(role), sure=sure and not _conditional(role))
            for key in _PLAY:
                yield from self._tasks(path, play.get(key), sure=sure and key != "handlers")

    def _role(self, name: str, files: Iterable[str] = ("main",), *, sure: bool) -> Iterator[Prompt]:
        places = (self._playbook.parent / "roles", *self._project.roles, self._playbook.parent)
        folder = next((place / name for place in places if name and (place / name).is_dir()), None)
        if folder is None:
            return
        yield from self._vaulted(file for kind in ("vars", "defaults") for file in folder.glob(f"{kind}/*.y*ml"))
        for file in chain.from_iterable(_files([folder / "tasks"], f"{each}") for each in files):
            yield from self._tasks(file, self._read(file), sure=sure)
        for file in _files([folder / "handlers"], "main"):
            yield from self._tasks(file, self._read(file), sure=False)
        for meta in _files([folder / "meta"], "main"):
            content = _parsed(meta)
            for other in _list(content.get("dependencies") if isinstance(content, dict) else None):
                yield from self._role(_role_of(other), sure=sure and not _conditional(other))

    def _tasks(self, path: Path, tasks: Any, *, sure: bool) -> Iterator[Prompt]:
        for task in _list(tasks):
            if isinstance(task, dict):
                yield from self._task(path, task, sure=sure and not _conditional(task))

    def _task(self, path: Path, task: dict[str, Any], *, sure: bool) -> Iterator[Prompt]:
        for key in _BLOCKS:
            yield from self._tasks(path, task.get(key), sure=sure and key != "rescue")
        if _asks(task):
            yield Prompt("pause", str(task.get("name") or "pause"), self._project.place(path, _line(task)), sure)
        places = [path.parent, self._playbook.parent, self._playbook.parent / "tasks"]
        for key in ("include_tasks", "import_tasks"):
            name = _file_of(_module(task, key))
            for found in _files(places, name) if name else ():
                yield from self._tasks(found, self._read(found), sure=sure and "*" not in name)
        for key in ("include_role", "import_role"):
            named = _module(task, key)
            if isinstance(named, dict):
                yield from self._role(_role_of(named), [str(named.get("tasks_from") or "main")], sure=sure)
        values = _file_of(_module(task, "include_vars"))
        yield from self._vaulted(_named([path.parent, path.parent.parent / "vars", *places[1:]], values or None))

    def _vaulted(self, files: Iterable[Path]) -> Iterator[Prompt]:
        for file in files:
            if self._project.vaulted(file):
                yield Prompt("vaulted", file.name, self._project.place(file))

    def _read(self, path: Path) -> list[Any]:
        """The plays or tasks of a file; none if it was read before, since files may include themselves."""
        if path in self._seen:
            return []
        self._seen.add(path)
        return [each for each in _list(_parsed(path)) if isinstance(each, dict)]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Mappings know their line; vaulted values are None."""


class _Map(dict[str, Any]):
    line = 0


def _map(loader: Any, node: Any) -> _Map:
    loader.flatten_mapping(node)
    found = _Map(loader.construct_mapping(node, deep=True))
    found.line = node.start_mark.line + 1
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _map)
_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def _parsed(path: Path) -> Any:
    """What a YAML file says; None where nothing in it can ask, or where it cannot be read: another check tells that."""
    text = _text(path)
    try:
        return yaml.load(text, Loader=_Loader) if _CAN_ASK.search(text) else None  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _line(value: Any) -> int:
    return int(getattr(value, "line", 0))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _files(places: Iterable[Path], name: str) -> list[Path]:
    """The files that a name may refer to; a template in it matches any text."""
    pattern = _TEMPLATE.sub("*", name)
    for place in places:
        for each in (pattern, f"{pattern}.yml", f"{pattern}.yaml"):
            try:
                found = sorted(place.glob(each)) if "*" in each else [place / each]
            except (ValueError, NotImplementedError):
                continue
            if there := [file.resolve() for file in found if file.is_file()]:
                return there
    return []


def _named(places: Iterable[Path], names: Any) -> list[Path]:
    there = list(places)
    return [file for name in _list(names) if isinstance(name, str) for file in _files(there, name)]


def _file_of(named: Any) -> str:
    """The file name of an include, with a * for each template in it."""
    file = named.get("file") if isinstance(named, dict) else named
    return _TEMPLATE.sub("*", file).partition(" ")[0] if isinstance(file, str) else ""


def _role_of(role: Any) -> str:
    found = role if isinstance(role, str) else (role.get("role") or role.get("name")) if isinstance(role, dict) else ""
    return found if isinstance(found, str) and "{{" not in found else ""


def _conditional(item: Any) -> bool:
    """Whether a condition or a tag may skip the item."""
    return isinstance(item, dict) and ("when" in item or "never" in _list(item.get("tags")))


def _module(task: Any, name: str) -> Any:
    """The arguments that a task gives to a built-in module, under any of the module's names."""
    return next((task[key] for key in (name, f"ansible.builtin.{name}", f"ansible.legacy.{name}") if key in task), None)


def _asks(task: dict[str, Any]) -> bool:
    """Whether the task is a pause that waits for a person. A pause with seconds or minutes ends without one."""
    said: list[Any] = [task[key] for key in _PAUSE if key in task]
    for key in ("action", "local_action"):
        action = task.get(key)
        name, _, rest = action.partition(" ") if isinstance(action, str) else ("", "", "")
        if name in _PAUSE:
            said.append(rest)
        if isinstance(action, dict) and action.get("module") in _PAUSE:
            said.append(action)
    more = task.get("args")
    return any(not _timed(each) and not _timed(more) for each in said)


_PAUSE = ("pause", "ansible.builtin.pause", "ansible.legacy.pause")


def _timed(said: Any) -> bool:
    if isinstance(said, dict):
        return any(said.get(key) is not None for key in ("seconds", "minutes"))
    return isinstance(said, str) and bool(_TIMED.search(said))
