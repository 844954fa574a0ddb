"""The judge of a check, in Ansible's own process: it sees what Ansible has loaded and finalized, not the text (ADR 28).

What it refuses does not run, and is written to a file: a playbook may ignore the error. Needs ansible-core's own parts
by name; without one of them the check does not start.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from opsbook.core.effects.check_rules import Rules

VARIABLE = "OPSBOOK_JUDGE"
"""Variable with what `setting` returns."""

DYNAMIC = ",".join(f"ansible.builtin.{name}" for name in ("yaml", "ini", "toml", "script", "auto"))
"""Kinds of inventories that are read in a check if the hosts of its plan are from a script or a plugin."""

SETTINGS = {
    "ANSIBLE_CACHE_PLUGIN": "memory",
    "ANSIBLE_INVENTORY_CACHE": "False",
    "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml,ansible.builtin.ini,ansible.builtin.toml",
    "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.minimal",
    "ANSIBLE_LOG_PATH": os.devnull,
}
"""What Ansible would write, or run, before a task begins."""

_NO_FACTS = "/dev/null"
_JUDGED = frozenset({"connection", "shell", "become"})
_LONGEST = 300


def setting(place: Path, content: str, reads: list[str]) -> str:
    """The value of VARIABLE: `place` is the file for what is refused."""
    return json.dumps([str(place), content, reads])


def refused(place: Path) -> list[str]:
    """What was refused, each once."""
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return list(dict.fromkeys(str(json.loads(line)) for line in lines))


class Judge:
    """Refuses, with an error of Ansible that is also written down."""

    def __init__(self, text: str) -> None:
        place, content, reads = json.loads(text)
        self._place = Path(place)
        origins = [str(spec.origin) for name in ("ansible", "ansible_runner") if (spec := find_spec(name))]
        installed = tuple(str(Path(os.path.realpath(each)).parents[1]) for each in origins)
        self.rules = Rules(os.path.realpath(content), installed, frozenset(reads))

    def need(self, why: str, where: Any = None) -> None:
        """Raises AnsibleError if there is a reason why not. `where`: the task."""
        if why:
            self._refuse(f"{where.get_name()}: {why}" if where is not None else why)

    def _refuse(self, why: str) -> NoReturn:
        from ansible.errors import AnsibleError

        line = json.dumps(why[:_LONGEST]).encode() + b"\n"
        # Workers write, too: one write each.
        out = os.open(self._place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(out, line)
        os.close(out)
        raise AnsibleError(f"a check does not run this: {why}")

    # -- what Ansible loads

    def watch_plugins(self) -> None:
        from ansible.plugins.loader import PluginLoader
        from ansible.utils.collection_loader import _collection_finder

        def source(loader: Any, /, *, python_module_name: str, path: str) -> Any:
            name = python_module_name.removeprefix("ansible_collections.").replace(f".plugins.{loader.type}.", ".")
            self.need(self.rules.plugin(loader.type, name, os.path.realpath(path)))
            return load(loader, python_module_name=python_module_name, path=path)

        def package(loader: Any, module: Any) -> None:
            path = getattr(loader, "_source_code_path", None)
            # Most packages of collections are empty.
            if path and Path(path).stat().st_size:
                name = ".".join(loader._fullname.split(".")[1:3])
                self.need(self.rules.plugin("collection", f"{name}.", os.path.realpath(path)))
            execute(loader, module)

        def found(loader: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
            if loader.type == "lookup":
                at = loader.find_plugin_with_context(name, collection_list=named.get("collection_list"))
                if at.resolved and at.plugin_resolved_path:
                    path = os.path.realpath(at.plugin_resolved_path)
                    self.need(self.rules.lookup(at.resolved_fqcn or name, path))
            return get(loader, name, *arguments, **named)

        load, get = PluginLoader._load_module_source, PluginLoader.get_with_context
        PluginLoader._load_module_source, PluginLoader.get_with_context = source, found
        base = _collection_finder._AnsibleCollectionPkgLoaderBase
        execute, base.exec_module = base.exec_module, package

    def watch_options(self) -> None:
        from ansible.plugins import AnsiblePlugin

        def options(plugin: Any, /, *arguments: Any, **named: Any) -> None:
            give(plugin, *arguments, **named)
            if plugin.plugin_type in _JUDGED:
                name = str(plugin._load_name).rpartition(".")[2]
                for why in self.rules.options(plugin.plugin_type, name, plugin._options):
                    self.need(why)

        give = AnsiblePlugin.set_options
        AnsiblePlugin.set_options = options

    # -- what a task does

    def watch_tasks(self) -> None:
        from ansible import constants
        from ansible.executor.task_executor import TaskExecutor

        def handler(executor: Any, templar: Any) -> Any:
            task = executor._task
            for shell in (constants.DEFAULT_EXECUTABLE, executor._play_context.executable):
                self.need(self.rules.shell(str(shell or "")), task)
            if not task.check_mode:
                at = executor._shared_loader_obj.module_loader.find_plugin_with_context(
                    task.action, collection_list=task.collections
                )
                path = os.path.realpath(at.plugin_resolved_path or "")
                self.need(self.rules.real(at.resolved_fqcn or task.action, path, task.args), task)
            return get(executor, templar)

        get = TaskExecutor._get_action_handler_with_module_context
        TaskExecutor._get_action_handler_with_module_context = handler

    def watch_modules(self) -> None:
        from ansible import constants
        from ansible.plugins.action import ActionBase

        def environment(action: Any, raw_environment_out: Any = None) -> Any:
            given: dict[str, Any] = {} if raw_environment_out is None else raw_environment_out
            made = compute(action, given)
            self.need(self.rules.environment(given), action._task)
            return made

        def configure(action: Any, module_name: str, module_args: Any, task_vars: Any) -> Any:
            task = action._task
            for each in constants.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=task_vars):
                self.need(self.rules.interpreter(f"#!{each}"), task)
            arguments = dict(module_args or {})
            built, path = make(action, module_name, self._facts(action, module_name, arguments), task_vars)
            self._module(action, module_name, arguments, (built, os.path.realpath(path)))
            return built, path

        compute, make = ActionBase._compute_environment_string, ActionBase._configure_module
        ActionBase._compute_environment_string, ActionBase._configure_module = environment, configure

    def _facts(self, action: Any, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a module; facts are gathered without those of scripts."""
        if name.rpartition(".")[2] != "setup":
            return arguments
        self.need(self.rules.facts(arguments), action._task)
        subsets = arguments.get("gather_subset") or ["all"]
        wanted = subsets.split(",") if isinstance(subsets, str) else list(subsets)
        return {**arguments, "fact_path": _NO_FACTS, "gather_subset": [*wanted, "!facter", "!ohai"]}

    def _module(self, action: Any, name: str, arguments: dict[str, Any], made: tuple[Any, str]) -> None:
        """A module with its last arguments, before it is sent to the host."""
        task, (built, path) = action._task, made
        known = self.rules.built_in(path, "modules")
        full = f"ansible.builtin.{known}" if known else name
        self.need(self.rules.module(full, path, built.module_style), task)
        self.need(self.rules.interpreter(built.shebang), task)
        self.need(self.rules.arguments(known, arguments), task)
        if not task.check_mode and not self.rules.named(task.action):
            self.need(self.rules.real(full, path, arguments), task)


def install(text: str) -> None:
    """Judge what this process and its workers do; `text` is the value of VARIABLE."""
    judge = Judge(text)
    judge.watch_plugins()
    judge.watch_options()
    judge.watch_tasks()
    judge.watch_modules()
