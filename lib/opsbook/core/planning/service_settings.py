"""What files of variables say of the settings of a service, against the service's own schema.

[services.NAME] of opsbook.toml names the schema. Variables that begin with NAME_ are settings of it: those of roles,
of group_vars and of host_vars, in the order in which Ansible reads them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsbook import files
from opsbook.core.model.text import nearest
from opsbook.core.planning import yaml_files
from opsbook.errors import InputError
from opsbook.settings import Settings

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
    schemas = {name: _schema(settings, name, each.settings) for name, each in settings.services.items()}
    wanted = {name: schema for name, schema in schemas.items() if schema}
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


def _schema(settings: Settings, service: str, named: str | None) -> dict[str, Any]:
    if named is None:
        return {}
    try:
        found = json.loads(files.read_text(settings.content / named, within=settings.content))
        return {f"{service}_{name}": dict(each) for name, each in found["properties"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"opsbook.toml: services.{service}.settings: {named} is no JSON schema with properties: {error}."
        raise InputError(said, "Name the schema of the service's settings.") from error


def _of_file(path: Path, schemas: dict[str, dict[str, Any]]) -> Iterator[str]:
    try:
        content = yaml_files.read(path)
    except InputError:
        return  # `env validate` says so, and Ansible.
    for name, value in content.items() if isinstance(content, dict) else ():
        for service, properties in schemas.items():
            if isinstance(name, str) and name.startswith(f"{service}_") and (said := _wrong(name, value, properties)):
                yield f"{name}: {said}"


def _wrong(name: str, value: Any, properties: dict[str, Any]) -> str:
    if name not in properties:
        return f"{name.partition('_')[0]} has no such setting. {nearest(name, properties)}".rstrip()
    # A template has its value when Ansible runs, and what writes the settings judges it then.
    if (isinstance(value, str) and "{{" in value) or _fits(value, properties[name]):
        return ""
    return f"{value!r}, but it is {_expected(properties[name])}."


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    import fastjsonschema

    try:
        fastjsonschema.compile(schema, use_default=False)(value)
    except fastjsonschema.JsonSchemaValueException:
        return False
    except fastjsonschema.JsonSchemaDefinitionException as error:
        raise InputError(f"The schema of a setting is wrong: {error}.", "Correct it.") from error
    return True


def _expected(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = _TYPES.get(str(schema.get("type")), "something else")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    limit = f" from {low} on" if low is not None else f" up to {high}" if high is not None else ""
    shape = f" like {schema['pattern']}" if "pattern" in schema else ""
    return f"{kind}{limit}{shape}"
