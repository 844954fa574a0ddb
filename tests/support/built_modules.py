"""Ansible's modules, built once: Ansible packs each anew in each playbook, and parses all that goes with it.

What is built is kept by what it is built from: the module, what the project has for modules, and Ansible's version.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import after_import, modules

_NAME = "ansible.executor.module_common"


def keep() -> None:
    """From now on, in this process, as soon as Ansible is imported."""
    after_import.after(_NAME, _change)
    after_import.after("opsbook.core.effects.ansible_payload", _leave_to_us)


def _leave_to_us(payload: ModuleType) -> None:
    """What opsbook makes ahead for its own archives is of no use to those that are built."""
    payload.install = payload.read = lambda: None  # type: ignore[attr-defined]


def _change(ansible: ModuleType) -> None:
    build = ansible._find_module_utils

    def built(*, module_name: str, b_module_data: bytes, **more: Any) -> Any:
        if b"ansible_collections" in b_module_data:
            return build(module_name=module_name, b_module_data=b_module_data, **more)
        with _kept(ansible, module_name, b_module_data):
            return build(module_name=module_name, b_module_data=b_module_data, **more)

    ansible._find_module_utils = built  # type: ignore[attr-defined]


@contextmanager
def _kept(ansible: ModuleType, name: str, source: bytes) -> Iterator[None]:
    """Have what was built before where Ansible looks for what it has built itself, and keep what it builds."""
    own = Path(ansible.C.DEFAULT_LOCAL_TMP, "ansiballz_cache")
    kept = modules.CACHE / "built" / _key(ansible, source)
    before = _of(own, name)
    if not before:
        for path in _of(kept, name):
            _copy(path, own)
    yield
    for path in _of(own, name):
        if not before and not (kept / path.name).exists():
            _copy(path, kept)


def _key(ansible: ModuleType, source: bytes) -> str:
    digest = hashlib.sha256(ansible.__version__.encode() + source)
    for folder in ansible.module_utils_loader._get_paths(subdirs=False):
        if folder != ansible._MODULE_UTILS_PATH:
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _of(folder: Path, name: str) -> list[Path]:
    """The files of a module: their names begin with its own, and something else says how they are packed."""
    last = name.rpartition(".")[2]
    found = folder.glob(f"*.{last}-*")
    return [path for path in found if not path.name.endswith((".lock", "-part", "-kept"))]


def _copy(path: Path, folder: Path) -> None:
    """Whole at once: others look for it meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f"{path.name}.{os.getpid()}-kept"
    shutil.copyfile(path, scratch)
    scratch.rename(folder / path.name)
