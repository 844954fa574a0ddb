"""Decrypt vaulted variables: `python -m opsbook.core.engine.vault FILE … -- FILE …`, as JSON.

Handles vaulted files and single `!vault` values. The only module that uses Ansible's vault.
"""

import contextlib
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HEADER = "$ANSIBLE_VAULT;"


def main() -> None:
    """Print [["name", "value"], …] for every vaulted text in the files.

    Names are dotted if nested; a name may come from several files.
    """
    from ansible import constants
    from ansible.cli import CLI
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import VaultLib

    try:
        # The passwords are where Ansible's variables say.
        known = list(constants.DEFAULT_VAULT_IDENTITY_LIST)
        library = VaultLib(
            CLI.setup_vault_secrets(DataLoader(), vault_ids=known, ask_vault_pass=False, auto_prompt=False)
        )
    except AnsibleError as error:
        sys.exit(str(error))
    at = sys.argv.index("--")
    found, more = list[tuple[str, str]](), list[tuple[str, str]]()
    for name in sys.argv[1:at]:
        try:
            found += _file(Path(name).read_text(encoding="utf-8"), library)
        except AnsibleError:
            sys.exit("the vault password does not fit.")
        except (yaml.YAMLError, ValueError) as error:
            # Never print the error's own text: it may quote a secret line.
            mark = getattr(error, "problem_mark", None)
            sys.exit(f"{name} is not valid YAML{f', line {mark.line + 1}' if mark else ''}.")
    for name in sys.argv[at + 1 :]:
        # These need not open.
        with contextlib.suppress(AnsibleError, yaml.YAMLError, ValueError):
            more += _file(Path(name).read_text(encoding="utf-8"), library)
    # The last one of a name counts: never that of another inventory.
    print(json.dumps([*more, *found]))


def _file(text: str, library: Any) -> list[tuple[str, str]]:
    if text.startswith(HEADER):
        text = library.decrypt(text.encode()).decode()
        return list(_texts("", yaml.safe_load(text), everything=True))
    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!vault", lambda _, node: _Vaulted(library.decrypt(node.value.encode()).decode()))
    loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    return list(_texts("", yaml.load(text, Loader=loader), everything=False))  # noqa: S506  (a SafeLoader)


class _Vaulted(str):
    """A single `!vault` value."""

    __slots__ = ()


def _texts(name: str, value: Any, *, everything: bool) -> Iterator[tuple[str, str]]:
    """Secret values below `value`. Booleans and null are not secrets: redacting them would redact every yes."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts(f"{name}.{key}".lstrip("."), item, everything=everything)
    plain = everything and isinstance(value, str | int | float | datetime.date) and not isinstance(value, bool)
    if plain or isinstance(value, _Vaulted):
        yield name, str(value)


if __name__ == "__main__":
    main()
