"""Question text and pure readers, one module per kind of session."""
