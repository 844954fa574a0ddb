"""What Ansible's programs are told by environment, in a run and where a project is only looked at."""

from collections.abc import Sequence
from pathlib import Path


def environment(path: str, tools: Path, config: Path | None, vaults: Sequence[str]) -> dict[str, str]:
    """Variables for Ansible: `tools` is the folder of its programs, put before `path`; `config` the ansible.cfg."""
    found = {
        "PATH": f"{tools}:{path}",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
        # A part of an inventory that cannot be read would leave its hosts out.
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
    }
    if config is not None:
        found["ANSIBLE_CONFIG"] = str(config)
    return found | passwords(vaults)


def passwords(vaults: Sequence[str]) -> dict[str, str]:
    """Variables that say where vault passwords are, each as LABEL@PATH, whatever ansible.cfg says."""
    if not vaults:
        return {}
    return {
        "ANSIBLE_VAULT_PASSWORD_FILE": vaults[0].partition("@")[2],
        "ANSIBLE_VAULT_IDENTITY_LIST": ",".join(vaults),
        "ANSIBLE_ASK_VAULT_PASS": "False",
    }


def sources(content: Path, inventory: str | Sequence[str]) -> list[str]:
    """The inventories to name to Ansible, as absolute paths.

    Of an environment's folder only the file: Ansible would read environment.yml in it as an inventory.
    """
    return [str(content / each) for each in ([f"{inventory}/hosts.yml"] if isinstance(inventory, str) else inventory)]
