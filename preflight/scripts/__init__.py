"""Database scripts as text: the manifest, what psql reads of them, the line that runs them, the way back. Pure."""
