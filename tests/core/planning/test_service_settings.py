"""Wrong settings of a service, in whichever file of variables they are."""

import json

import pytest

from opsbook import settings
from opsbook.core.planning import service_settings
from opsbook.errors import InputError
from tests.support.project import HOSTS, Project

SCHEMA = {
    "type": "object",
    "properties": {
        "workers": {"type": "integer", "minimum": 1, "maximum": 16},
        "ratio": {"type": "number", "minimum": 0},
        "level": {"type": "string", "enum": ["info", "error"]},
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "debug": {"type": "boolean"},
        "hosts": {"type": "array", "items": {"type": "string"}},
    },
}
FILES = (
    "playbooks/group_vars/all.yml",
    "playbooks/host_vars/web-1.yml",
    "playbooks/inventories/dev/group_vars/app.yml",
    "playbooks/inventories/dev/group_vars/app/settings.yml",
    "playbooks/inventories/dev/host_vars/web-1.yml",
    "playbooks/roles/app/defaults/main.yml",
    "playbooks/roles/app/vars/main.yml",
)


@pytest.fixture
def game(project: Project) -> Project:
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    project.write("schema.json", json.dumps(SCHEMA))
    project.write("opsbook.toml", '[services.game]\nsettings = "schema.json"\n')
    return project


def problems(project: Project) -> list[str]:
    return service_settings.problems(settings.load(project.root, given=True), "dev")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("game_workers: 0", "game_workers: 0, but it is a whole number from 1 to 16."),
        ("game_workers: 17", "game_workers: 17, but it is a whole number from 1 to 16."),
        ("game_workers: '4'", "game_workers: '4', but it is a whole number from 1 to 16."),
        ("game_workers: yes", "game_workers: True, but it is a whole number from 1 to 16."),
        ("game_workers: 2.0", "game_workers: 2.0, but it is a whole number from 1 to 16."),
        ("game_ratio: -0.5", "game_ratio: -0.5, but it is a number from 0 on."),
        ("game_level: loud", "game_level: 'loud', but it is one of info, error."),
        ("game_name: A1", "game_name: 'A1', but it is a text like ^[a-z]+$."),
        ("game_debug: 1", "game_debug: 1, but it is true or false."),
        ("game_hosts: a", "game_hosts: 'a', but it is a list."),
        ("game_worker: 4", "game_worker: game has no such setting. Did you mean game_workers?"),
    ],
)
def test_one_sentence_with_file_key_and_expectation(game: Project, line: str, sentence: str) -> None:
    for name in FILES:
        game.write(name, f"---\n{line}\n")
    assert sorted(problems(game)) == sorted(f"{name}: {sentence}" for name in FILES)


def test_what_fits_and_what_is_no_setting(game: Project) -> None:
    game.write(FILES[0], "---\ngame_workers: 4\ngame_hosts: [a]\ngame_level: '{{ other }}'\ngames: 0\n1: 2\n")
    vaulted = "game_name: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
    game.write(FILES[4], f"{vaulted}game_workers: '{{% if many %}}8{{% endif %}}'\ngame_hosts: ['{{{{ one }}}}', 2]\n")
    game.write(FILES[1], "- a list\n")
    game.write(FILES[2], "{")
    game.write("playbooks/inventories/prod/group_vars/app.yml", "game_workers: 0\n")
    assert problems(game) == []


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"properties": 3}', '{"properties": {"workers": 3}}', None])
def test_a_broken_schema_is_one_sentence(game: Project, text: str | None) -> None:
    if text is None:
        (game.root / "schema.json").unlink()
    else:
        game.write("schema.json", text)
    with pytest.raises(InputError, match="services.game.settings: schema.json is no JSON schema"):
        problems(game)


@pytest.mark.parametrize(
    "setting",
    [
        {"type": "whole"},
        {"type": "string", "pattern": "("},
        {"type": "number", "multipleOf": 0},
        {"$ref": "other.json"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#/definitions/nowhere"},
    ],
)
def test_a_schema_that_nothing_can_be_checked_by(game: Project, setting: dict[str, object]) -> None:
    game.write("schema.json", json.dumps({"properties": {"workers": setting}}))
    game.write(FILES[0], "---\ngame_workers: 'a'\n" if "pattern" in setting else "---\ngame_workers: 4\n")
    with pytest.raises(InputError, match="the schema says nothing that can be checked of game_workers"):
        problems(game)


def test_a_part_that_several_settings_share(game: Project) -> None:
    share = {"type": "integer", "maximum": 100}
    game.write(
        "schema.json",
        json.dumps({"definitions": {"share": share}, "properties": {"a": {"$ref": "#/definitions/share"}}}),
    )
    game.write(FILES[0], "---\ngame_a: 101\n")
    assert problems(game) == [f"{FILES[0]}: game_a: 101, but it is a whole number up to 100."]
    game.write(FILES[0], "---\ngame_a: 100\n")
    assert problems(game) == []


def test_variables_of_groups_and_hosts_have_a_schema_too(game: Project) -> None:
    port = {"type": "integer", "minimum": 1024}
    game.write("variables.json", json.dumps({"properties": {"port": port, "words": {"type": "array"}}}))
    game.write("opsbook.toml", '[schemas]\nvariables = "variables.json"\n')
    game.write(FILES[0], "---\nport: 80\nother: 1\nwords: ['{{ one }}']\n")
    hosts = "all:\n  vars: {port: 1}\n  children:\n    web:\n      hosts:\n        a: {port: x}\n        b:\n"
    game.write("playbooks/inventories/dev/hosts.yml", hosts)
    inventory = "playbooks/inventories/dev/hosts.yml"
    assert problems(game) == [
        f"{FILES[0]}: port: 80, but it is a whole number from 1024 on.",
        f"{inventory}: port: 1, but it is a whole number from 1024 on.",
        f"{inventory}: port: 'x', but it is a whole number from 1024 on.",
    ]


def test_a_variable_belongs_to_the_service_with_the_longest_name(game: Project) -> None:
    game.write("other.json", json.dumps({"properties": {"size": {"type": "integer"}}}))
    config = '[services.game]\nsettings = "schema.json"\n[services.game_log]\nsettings = "other.json"\n'
    game.write("opsbook.toml", config)
    game.write(FILES[0], "---\ngame_log_size: 4\ngame_log_sizes: 4\ngame_workers: 4\n")
    assert problems(game) == [f"{FILES[0]}: game_log_sizes: game_log has no such setting. Did you mean game_log_size?"]


def test_a_long_value_is_shortened(game: Project) -> None:
    game.write(FILES[0], f"---\ngame_workers: {'secret ' * 40}\n")
    assert len(problems(game)[0]) < 180


@pytest.mark.slow
def test_where_runs_are_guarded_the_schema_is_part_of_the_tree(game: Project) -> None:
    game.write("playbooks/inventories/dev/environment.yml", "approvals: 1\n")
    game.page("## Steps\n\n### One\n```python\nprint('it ran')\n```\n", "change")
    for workers, code in ((4, 0), (0, 2)):
        game.write("playbooks/group_vars/all.yml", f"---\ngame_workers: {workers}\n")
        done = game.opsbook("plan", "change", "-e", "dev")
        assert done.code == code, done.out + done.err
        assert ("game_workers: 0, but" in done.err) == bool(code)


@pytest.mark.slow
def test_plan_run_and_validate_stop_and_whoever_looks_does_not(game: Project) -> None:
    game.write("playbooks/group_vars/all.yml", "---\ngame_workers: 0\n")
    game.page("## Steps\n\n### One\n```python\nprint('it ran')\n```\n", "change")
    page = game.page("## Steps\n\n### One\n```python\nprint('it ran')\n```\n", "look")
    page.write_text(page.read_text().replace("kind: maintenance", "kind: check"))
    for command in (("plan", "change", "-e", "dev"), ("run", "change", "-e", "dev"), ("env", "validate", "dev")):
        done = game.opsbook(*command)
        assert (done.code, "game_workers: 0, but" in done.out + done.err) == (2, True), done.out + done.err
    assert game.records() == []
    assert "it ran" in game.opsbook("run", "look", "-e", "dev", check=True).out
