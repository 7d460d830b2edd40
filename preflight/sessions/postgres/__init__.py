"""Asks databases: one connection each, driven through libpq."""
