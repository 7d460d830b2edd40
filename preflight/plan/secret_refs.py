"""Where a secret is found. A plan names the place, never the value; `preflight.sessions.secrets` reads it."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMES = ("env", "file", "command", "prompt")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found: `env:NAME`, `file:PATH`, `command:ARGV` or `prompt`. Holds no value."""

    scheme: str
    argument: str = ""

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Raises ValueError for anything that is no reference; its text never repeats the input, which may well
        be a password that somebody typed into the plan."""
        scheme, _, argument = text.partition(":")
        if scheme not in SCHEMES or (scheme != "prompt" and not argument.strip()):
            raise ValueError(
                "not a secret reference; write env:NAME, file:PATH, command:ARGV or prompt, never the secret itself"
            )
        return cls(scheme, argument.strip())

    def __str__(self) -> str:
        return f"{self.scheme}:{self.argument}" if self.argument else self.scheme
