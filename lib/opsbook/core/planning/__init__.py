"""Request -> Draft -> Plan: environments, parameters, what a run relies on, and what has changed since."""
