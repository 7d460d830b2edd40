"""The embedded site that `preflight demo` runs against."""
