"""Reasoning that two or more checks share. Pure."""
