"""Write the site's pages as files, with a configuration for any generator like MkDocs."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from opsbook import files
from opsbook.errors import InputError
from opsbook.settings import Settings
from opsbook.site import lists
from opsbook.site.links import DOCS
from opsbook.site.place import is_taken
from opsbook.site.publishing import Published, publish
from opsbook.site.site import SCRIPTS, STYLES

CONFIG = "mkdocs.yml"

_OWN = frozenset({"opsbook", "offline"})
"""Plugins to remove: opsbook has already written its pages, and whoever builds the tree decides about offline use."""


class _Tagged(NamedTuple):
    """A value with a tag that only MkDocs knows, such as !ENV: it is written as it was read."""

    node: yaml.Node


class _Loader(yaml.SafeLoader):
    """Keeps what has a tag of its own."""


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads."""


_Loader.add_multi_constructor("", lambda _loader, _suffix, node: _Tagged(node))
_Dumper.add_representer(_Tagged, lambda _dumper, tagged: tagged.node)


def write_tree(settings: Settings, folder: Path) -> int:
    """Write the site's pages, docs/ and mkdocs.yml to a new folder, for any generator; the number of files.

    Raises InputError if the folder is not empty or cannot be written, or the site cannot be made.
    """
    if is_taken(folder):
        raise InputError(f"There is something in {folder} already.", "Name a folder that is empty, or not there yet.")
    config = _config(settings)
    name = config.get("site_name")
    # A tag such as !ENV gets the name only when the tree is built.
    found = publish(settings, name if isinstance(name, str) else settings.root.name)
    try:
        return _write(settings, folder, found, _told(settings, config))
    except (OSError, shutil.Error) as error:
        shutil.rmtree(folder / DOCS, ignore_errors=True)
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be written: {why}.", "Name another folder.") from error


def _write(settings: Settings, folder: Path, found: Published, config: str) -> int:
    docs = folder / DOCS
    if (settings.root / DOCS).is_dir():
        shutil.copytree(settings.root / DOCS, docs)
    files = {**{path: text.encode() for path, text in found.pages.items()}, **found.assets}
    for path, data in files.items():
        target = docs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    return sum(1 for path in folder.rglob("*") if path.is_file())


def config_path(settings: Settings) -> Path:
    """The project's mkdocs.yml. Raises InputError without one."""
    path = settings.root / CONFIG
    if not path.is_file():
        hint = "opsbook init makes one in a new folder; copy it from there."
        raise InputError(f"There is no {CONFIG} in {settings.root}.", hint)
    return path


def _config(settings: Settings) -> dict[str, Any]:
    """The project's mkdocs.yml; what MkDocs would evaluate in it is not evaluated."""
    path, hint = config_path(settings), f"Correct {CONFIG}, then build again."
    try:
        config = files.parse_yaml(files.read_text(path, within=files.ANYWHERE), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", hint) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error)
        raise InputError(f"{CONFIG}:{line}: not valid YAML: {what}.", hint) from error
    if not isinstance(config, dict):
        raise InputError(f"{CONFIG}:1: it is not a list of `key: value` lines.", hint)
    return config


def _told(settings: Settings, config: dict[str, Any]) -> str:
    """The tree's mkdocs.yml: the project's, with the plugin replaced by the settings that it would make."""
    told = {**config, "docs_dir": DOCS, "plugins": _plugins(config.get("plugins"))}
    for key, own in (("extra_css", STYLES), ("extra_javascript", SCRIPTS)):
        theirs = config.get(key)
        told[key] = [*own, *(theirs if isinstance(theirs, list) else [])]
    if isinstance(config.get("nav"), list):
        told["nav"] = lists.with_training(settings, config["nav"])
    return yaml.dump(told, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False)


def _plugins(given: Any) -> list[Any]:
    """The project's plugins without _OWN, as a list; each is a name, or a mapping of a name to its options."""
    named = [{name: options} for name, options in given.items()] if isinstance(given, dict) else given
    items = named if isinstance(named, list) else ["search"]
    return [item for item in items if (next(iter(item), "") if isinstance(item, dict) else item) not in _OWN]
