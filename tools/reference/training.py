"""The keys of training.yml, as Markdown."""

from opsbook.training.plan_file import Member, TrainingRole
from tools.reference.keys import keys, yaml_example

_HEAD = """\
The file `training.yml` at the root of a project is its [training plan](../training-plan.md). It has two keys, and no
other is allowed: `roles` (what each role needs) and `people` (who has which role).

## Of a role
"""

_MEMBER = "## Of a person\n\nThe name is the user name: the part before the @ of an operator.\n"


def body() -> str:
    return "\n".join([_HEAD, keys(TrainingRole, yaml_example, "###"), _MEMBER, keys(Member, yaml_example, "###")])
