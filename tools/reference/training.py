"""The keys of training.yml, as Markdown."""

from opsbook.training.training_plan import Member, TrainingRole
from tools.reference.keys import keys, yaml_example

_HEAD = """\
The file `training.yml` is at the root of a project that has a [training plan](../training-plan.md). It has two keys, no
other may be there: `roles`, with what each role needs below its name, and `people`, with who has which.

## Of a role
"""

_MEMBER = "## Of a person\n\nThe name is that of the user, as it stands before the @ of whoever ran something.\n"


def body() -> str:
    return "\n".join([_HEAD, keys(TrainingRole, yaml_example, "###"), _MEMBER, keys(Member, yaml_example, "###")])
