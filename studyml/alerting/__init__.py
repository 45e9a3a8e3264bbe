"""Alerting: incidents, the messages about them, and their delivery."""
