#!/usr/bin/python
"""Ansible module: a role that sees what a PostgreSQL server does."""

from __future__ import annotations

import psycopg
from ansible.module_utils.basic import AnsibleModule
from psycopg import sql

DOCUMENTATION = """
module: postgres_monitor
short_description: Have a role that sees what a PostgreSQL server does, and none of its data
description:
  - New clusters have it from C(postgres_cluster); this is for those from before. It has no password.
  - A server that does not answer is left alone: the monitoring starts without it, too.
options:
  conninfo: {description: How the administrator finds the database., type: str, required: true}
  role: {description: The name of the role., type: str, required: true}
"""

EXAMPLES = """
- name: Have a role that may look at the database
  postgres_monitor:
    conninfo: host=/srv/env/run port=5432 dbname=arcade user=postgres
    role: arcade_monitor
"""

RETURN = """
answers: {description: Whether the server answers., returned: always, type: bool}
"""


def main() -> None:
    arguments = {name: {"type": "str", "required": True} for name in ("conninfo", "role")}
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    role = module.params["role"]
    try:
        with psycopg.connect(module.params["conninfo"], autocommit=True, connect_timeout=5) as connection:
            lacks = not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if lacks and not module.check_mode:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_monitor").format(sql.Identifier(role)))
    except psycopg.OperationalError as error:
        module.exit_json(changed=False, answers=False, msg=(str(error).splitlines() or [""])[0])
    except psycopg.Error as error:
        module.fail_json(msg=f"{role} cannot be made: {error}")
    after = f"CREATE ROLE {role} LOGIN IN ROLE pg_monitor\n" if lacks else ""
    module.exit_json(changed=lacks, answers=True, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
