"""The root of our own exceptions. Trouble in the outside world is data (`NoReply`), not an exception."""


class PreflightError(Exception):
    """Something a person can mend; printed without a traceback."""


class SecretError(PreflightError):
    """A secret reference that yields no value. The text names the reference, never a value."""
