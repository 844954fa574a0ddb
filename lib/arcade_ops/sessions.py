"""The sessions of arcade's database: who is there, who waits for whom, and which to end."""

from collections.abc import Iterable, Mapping

_SESSION = "pid || '@' || to_char(backend_start at time zone 'UTC', 'HH24MISS')"
"""A process number alone may belong to somebody else by the time that the session is ended."""

_CLIENTS = """
    from pg_stat_activity
   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""

FIND = f"""-- who is there
  select {_SESSION} as session, usename as role, application_name as application, state,
         array_length(pg_blocking_pids(pid), 1) as waits_for,
         (select count(*) from pg_stat_activity others where pg_stat_activity.pid = any(pg_blocking_pids(others.pid)))
           as makes_wait,
         coalesce(extract(epoch from now() - xact_start), 0)::int as open_seconds,
         left(regexp_replace(query, '\\s+', ' ', 'g'), 80) as query
  {_CLIENTS}
   order by makes_wait desc, open_seconds desc, session
"""  # noqa: S608 - only text of this file is in it
"""Each session but one's own. `waits_for` and `makes_wait` are how many; `open_seconds` is the age of a transaction."""

ROOM = """-- how many there are
  select count(*)::int as used, current_setting('max_connections')::int as room
    from pg_stat_activity where backend_type = 'client backend'
"""
"""How many sessions there are, of all databases, and how many there can be."""

WAITS = f"""-- who waits for 5 seconds
  select count(*) {_CLIENTS}
     and cardinality(pg_blocking_pids(pid)) > 0 and now() - state_change > interval '5 seconds'
"""
"""How many have waited for another session for 5 seconds or more."""

END = f"""-- end these
  select {_SESSION} as session, application_name as application, pg_terminate_backend(pid) as ended
  {_CLIENTS}
     and {_SESSION} = any(%(sessions)s)
"""
"""Have those with these names end. `ended` says whether the server could tell them to; they are gone soon after."""


def named(given: str, seen: Iterable[Mapping[str, object]]) -> list[str]:
    """The sessions in a text with commas. Raises ValueError for one that was not seen."""
    known = {str(each["session"]) for each in seen}
    wanted = [word for each in given.split(",") if (word := each.strip())]
    if unknown := [each for each in wanted if each not in known]:
        raise ValueError(f"{', '.join(unknown)} is none of the sessions above")
    return wanted
