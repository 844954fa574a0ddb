"""What leads out of a tree: a protected environment executes nothing from there."""

import configparser
import os
import re
from collections.abc import Iterator
from pathlib import Path

from opsbook.core.planning.tree import LINK, Tree

_CODE = re.compile(r"(roles|collections)_paths?|library|module_utils|\w+_plugins(_path)?|inventory_plugins")
"""Settings of ansible.cfg with folders from which Ansible loads code."""


def ways_out(out: Tree) -> list[str]:
    """Links of a written tree that lead out of it, and folders of its ansible.cfg outside, with where to."""
    return [*_links(out), *_settings(out)]


def _links(out: Tree) -> Iterator[str]:
    for path, entry in out.files.items():
        if entry.startswith(LINK) and not _inside(out, where := os.path.realpath(out.root / path)):
            yield f"{path} -> {where}"


def _settings(out: Tree) -> Iterator[str]:
    config = configparser.RawConfigParser(strict=False)
    try:
        config.read_string((out.root / "ansible.cfg").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return
    except configparser.Error as error:
        yield f"ansible.cfg cannot be read ({error.message.splitlines()[0]})"
        return
    for section in config.sections():
        for name, value in config.items(section):
            for part in re.split(r"[:,]", value) if _CODE.fullmatch(name) else ():
                where = os.path.expandvars(os.path.expanduser(part.strip().strip("\"'")))  # noqa: PTH111
                if where and not _inside(out, os.path.realpath(out.root / where)):
                    yield f"ansible.cfg: {name} -> {part.strip()}"


def _inside(out: Tree, where: str) -> bool:
    return Path(where).is_relative_to(out.root)
