"""The built-in checks: one readiness question per file, found by scanning this folder."""
