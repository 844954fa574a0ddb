"""What files of variables say of the settings of a service, against the service's own schema.

[services.NAME] of opsbook.toml names the schema. Variables that begin with NAME_ are settings of it: those of roles,
of group_vars and of host_vars, in the order in which Ansible reads them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.text import nearest, one_line
from opsbook.core.planning import yaml_files
from opsbook.errors import InputError
from opsbook.settings import Settings

_SHOWN = 60
"""Characters of a wrong value that are shown."""

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def problems(settings: Settings, environment: str) -> list[str]:
    """A sentence for each wrong setting of an environment: file, key, and what is expected. Templates are not judged.

    Raises InputError for a schema that cannot be read.
    """
    read = (_schema(settings, name, each.settings) for name, each in settings.services.items())
    # A variable belongs to the service with the longest name that it begins with.
    wanted = sorted(filter(None, read), key=lambda each: -len(each.service))
    found = variable_files(settings, environment) if wanted else ()
    return [f"{path.relative_to(settings.content)}: {said}" for path in found for said in _of_file(path, wanted)]


def check(settings: Settings, environment: str) -> None:
    """Raises InputError with every wrong setting of an environment."""
    if found := problems(settings, environment):
        raise InputError(found, "Nothing ran. Correct the files; opsbook env validate says when they are right.")


def variable_files(settings: Settings, environment: str) -> list[Path]:
    """The files with variables of the playbooks' roles, of all environments and of this one."""
    folders = [settings.playbooks, settings.inventories / environment]
    places = [place for part in ("defaults", "vars") for place in sorted(settings.playbooks.glob(f"roles/*/{part}"))]
    places += [folder / part for part in ("group_vars", "host_vars") for folder in folders]
    found = [path for place in places for path in sorted(place.rglob("*"))]
    return [path for path in found if path.suffix in (".yml", ".yaml", ".json") and path.is_file()]


@dataclass(frozen=True)
class _Schema:
    """The schema of a service, and its settings by the names of their variables."""

    service: str
    whole: Mapping[str, Any]
    properties: Mapping[str, Mapping[str, Any]]


def _schema(settings: Settings, service: str, named: str | None) -> _Schema | None:
    if named is None:
        return None
    try:
        found = json.loads(files.read_text(settings.content / named, within=settings.content))
        properties = {f"{service}_{name}": dict(each) for name, each in found["properties"].items()}
        return _Schema(
            service, {"definitions": found.get("definitions", {}), "$defs": found.get("$defs", {})}, properties
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"opsbook.toml: services.{service}.settings: {named} is no JSON schema with properties: {error}."
        raise InputError(said, "Name the schema of the service's settings.") from error


def _of_file(path: Path, schemas: Sequence[_Schema]) -> Iterator[str]:
    try:
        content = yaml_files.read(path)
    except InputError:
        return  # `env validate` says so, and Ansible.
    for name, value in content.items() if isinstance(content, dict) else ():
        schema = next((each for each in schemas if str(name).startswith(f"{each.service}_")), None)
        if schema and (said := _wrong(str(name), value, schema)):
            yield f"{name}: {said}"


def _wrong(name: str, value: Any, schema: _Schema) -> str:
    if name not in schema.properties:
        return f"{schema.service} has no such setting. {nearest(name, schema.properties)}".rstrip()
    # What has its value only when Ansible runs is judged then, by what writes the settings.
    if _is_open(value) or _fits(name, value, schema):
        return ""
    return f"{one_line(repr(value), _SHOWN)}, but it is {_expected(schema.properties[name])}."


def _is_open(value: Any) -> bool:
    """Whether it is a template, vaulted, or has one of these in it: the reader of files makes None of a value with a
    tag of Ansible's.
    """
    if isinstance(value, dict | list):
        return any(map(_is_open, value.values() if isinstance(value, dict) else value))
    return value is None or (isinstance(value, str) and ("{{" in value or "{%" in value))


def _fits(name: str, value: Any, schema: _Schema) -> bool:
    import fastjsonschema

    if isinstance(value, float) and schema.properties[name].get("type") == "integer":
        return False  # JSON takes 2.0 for a whole number; who writes it meant something else.
    try:
        whole = {**schema.whole, **schema.properties[name]}
        fastjsonschema.compile(whole, handlers=_NOT_FETCHED, use_default=False, use_formats=False)(value)
    except fastjsonschema.JsonSchemaValueException:
        return False
    except Exception as error:
        # A wrong pattern, a reference to nowhere: the library raises whatever it meets.
        said = f"{schema.service}: the schema says nothing that can be checked of {name}: {error}."
        raise InputError(said, "Correct the schema.") from error
    return True


def _not_fetched(address: str) -> Any:
    raise ValueError(f"{address} is not read: a schema is one file")


_NOT_FETCHED = dict.fromkeys(("http", "https", "ftp", "file", ""), _not_fetched)


def _expected(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = _TYPES.get(str(schema.get("type")), "what the schema says")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    limit = f" from {low} on" if low is not None else f" up to {high}" if high is not None else ""
    shape = f" like {schema['pattern']}" if "pattern" in schema else ""
    return f"{kind}{limit}{shape}"
