"""What Ansible's programs are told by environment, in a run and where a project is only looked at."""

from pathlib import Path


def environment(path: str, tools: Path, config: Path | None, vault_password_file: str | None) -> dict[str, str]:
    """Variables for Ansible: `tools` is the folder of its programs, put before `path`; `config` the ansible.cfg."""
    found = {
        "PATH": f"{tools}:{path}",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if config is not None:
        found["ANSIBLE_CONFIG"] = str(config)
    if vault_password_file:
        found |= {"ANSIBLE_VAULT_PASSWORD_FILE": vault_password_file, "ANSIBLE_ASK_VAULT_PASS": "False"}
    return found
