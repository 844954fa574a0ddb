"""What an instance may be told by a file: the settings of settings.schema.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastjsonschema

from arcade.errors import SettingsError

SCHEMA = Path(__file__).with_name("settings.schema.json")


@dataclass(frozen=True)
class Tunables:
    """The settings in force. The schema has their meaning, their range and their defaults."""

    workers: int
    max_waiting: int
    handler_memory_mib: int
    log_level: str


def read_tunables(path: Path | None) -> Tunables:
    """The settings of the JSON file `path`, or the defaults. Raises SettingsError that names the setting."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    given = _given(path)
    try:
        # It fills in the defaults. For JSON, 2.0 is a whole number.
        settings: dict[str, Any] = fastjsonschema.validate(schema, given, use_formats=False)
        whole: dict[str, Any] = {name: int(value) for name, value in settings.items() if isinstance(value, float)}
        return Tunables(**settings | whole)
    except fastjsonschema.JsonSchemaValueException as error:
        said = str(error.message).removeprefix("data.").removeprefix("data ")
        raise SettingsError(f"the settings file {path}: {said}") from error


def _given(path: Path | None) -> Any:
    if path is None or not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
