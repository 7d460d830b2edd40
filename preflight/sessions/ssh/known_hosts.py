"""Which host keys are trusted: the known_hosts format of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

paramiko's own reader gives up a whole file at the first `@cert-authority`, `@revoked` or damaged line, knows no
wildcards and pins one key per type, so it is not used. A line this reader cannot use is skipped, as OpenSSH does."""

import base64
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Self

from preflight.plan.values import SSH_PORT
from preflight.questions.authorized_keys import fingerprint

_LARGEST_FILE_BYTES = 16 * 1024 * 1024
_KEY_TYPES = frozenset({"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"})
_REVOKED, _CERT_AUTHORITY = "@revoked", "@cert-authority"
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as it goes over the wire."""

    type: str
    blob: bytes

    @classmethod
    def parse(cls, key_type: str, text: str) -> Self | None:
        """The key in the two fields of a known_hosts or `.pub` line; None when they are damaged or disagree."""
        try:
            blob = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length] != key_type.encode("utf-8", "replace") or len(blob) <= 4 + length:
            return None
        return cls(key_type, blob)

    @property
    def base64(self) -> str:
        return base64.b64encode(self.blob).decode("ascii")

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


@dataclass(frozen=True, slots=True)
class HostKeySeen:
    """The host key a server showed; `preflight seal` pins it once a person has agreed."""

    key: PublicKey
    address: str
    """The name it is to be pinned under; with ssh_config, that may be another than the plan's."""
    port: int
    alias: str


class KeyStatus(Enum):
    """What known_hosts says of the key a server shows."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    """No key of this type is pinned for the host."""
    CHANGED = "changed"
    """Another key of the same type is pinned."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What the files say of one host."""

    keys: frozenset[PublicKey] = frozenset()
    without_port: frozenset[PublicKey] = frozenset()
    """Keys under the plain name, for a host on another port than 22: they may confirm a key, never contradict one."""
    revoked: frozenset[PublicKey] = frozenset()
    cert_authority: bool = False
    """A certificate authority is trusted for this host."""

    def status(self, key: PublicKey) -> KeyStatus:
        if key in self.revoked:
            return KeyStatus.REVOKED
        if key in self.keys or key in self.without_port:
            return KeyStatus.TRUSTED
        if any(pinned.type == key.type for pinned in self.keys):
            return KeyStatus.CHANGED
        return KeyStatus.UNKNOWN

    @property
    def only_cert_authority(self) -> bool:
        return self.cert_authority and not self.keys and not self.without_port

    def ordered(self, algorithms: Sequence[str]) -> tuple[str, ...]:
        """`algorithms` (host key algorithms of a key exchange), those of pinned keys first: else a server with
        several keys shows one that is not pinned."""
        pinned = {key.type for key in self.keys | self.without_port}
        wanted = pinned | (set(_RSA_SIGNATURES) if "ssh-rsa" in pinned else set())
        return tuple(sorted(algorithms, key=lambda name: name not in wanted))


@dataclass(frozen=True, slots=True)
class _Line:
    marker: str
    """`@revoked`, `@cert-authority`, or empty."""
    names: str
    """The first field: a hashed name, or a comma list of patterns."""
    key: PublicKey


class HostKeys:
    """The usable lines of several known_hosts files, read once, found by name."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """Never fails: a missing file pins nothing, an unreadable one is remembered in `unreadable`."""
        self.unreadable: tuple[str, ...] = ()
        """Files that exist and cannot be read, with the reason, for the report."""
        self._plain: dict[str, list[_Line]] = {}
        self._hashed: list[tuple[bytes, bytes, _Line]] = []
        self._patterns: list[_Line] = []
        for path in files:
            try:
                with path.expanduser().open("rb") as opened:
                    content = opened.read(_LARGEST_FILE_BYTES)
            except FileNotFoundError:
                continue
            except (OSError, RuntimeError) as error:  # RuntimeError: `~` of an account without a home directory
                self.unreadable += (f"{path}: {getattr(error, 'strerror', None) or error}",)
                continue
            for line in map(_parse_line, content.decode("utf-8", "replace").splitlines()):
                if line is not None:
                    self._add(line)

    def lookup(self, address: str, port: int = SSH_PORT, alias: str = "") -> KnownKeys:
        """What is pinned for a host. An `alias` (HostKeyAlias) replaces address and port."""
        name = _entry_name(address, port, alias)
        found = self._covering(name)
        plain = address.lower()
        also = self._covering(plain) if plain != name and not alias else []
        return KnownKeys(
            keys=_keys(found, ""),
            without_port=_keys(also, ""),
            revoked=_keys(found, _REVOKED) | _keys(also, _REVOKED),
            cert_authority=bool(_keys(found, _CERT_AUTHORITY) or _keys(also, _CERT_AUTHORITY)),
        )

    def _add(self, line: _Line) -> None:
        """Under each of its names; hashes, and lists in which a name alone does not decide, are looked through."""
        if line.names.startswith("|"):
            hashed = _parse_hash(line.names)
            self._hashed += [(*hashed, line)] if hashed is not None else []
        elif any(sign in line.names for sign in "*?!"):
            self._patterns.append(line)
        else:
            for name in line.names.lower().split(","):
                self._plain.setdefault(name, []).append(line)

    def _covering(self, name: str) -> list[_Line]:
        encoded = name.encode("utf-8", "replace")
        digests = ((hmac.digest(salt, encoded, "sha1"), digest, line) for salt, digest, line in self._hashed)
        hashed = [line for own, digest, line in digests if hmac.compare_digest(own, digest)]
        patterns = [line for line in self._patterns if _patterns_match(name, line.names.lower())]
        return self._plain.get(name, []) + hashed + patterns


def format_line(address: str, port: int, key: PublicKey, alias: str = "") -> str:
    """The known_hosts line that pins `key`, without a line feed."""
    return f"{_entry_name(address, port, alias)} {key.type} {key.base64}"


def _entry_name(address: str, port: int, alias: str) -> str:
    if alias:
        return alias.lower()
    return address.lower() if port == SSH_PORT else f"[{address.lower()}]:{port}"


def _keys(lines: Iterable[_Line], marker: str) -> frozenset[PublicKey]:
    return frozenset(line.key for line in lines if line.marker == marker)


def _parse_line(line: str) -> _Line | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0] in (_REVOKED, _CERT_AUTHORITY) else ""
    if len(fields) < 3 or fields[0].startswith(("#", "@")) or fields[1] not in _KEY_TYPES:
        return None
    key = PublicKey.parse(fields[1], fields[2])
    return None if key is None else _Line(marker, fields[0], key)


def _parse_hash(names: str) -> tuple[bytes, bytes] | None:
    """Salt and digest of `|1|salt|digest`: HMAC-SHA1 of the name, keyed with the salt."""
    parts = names.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except ValueError:
        return None


def _patterns_match(name: str, patterns: str) -> bool:
    """A comma list; one matching `!pattern` rules the whole line out."""
    matching = [each for each in patterns.split(",") if _pattern(each.removeprefix("!")).match(name)]
    return bool(matching) and not any(each.startswith("!") for each in matching)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Only `*` and `?` are special; `[` begins a `[host]:port`, not a set of characters."""
    return re.compile(translate(pattern.replace("[", "[[]")))
