"""Files of an environment, which are YAML with Ansible's own tags: how one is read, and what is wrong with it."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from opsbook import files
from opsbook.errors import InputError
from opsbook.files import PlainLoader, parse_yaml


class AnsibleLoader(PlainLoader):
    """YAML with Ansible's own tags (!vault, !unsafe), whose values are ignored."""


AnsibleLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def read(path: Path) -> Any:
    try:
        return parsed(files.read_text(path, within=files.ANYWHERE), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Correct it and try again.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid YAML: {error}.", "Correct the file and try again.") from error


def parsed(text: str, path: Path) -> Any:
    try:
        return parse_yaml(text, AnsibleLoader)
    except yaml.YAMLError as error:
        raise InputError(
            f"{path}: not valid YAML: {files.yaml_says(error)}.", "Correct the file and try again."
        ) from error


def sentences(path: Path, error: ValidationError) -> list[str]:
    """One sentence for each place. A choice that matches none of its three shapes is one problem, not three."""
    found = {}
    for problem in error.errors():
        where, message = problem["loc"], problem["msg"]
        if where[:1] == ("choices",) and len(where) > 1:
            where, message = where[:2], "take a list of texts, `glob: PATTERN` or `group: NAME`"
        found[".".join(map(str, where))] = message
    return [f"{': '.join(filter(None, (shown(path), place, message)))}." for place, message in found.items()]


def shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
