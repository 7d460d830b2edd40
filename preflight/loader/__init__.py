"""Reads a plan from its TOML file: every section typed, every problem found at once."""

from preflight.loader.load import CheckSettings, FindSettings, load_plan

__all__ = ["CheckSettings", "FindSettings", "load_plan"]
