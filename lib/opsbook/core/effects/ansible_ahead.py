"""What Ansible reads of itself for every playbook, parsed ahead: it is most of what a small playbook does.

Each result is handed out once in a process, like one that was parsed there: nothing that a playbook does to it is seen
by another one. With a version of Ansible that keeps these things elsewhere, nothing is parsed ahead.
"""

import ast
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_PLUGINS = ("become", "cache", "callback", "connection", "inventory", "shell", "strategy", "vars")
"""Folders of plugins that are all described, whatever a playbook uses."""


def read() -> None:
    """Parse now what every playbook would parse: where plugins have moved, and what plugins can be told."""
    for part in (_routing, _documentation):
        with contextlib.suppress(AttributeError, ImportError, OSError):
            part()


def _routing() -> None:
    import ansible
    from ansible.utils.collection_loader import _collection_finder

    raw = Path(ansible.__file__).with_name("config").joinpath("ansible_builtin_runtime.yml").read_bytes()
    parse: Callable[[Any, Any], Any] = _collection_finder._meta_yml_to_dict
    known = {raw: parse(raw, None)}
    _collection_finder._meta_yml_to_dict = lambda text, name: known.pop(text, None) or parse(text, name)


def _documentation() -> None:
    import ansible.plugins
    from ansible._internal._datatag import _tags
    from ansible.parsing.yaml.loader import AnsibleLoader
    from ansible.plugins import loader

    def key(text: Any, loader: Any) -> object:
        """A text is known with the place that it came from."""
        return str(text), _tags.Origin.get_tag(text), _tags.TrustedAsTemplate.is_tagged_on(text), loader

    def load(text: Any, Loader: Any) -> Any:  # noqa: N803  (as PyYAML has it)
        found = known.pop(key(text, Loader), None) if isinstance(text, str) else None
        return module.load(text, Loader=Loader) if found is None else found

    known: dict[object, Any] = {}
    module = loader.yaml
    for name in _PLUGINS:
        for path in Path(ansible.plugins.__file__).with_name(name).glob("*.py"):
            if text := _text(path):
                tagged = _tags.Origin(path=str(path)).tag(_tags.TrustedAsTemplate().tag(text))
                known[key(tagged, AnsibleLoader)] = module.load(tagged, Loader=AnsibleLoader)
    loader.yaml = SimpleNamespace(**{**vars(module), "load": load})


def _text(path: Path) -> str:
    """The documentation of a plugin, which says what it can be told."""
    for node in ast.parse(path.read_bytes()).body:
        named = [each.id for each in node.targets if isinstance(each, ast.Name)] if isinstance(node, ast.Assign) else []
        if named == ["DOCUMENTATION"] and isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""
