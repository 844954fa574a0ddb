"""Secrets: the only module that resolves their references. It runs in the runner."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from opsbook.core.model.ansible import passwords
from opsbook.core.model.environment import Policy
from opsbook.core.model.redact import Redactor, mark
from opsbook.core.model.text import one_line
from opsbook.errors import InputError

_WITH = frozenset({"", ".yml", ".yaml", ".json", ".vault", ".ini"})
"""Suffixes of files with variables."""

_LARGEST = 8 * 2**20
"""Bytes of a file with variables; a larger one has something else in it."""

_PATIENCE = 30.0
"""Seconds that a program has to print a secret."""


class Vault:
    """Secret values of one run, by name. `redactor` knows each before it can be printed."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._values: dict[str, str] = {}
        self.short_lived: list[Callable[[], None]] = []
        """What fetches a value again that may have expired."""
        self.closed: frozenset[str] = frozenset()
        """Names of secrets that are not for the page that runs: they are replaced in what it prints, and not given."""

    def add(self, name: str, value: str, *, weak: bool = False) -> None:
        """Keep a value. Raises InputError if it is too short to be redacted safely and is not declared weak."""
        try:
            self.redactor.add(name, value, weak=weak)
        except ValueError as error:
            hint = f"Use a longer one, or name {name} under weak: in environment.yml."
            raise InputError(f"S{str(error)[1:]}.", hint) from error
        self._values[name] = value

    def renew(self) -> None:
        """Fetch short-lived values again. Raises InputError if one is not available any more."""
        for fetch in self.short_lived:
            fetch()

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def restored(self, value: Any) -> Any:
        """A JSON value from the journal, with the marks of secrets replaced by their values."""
        if isinstance(value, str):
            for name, secret in self._values.items():
                if name not in self.closed:
                    value = value.replace(mark(name), secret)
            return value
        if isinstance(value, dict):
            return {self.restored(key): self.restored(item) for key, item in value.items()}
        return [self.restored(item) for item in value] if isinstance(value, list) else value


def load(
    policy: Policy,
    references: Mapping[str, str],
    typed: Mapping[str, str],
    root: Path,
    inventory: Sequence[tuple[str, str]],
    redactor: Redactor,
) -> Vault:
    """Every secret a run may use: the environment's, the parameters', and vaulted values of the inventory.

    `typed` are values a person typed. Raises InputError with everything that is not available.
    """
    vault, known = Vault(redactor), dict(inventory)
    problems = []

    def fetch(name: str, reference: str) -> None:
        value = typed[name] if name in typed else resolve(name, reference, root, known)
        vault.add(name, value, weak=name in policy.weak)

    for name, reference in {**policy.secrets, **references}.items():
        try:
            fetch(name, reference)
        except InputError as error:
            problems.append(error.whole)
        if name not in typed and reference.startswith("exec:"):
            vault.short_lived.append(partial(fetch, name, reference))
    for name, value in inventory:
        try:
            Vault(redactor).add(name, value, weak=name in policy.weak)
        except InputError as error:
            problems.append(f"Vaulted in the inventory: {error.whole}")
    if problems:
        raise InputError(problems, "Nothing ran.")
    return vault


def resolve(name: str, reference: str, root: Path, inventory: Mapping[str, str]) -> str:
    """The value of a reference. Raises InputError, which never shows any of the value."""
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(rest)
        if value is None:
            raise InputError(
                f"Secret {name}: the environment variable {rest} is not set.", f"Export {rest} and try again."
            )
        return value
    if scheme == "vault":
        if rest not in inventory:
            raise InputError(f"Secret {name}: no vaulted variable {rest} in the inventory.", "Check its group_vars.")
        return inventory[rest]
    if scheme == "exec":
        return _printed(name, rest, root)
    try:
        return (root / Path(rest).expanduser()).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(
            f"Secret {name}: {rest} cannot be read: {reason}.", "Check the path and its rights."
        ) from error


def _printed(name: str, line: str, root: Path) -> str:
    """The output of a program, such as a secrets manager. No shell is used; errors never show the output."""
    try:
        words = shlex.split(line) or [line]
        done = subprocess.run(
            words, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE
        )
        value = done.stdout.decode().rstrip("\n")
    except subprocess.TimeoutExpired:
        why = f"it took more than {_PATIENCE:.0f} seconds"
    except OSError as error:
        why = error.strerror or "it cannot be started"
    except (UnicodeDecodeError, ValueError):
        why = "that is no command line, or it prints no text"
    else:
        if done.returncode == 0 and value:
            return value
        why = f"it ended with exit code {done.returncode}" if done.returncode else "it printed nothing"
    program = line.partition(" ")[0]
    raise InputError(f"Secret {name}: {program} gave none: {why}.", f"Run it by hand: {one_line(line, 80)}")


def vaulted(needed: Sequence[Path], others: Sequence[Path], vaults: Sequence[str]) -> list[tuple[str, str]]:
    """Names and decrypted values of the vaulted variables in files; of `others`, in those that open.

    Ansible decrypts them in a separate process, so that its import costs nothing where no vault is used.
    Raises InputError if there is something to decrypt and the password is missing or wrong.
    """
    sources, more = _vaulted(needed), _vaulted(others)
    known = any(Path(each.partition("@")[2]).is_file() for each in vaults)
    if not sources and not (more and known):
        return []
    if not known:
        raise InputError(
            f"{sources[0]} is vaulted, and there is no vault password.",
            'Name its file in opsbook.toml: vault_password_file = "…".',
        )
    paths = [*map(str, sources), "--", *(str(path) for path in more if path not in sources)]
    command = [sys.executable, "-P", "-m", "opsbook.core.engine.vault", *paths]
    told = {**os.environ, **passwords(vaults)}
    # In a folder without an ansible.cfg: what that says of vaults is said already.
    done = subprocess.run(
        command, cwd=os.sep, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        named = ", ".join(dict.fromkeys(path.name for path in sources))
        raise InputError(
            f"The vaulted values of {named} cannot be read: {done.stderr.strip()}", "Check the vault password."
        )
    return [(str(name), str(value)) for name, value in json.loads(done.stdout)]


def _vaulted(read: Sequence[Path]) -> list[Path]:
    """Files with something vaulted, of those that Ansible reads variables from."""
    return [path for path in dict.fromkeys(read) if path.suffix in _WITH and _is_vaulted(path)]


def _is_vaulted(path: Path) -> bool:
    try:
        return path.stat().st_size <= _LARGEST and b"$ANSIBLE_VAULT;" in path.read_bytes()
    except OSError:
        # Ansible cannot read it either.
        return False
