"""Decrypt vaulted variables: `python -m opsbook.run.vault PASSWORD_FILE FILE…` prints them as JSON.

Whole vaulted files and single `!vault` values alike. Ansible's vault is used here and nowhere else.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HEADER = "$ANSIBLE_VAULT;"


def parse(output: str) -> dict[str, str]:
    """What main() printed."""
    return {str(name): str(value) for name, value in json.loads(output).items()}


def main() -> None:
    """Print {"name": "value"} for every vaulted text in the files."""
    from ansible.errors import AnsibleError
    from ansible.parsing.vault import VaultLib, VaultSecret

    password = Path(sys.argv[1]).read_bytes().strip()
    library = VaultLib([("default", VaultSecret(password))])
    found: dict[str, str] = {}
    try:
        for name in sys.argv[2:]:
            found |= _file(Path(name).read_text(encoding="utf-8"), library)
    except AnsibleError:
        sys.exit("the vault password does not fit.")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        sys.exit(f"{name}: not readable: {error}")
    print(json.dumps(found))


def _file(text: str, library: Any) -> dict[str, str]:
    if text.startswith(HEADER):
        text = library.decrypt(text.encode()).decode()
        return dict(_texts("", yaml.safe_load(text), everything=True))
    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!vault", lambda _, node: _Vaulted(library.decrypt(node.value.encode()).decode()))
    loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    return dict(_texts("", yaml.load(text, Loader=loader), everything=False))  # noqa: S506  (a SafeLoader)


class _Vaulted(str):
    """A text that was vaulted by itself."""

    __slots__ = ()


def _texts(name: str, value: Any, *, everything: bool) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _texts(str(key), item, everything=everything)]
    if isinstance(value, list):
        return [pair for n, item in enumerate(value) for pair in _texts(f"{name}.{n}", item, everything=everything)]
    wanted = isinstance(value, _Vaulted) or (everything and isinstance(value, str | int))
    return [(name, str(value))] if wanted else []


if __name__ == "__main__":
    main()
