"""Asks health endpoints of applications."""
