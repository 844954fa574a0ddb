"""The use cases. Only what is in here sees every stage; the edges (cli, web) call it and print.

A run, in order: read the runbook, load the environment, bind the parameters, resolve secrets, check that
every known question can be answered; only then is there a record; then the lock, then the engine, then
the seal. What is refused before the record exists leaves nothing behind.
"""
