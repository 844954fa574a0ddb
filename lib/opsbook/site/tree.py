"""Write the site's pages as files, with a configuration for any generator like MkDocs."""

import shutil
from pathlib import Path

import yaml

from opsbook import files
from opsbook.errors import InputError
from opsbook.files import parse_yaml
from opsbook.settings import Settings
from opsbook.site import lists
from opsbook.site.links import DOCS
from opsbook.site.place import is_taken
from opsbook.site.publishing import SCRIPTS, STYLES, Published, publish

CONFIG = "mkdocs.yml"

_OWN = frozenset({"opsbook", "offline"})
"""Plugins to remove: opsbook has already written its pages, and whoever builds the tree decides about offline use."""


class _Tags(yaml.SafeLoader):
    """A YAML loader that accepts unknown tags: MkDocs has its own, such as !ENV."""


_Tags.add_multi_constructor("", lambda loader, suffix, node: None)


def write_tree(settings: Settings, folder: Path) -> int:
    """Write the site's pages, docs/ and mkdocs.yml to a new folder, for any generator; the number of files.

    Raises InputError if the folder is not empty or cannot be written, or the site cannot be made.
    """
    if is_taken(folder):
        raise InputError(f"There is something in {folder} already.", "Name a folder that is empty, or not there yet.")
    config = _config(settings)
    name = config.get("site_name")
    # A tag such as !ENV gets the name only when the tree is built.
    plain = isinstance(name, yaml.ScalarNode) and name.tag == "tag:yaml.org,2002:str"
    found = publish(settings, name.value if isinstance(name, yaml.ScalarNode) and plain else settings.root.name)
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


def _config(settings: Settings) -> dict[str, yaml.Node]:
    """The nodes of the project's mkdocs.yml by their keys, not evaluated."""
    path = settings.root / CONFIG
    hint = f"Correct {CONFIG}, then build again."
    try:
        text = files.read_text(path, within=files.ANYWHERE)
        parse_yaml(text, _Tags)
        root = yaml.compose(text, _Tags)
    except FileNotFoundError as error:
        hint = "opsbook init makes one in a new folder; copy it from there."
        raise InputError(f"There is no {CONFIG} in {settings.root}.", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", hint) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error)
        raise InputError(f"{CONFIG}:{line}: not valid YAML: {what}.", hint) from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{CONFIG}:1: it is not a list of `key: value` lines.", hint)
    return {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}


def _told(settings: Settings, config: dict[str, yaml.Node]) -> str:
    """The tree's mkdocs.yml: the project's, with the plugin replaced by the settings that it would make."""
    added = {"docs_dir": _text(DOCS), "plugins": _plugins(config.get("plugins"))}
    for key, own in (("extra_css", STYLES), ("extra_javascript", SCRIPTS)):
        theirs = config.get(key)
        items = theirs.value if isinstance(theirs, yaml.SequenceNode) else []
        added[key] = _sequence([*map(_text, own), *items])
    if (nav := _nav(settings, config.get("nav"))) is not None:
        added["nav"] = nav
    pairs = [(_text(key), value) for key, value in ({**config, **added}).items()]
    return str(yaml.serialize(_mapping(pairs), Dumper=yaml.SafeDumper, allow_unicode=True))


def _nav(settings: Settings, given: yaml.Node | None) -> yaml.Node | None:
    """The nav with the training page; None if it needs no change."""
    written = given.value if isinstance(given, yaml.SequenceNode) else None
    at = lists.place_in_nav(settings, None if written is None else [_plain(each) for each in written])
    if at is None or written is None:
        return None
    added = _mapping([(_text(title), _text(path)) for title, path in lists.nav_entry().items()])
    return _sequence([*written[:at], added, *written[at:]])


def _plain(node: yaml.Node) -> object:
    """A node as texts, lists and mappings."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    return [_plain(each) for each in node.value] if isinstance(node, yaml.SequenceNode) else node.value


def _plugins(given: yaml.Node | None) -> yaml.Node:
    """The project's plugins without _OWN, as a list; each is a name, or a mapping of a name to its options."""
    if isinstance(given, yaml.MappingNode):
        items: list[yaml.Node] = [_mapping([pair]) for pair in given.value]
    else:
        items = list(given.value) if isinstance(given, yaml.SequenceNode) else [_text("search")]
    return _sequence([item for item in items if _name(item) not in _OWN])


def _name(item: yaml.Node) -> str:
    first = item.value[0][0] if isinstance(item, yaml.MappingNode) and item.value else item
    return str(first.value)


def _text(value: str) -> yaml.Node:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value)


def _mapping(pairs: list[tuple[yaml.Node, yaml.Node]]) -> yaml.Node:
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def _sequence(items: list[yaml.Node]) -> yaml.Node:
    return yaml.SequenceNode("tag:yaml.org,2002:seq", items, flow_style=False)
