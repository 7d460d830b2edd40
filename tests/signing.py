"""SSH keys that sign, and the file of those whose signature counts; by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path


def signing_key(path: Path, passphrase: str = "") -> Path:
    """A new key pair; its private half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path, "-C", ""], check=True)
    return path


def allowed(path: Path, *lines: tuple[str, Path]) -> Path:
    """The file of allowed signers: what stands before the key, and whose key it is."""
    path.write_text("".join(f"{words} {key.with_name(f'{key.name}.pub').read_text()}" for words, key in lines))
    return path
