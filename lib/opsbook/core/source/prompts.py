"""Prompts of a playbook, and whether a call answers them. `playbook_prompts.py` finds them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from opsbook.core.source.names import Call

PASSWORDS = {
    "become": frozenset({"ansible_become_password", "ansible_become_pass"}),
    "connection": frozenset({"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}),
    "vault": frozenset[str](),
}
"""Passwords that Ansible may ask for, and the variables that answer."""


@dataclass(frozen=True)
class Prompt:
    """A prompt of a playbook, and its place. `sure`: no condition can skip it.

    `kind` is a `variable`, a `pause`, a `password`, or `vaulted`: a file that needs a vault password.
    """

    kind: str
    name: str
    place: str
    sure: bool = True

    def __str__(self) -> str:
        return _SAID[self.kind].format(name=self.name, place=self.place)


_SAID = {
    "variable": "{place} asks for the variable {name}",
    "pause": "{place} asks for an answer in the task {name}",
    "password": "{place} makes Ansible ask for the {name} password",
    "vaulted": "{place} is vaulted, and there is no vault password",
}

WAYS_OUT = {
    "variable": 'pass it, vars={"NAME": …}',
    "pause": 'ask in the page, confirm("…"), before the playbook; a pause that only waits says seconds',
    "become": 'pass it, vars={"ansible_become_password": …}, as a secret',
    "connection": 'pass it, vars={"ansible_password": …}, as a secret',
    "vault": 'name its file in opsbook.toml, vault_password_file = "…"',
    "vaulted": 'name the password\'s file in opsbook.toml, vault_password_file = "…"',
}


def way_out(prompt: Prompt) -> str:
    """How to answer or avoid the prompt."""
    key = prompt.name if prompt.kind == "password" else prompt.kind
    return WAYS_OUT[key].replace("NAME", prompt.name)


def unanswered(call: Call, prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """Prompts of a playbook that this call does not answer, as far as its vars= is literal."""
    given = call.keys("vars")
    some = call.argument("tags") is not None
    for prompt in prompts:
        answers = {prompt.name} if prompt.kind == "variable" else PASSWORDS.get(prompt.name, frozenset())
        if prompt.kind in ("variable", "password") and answers and (given is None or answers & given):
            continue
        yield replace(prompt, sure=prompt.sure and not (some and prompt.kind == "pause"))
