"""The keys of environment.yml and opsbook.toml, as Markdown."""

from opsbook import settings
from opsbook.core.model.environment import Channel, ChoiceRule, Policy, Rotation
from opsbook.shapes import model
from tools.reference.keys import keys, toml_example, yaml_example

_HEAD = """\
## environment.yml

An environment is a folder `playbooks/inventories/NAME` with Ansible's inventory in `hosts.yml` (or an inventory that
`opsbook.toml` names, with `environments/NAME.yml` instead of `environment.yml`), and optionally an
`environment.yml`. No key is required, and no other key is allowed.
"""

_CHANNEL = "## A channel\n\nUnder `channels`, for each name: these keys.\n"

_ROTATION = "## A rotation\n\nUnder `rotation`, for each name of a secret: these keys.\n"

_RULES = "## A rule for choices\n\nUnder `choices`, instead of a list: one of these keys.\n"

_TOML = f"""\
## opsbook.toml

The file `{settings.CONFIG}` is at the root of a project. It may be empty: no key is required, and no other key is
allowed. A dot stands for a table: `retention.keep` is `keep` under `[retention]`.
"""


def body() -> str:
    parts = [_HEAD, keys(Policy, yaml_example, "###")]
    parts += [_CHANNEL, keys(Channel, yaml_example, "###")]
    parts += [_ROTATION, keys(Rotation, yaml_example, "###")]
    parts += [_RULES, keys(ChoiceRule, yaml_example, "###")]
    parts += [_TOML, keys(model(settings._Content), toml_example, "###")]
    return "\n".join(parts)
