"""Versions: their folders of artifacts, and the rows that say which of them serves."""
