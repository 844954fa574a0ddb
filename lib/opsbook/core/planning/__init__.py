"""Request -> Draft -> Plan: environments, parameters, the files a run relies on, and what has changed since."""
