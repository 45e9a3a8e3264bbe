"""Reporting: what people look at beside a version."""
