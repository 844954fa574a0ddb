"""What an environment says, against schemas: settings of services, variables of Ansible, and its own settings.

[services.NAME] of opsbook.toml names the schema of a service. Variables that begin with NAME_ are settings of it: those
of roles, of group_vars and of host_vars, in the order in which Ansible reads them, and of the inventory. [schemas]
names one for other variables, and one for `settings` in environment.yml.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.environment import Environment
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
    """A sentence for each wrong variable of an environment: file, key, and what is expected. Templates are not judged.

    Raises InputError for a schema that cannot be read.
    """
    services = settings.services.items()
    read = [_schema(settings, f"services.{name}.settings", each.settings, f"{name}_") for name, each in services]
    read.append(_schema(settings, "schemas.variables", settings.schemas.variables))
    # A variable belongs to the service with the longest name that it begins with.
    wanted = sorted(filter(None, read), key=lambda each: -len(each.prefix))
    found = [*variable_files(settings, environment), *_hosts(settings, environment)] if wanted else ()
    return [f"{path.relative_to(settings.content)}: {said}" for path in found for said in _of_file(path, wanted)]


def own_problems(settings: Settings, environment: Environment) -> list[str]:
    """The same for `settings` of its environment.yml, one for each key."""
    schema = _schema(settings, "schemas.settings", settings.schemas.settings)
    if schema is None:
        return []
    known = schema.properties
    place = f"{environment.name}/environment.yml: settings"
    unknown = (
        f"{place}: there is no {name}. {nearest(name, known)}"
        for name in environment.policy.settings
        if name not in known
    )
    wrong = (
        (name, _misfit(schema, name, value)) for name, value in environment.policy.settings.items() if name in known
    )
    return [*map(str.rstrip, unknown), *(f"{place}.{name}{said}" for name, said in wrong if said)]


def check(settings: Settings, environment: Environment) -> None:
    """Raises InputError with every wrong setting of an environment."""
    if found := [*own_problems(settings, environment), *problems(settings, environment.name)]:
        raise InputError(found, "Nothing ran. Correct the files; opsbook env validate says when they are right.")


def variable_files(settings: Settings, environment: str) -> list[Path]:
    """The files with variables of the playbooks' roles, of all environments and of this one."""
    folders = [settings.playbooks, settings.inventories / environment]
    places = [place for part in ("defaults", "vars") for place in sorted(settings.playbooks.glob(f"roles/*/{part}"))]
    places += [folder / part for part in ("group_vars", "host_vars") for folder in folders]
    found = [path for place in places for path in sorted(place.rglob("*"))]
    return [path for path in found if path.suffix in (".yml", ".yaml", ".json") and path.is_file()]


def _hosts(settings: Settings, environment: str) -> list[Path]:
    """The inventory of an environment in our own folder, with variables of groups and hosts."""
    return [path for path in [settings.inventories / environment / "hosts.yml"] if path.is_file()]


@dataclass(frozen=True)
class _Schema:
    """A schema, and what it says of each name; `prefix` begins the names of a service's variables."""

    prefix: str
    whole: Mapping[str, Any]
    properties: Mapping[str, Mapping[str, Any]]


def _schema(settings: Settings, key: str, named: str | None, prefix: str = "") -> _Schema | None:
    """The schema that this key of opsbook.toml names; None if it names none."""
    if named is None:
        return None
    try:
        found = json.loads(files.read_text(settings.content / named, within=settings.content))
        properties = {f"{prefix}{name}": dict(each) for name, each in found["properties"].items()}
        whole = {"definitions": found.get("definitions", {}), "$defs": found.get("$defs", {})}
        return _Schema(prefix, whole, properties)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"opsbook.toml: {key}: {named} is no JSON schema with properties: {error}."
        raise InputError(said, "Name a schema.") from error


def _of_file(path: Path, schemas: Sequence[_Schema]) -> Iterator[str]:
    try:
        content = yaml_files.read(path)
    except InputError:
        return  # `env validate` says so, and Ansible.
    for name, value in _of_inventory(content) if path.name == "hosts.yml" else _pairs(content):
        schema = next((each for each in schemas if name.startswith(each.prefix)), None)
        # What has its value only when Ansible runs is judged then, by what writes the settings.
        if schema is None or _is_open(value):
            continue
        if name in schema.properties:
            if said := _misfit(schema, name, value):
                yield f"{name}{said}"
        elif schema.prefix:
            known = schema.properties
            yield f"{name}: {schema.prefix[:-1]} has no such setting. {nearest(name, known)}".rstrip()


def _of_inventory(content: Any) -> Iterator[tuple[str, Any]]:
    """The variables of an inventory's groups and hosts, from the top."""
    for _, group in _pairs(content):
        if isinstance(group, dict):
            yield from _pairs(group.get("vars"))
            for _, host in _pairs(group.get("hosts")):
                yield from _pairs(host)
            yield from _of_inventory(group.get("children"))


def _pairs(content: Any) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in content.items()] if isinstance(content, dict) else []


def _is_open(value: Any) -> bool:
    """Whether it is a template, vaulted, or has one of these in it: the reader of files makes None of a value with a
    tag of Ansible's.
    """
    if isinstance(value, dict | list):
        return any(map(_is_open, value.values() if isinstance(value, dict) else value))
    return value is None or (isinstance(value, str) and ("{{" in value or "{%" in value))


def _misfit(schema: _Schema, name: str, value: Any) -> str:
    """What is wrong with a value, with where in it that is, to be written after its name; empty if nothing is."""
    import fastjsonschema

    own = schema.properties[name]
    if isinstance(value, float) and own.get("type") == "integer":
        return _but(value, own)  # JSON takes 2.0 for a whole number; who writes it meant something else.
    try:
        whole = {**schema.whole, **own}
        fastjsonschema.compile(whole, handlers=_NOT_FETCHED, use_default=False, use_formats=False)(value)
    except fastjsonschema.JsonSchemaValueException as error:
        place = "".join(f".{each}" for each in error.path[1:])
        wanted = error.definition if isinstance(error.definition, dict) else {}
        if error.rule == "additionalProperties":
            known = wanted["properties"]
            extra = next(each for each in error.value if each not in known)
            return f"{place}: there is no {extra}. {nearest(str(extra), known)}".rstrip()
        if error.rule == "required":
            lacking = ", ".join(each for each in wanted["required"] if each not in error.value)
            return f"{place}: {lacking} is missing."
        return place + _but(error.value, wanted)
    except Exception as error:
        # A wrong pattern, a reference to nowhere: the library raises whatever it meets.
        said = (
            f"{schema.prefix[:-1] or 'opsbook.toml'}: the schema says nothing that can be checked of {name}: {error}."
        )
        raise InputError(said, "Correct the schema.") from error
    return ""


def _but(value: Any, wanted: Mapping[str, Any]) -> str:
    return f": {one_line(repr(value), _SHOWN)}, but it is {_expected(wanted)}."


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
