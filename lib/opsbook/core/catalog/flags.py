"""Feature flags of services, in flagd's format: who owns them, and until when they may stay in the code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from opsbook import files
from opsbook.errors import InputError
from opsbook.settings import Settings


@dataclass(frozen=True)
class Flag:
    """A flag. On the day `expires` it has to be gone from the code."""

    service: str
    name: str
    owner: str
    expires: date


def overdue(settings: Settings, today: date) -> list[Flag]:
    """Flags that should be gone, the oldest first. Raises InputError for a file that does not say owner and day."""
    return sorted((each for each in flags(settings) if each.expires <= today), key=lambda each: each.expires)


def flags(settings: Settings) -> Iterator[Flag]:
    """Every flag of the services that opsbook.toml names. Raises InputError as `overdue`."""
    for service, told in settings.services.items():
        if told.flags is not None:
            for name, flag in _content(settings, service, told.flags).items():
                yield _flag(service, told.flags, name, flag)


def there(settings: Settings, environment: str) -> dict[str, dict[str, Any]]:
    """What an environment says of flags, by service and flag; nothing of a service that has no such file there."""
    found = {}
    for service, told in settings.services.items():
        path = settings.root / (told.flags_in or "").replace("{environment}", environment)
        if told.flags_in and path.is_file():
            try:
                found[service] = dict(json.loads(files.read_text(path))["flags"])
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise InputError(f"{path} is no file of flags: {error}.", "set-flag writes it anew.") from error
    return found


def _content(settings: Settings, service: str, path: str) -> dict[str, Any]:
    try:
        return dict(json.loads(files.read_text(settings.content / path, within=settings.content))["flags"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        said = f"opsbook.toml: services.{service}.flags: {path} is no file of flags: {error}."
        raise InputError(said, "Write it in flagd's format: flags: {NAME: {…}}.") from error


def _flag(service: str, path: str, name: str, flag: Any) -> Flag:
    try:
        return Flag(service, name, str(flag["metadata"]["owner"]), date.fromisoformat(flag["metadata"]["expires"]))
    except (LookupError, TypeError, ValueError) as error:
        said = f"{path}: {name}: its metadata need an owner, and a day on which it expires, such as 2027-05-31."
        raise InputError(said, "A flag that nobody takes away stays for ever.") from error
