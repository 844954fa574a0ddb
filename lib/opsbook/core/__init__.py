"""How a page becomes a record. The rooms in here, from the top: trust, planning, engine, effects, locks, record,
catalog, rules, source, model; none knows one above it.
"""
