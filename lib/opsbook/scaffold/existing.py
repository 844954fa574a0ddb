"""Find the playbooks and inventories of a folder that is an Ansible repository already, for `opsbook init`."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opsbook import ansible_cfg
from opsbook.core.model.text import slug
from opsbook.core.planning.yaml_files import AnsibleLoader
from opsbook.files import parse_yaml
from opsbook.scaffold import writing

_FOLDERS = ("inventories", "inventory")
_FILES = ("hosts", "hosts.ini", "hosts.yml", "hosts.yaml", "inventory.ini", "inventory.yml", "inventory")
_VARIABLES = frozenset({"group_vars", "host_vars"})
_IGNORED = frozenset({".md", ".txt", ".rst", ".orig", ".bak", ".cfg", ".retry", ".swp", ".pyc", ".j2", ".sample"})
"""Suffixes of files beside inventories that Ansible reads none from."""

_MOST = 200
"""Files that are looked at for playbooks."""

_ADDED = (".gitignore", "mkdocs.yml", "requirements.txt", "docs/manual.md")
"""Files of a new project that a repository gets, too."""


@dataclass(frozen=True)
class Repository:
    """What is there: the folder of `playbooks`, their names, and inventories by the name of their environment."""

    folder: str
    playbooks: tuple[str, ...]
    inventories: Mapping[str, str]

    @property
    def safest(self) -> str:
        """The environment to try something in: by its name none of production, if there is such a one."""
        return min(self.inventories, key=lambda name: bool(re.search("prod|live", name)))

    @property
    def first(self) -> str:
        """The playbook that the first page runs."""
        return next(
            (name for name in ("site.yml", "site.yaml", "main.yml") if name in self.playbooks), self.playbooks[0]
        )

    def files(self, author: writing.Author) -> dict[str, str]:
        """The files to add, by their path."""
        page = slug(Path(self.first).stem)
        lines = "\n".join(f"{name} = [{json.dumps(path)}]" for name, path in self.inventories.items())
        told = {"__PLAYBOOKS__": self.folder, "__INVENTORIES__": lines, "__NAME__": page, "__PLAYBOOK__": self.first}
        found = {name: text for name, text in writing.project(author).items() if name in _ADDED}
        found["opsbook.toml"] = writing.part("ansible/opsbook.toml", author, "", told)
        found[f"runbooks/{page}.md"] = writing.part("ansible/page.md", author, f"Run {self.first}", told)
        for name in self.inventories:
            found[f"environments/{name}.yml"] = writing.part("ansible/environment.yml", author, name, told)
        return found


def repository(folder: Path) -> Repository | None:
    """The Ansible repository in a folder; None if it has no playbook, no inventory, or is a project of opsbook."""
    if (folder / "opsbook.toml").exists() or any((folder / "playbooks/inventories").glob("*/hosts.yml")):
        return None
    folders = (path for path in sorted(folder.glob("*/")) if not path.name.startswith((".", "roles", "inventor")))
    for place in (folder, folder / "playbooks", *folders):
        playbooks = tuple(path.name for path in sorted(place.glob("*.y*ml"))[:_MOST] if _is_playbook(path))
        if playbooks and (inventories := dict(_inventories(folder))):
            return Repository(place.relative_to(folder).as_posix(), playbooks, inventories)
    return None


def _is_playbook(path: Path) -> bool:
    content: Any = None
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
        content = parse_yaml(path.read_text(encoding="utf-8"), AnsibleLoader)
    plays = content if isinstance(content, list) else []
    known = ("hosts", "import_playbook", "ansible.builtin.import_playbook")
    return bool(plays) and all(isinstance(play, dict) and any(key in play for key in known) for play in plays)


def _inventories(folder: Path) -> Iterator[tuple[str, str]]:
    """Environments with their inventory: each entry of the usual folders, what ansible.cfg names, the usual files."""
    for name in _FOLDERS:
        inside = [path for path in sorted(folder.glob(f"{name}/*")) if _is_inventory(path)]
        if inside and name in _configured(folder):
            # One inventory of several files.
            yield "main", name
            continue
        stems = [_name(path, name) for path in inside]
        for path, stem in zip(inside, stems, strict=True):
            where = path.relative_to(folder).as_posix()
            yield (slug(path.name) if stems.count(stem) > 1 else stem), where
    named = [each for each in _configured(folder) if Path(each).parts[0] not in _FOLDERS]
    for name in dict.fromkeys([*named, *(name for name in _FILES if (folder / name).is_file())]):
        if (folder / name).exists():
            yield _name(folder / name, "main"), name


def _is_inventory(path: Path) -> bool:
    if path.name.startswith(".") or path.name in _VARIABLES or path.suffix in _IGNORED:
        return False
    return path.is_file() or any(each.is_file() for each in path.glob("*"))


def _name(path: Path, otherwise: str) -> str:
    return slug(otherwise if path.name in _FILES else path.name if path.is_dir() else path.stem) or otherwise


def _configured(folder: Path) -> list[str]:
    told = ""
    with contextlib.suppress(OSError, ValueError):
        told = ansible_cfg.default((folder / "ansible.cfg").read_text(encoding="utf-8"), "inventory")
    return [re.sub(r"^\./|/$", "", each.strip()) for each in told.split(",") if each.strip()]
