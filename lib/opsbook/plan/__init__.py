"""Runbook + input -> Plan."""
