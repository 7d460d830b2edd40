"""Until when a login by key holds: the certificate it is made with, and the lines by which sshd accepts it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from preflight.questions.fields import Count
from preflight.record import parse_json, read_record

_EXPIRY = re.compile(r"(?:^|,)expiry-time=(\d{8}(?:\d{4}(?:\d{2})?)?)(z?)(?![^,])")
_AUTHORITY = re.compile(r"(?:^|,)cert-authority(?![^,])")


def fingerprint(blob: bytes) -> str:
    """The form `ssh-keygen -l` prints: `SHA256:` and unpadded base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """A certificate with which a key logs in (OpenSSH's PROTOCOL.certkeys)."""

    key_id: str
    authority: str
    """`SHA256:` fingerprint of the key that signed it."""
    not_before: datetime
    not_after: datetime | None
    """First instant at which it is over; None for never."""
    hop: str = ""
    """The jump host that it opens, where that is none of the plan's."""

    def __str__(self) -> str:
        until = "for ever" if self.not_after is None else f"to {self.not_after:%Y-%m-%d %H:%M} UTC"
        return f"certificate {self.key_id}, valid from {self.not_before:%Y-%m-%d %H:%M} UTC {until}"

    def holds_at(self, moment: datetime) -> bool:
        return self.not_before <= moment and (self.not_after is None or moment < self.not_after)

    @classmethod
    def as_json(cls, certificates: Iterable[Self]) -> str:
        return json.dumps([asdict(each) for each in certificates], default=datetime.isoformat)

    @classmethod
    def in_session(cls, session: Mapping[str, str]) -> tuple[Self, ...]:
        """Those that the way to the host took. Raises Unreadable."""
        return tuple(read_record(cls, value) for value in parse_json(session.get("user_certificates", "[]")))


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A line of a file that sshd reads keys from, as the host prints it."""

    setting: Count
    """Number of the AuthorizedKeysFile that names the file: of several, which is in force depends on Match."""
    file: str
    line: str
    """Options, without quotes and with no values but those of expiry-time; type and key."""


@dataclass(frozen=True, slots=True)
class AuthorizedKey:
    setting: int
    file: str
    fingerprint: str
    until: datetime | None
    """UTC; None without `expiry-time`. Without `Z`, an hour early: a clock change of the server may lie before it."""
    is_authority: bool = False
    """It accepts the certificates that the key has signed, not the key."""


def authorized_keys(lines: Iterable[KeyLine], offset: timedelta) -> tuple[AuthorizedKey, ...]:
    """`offset`: of the server's zone. Broken lines are left out: sshd does not accept them either."""
    found = []
    for each in lines:
        try:
            *before, blob = each.line.split()
            options = before[0].lower() if len(before) > 1 else ""
            mark = fingerprint(base64.b64decode(blob, validate=True))
            ends = [_moment(digits, utc, offset) for digits, utc in _EXPIRY.findall(options)]
        except ValueError:
            continue
        is_authority = _AUTHORITY.search(options) is not None
        found.append(AuthorizedKey(each.setting, each.file, mark, min(ends, default=None), is_authority))
    return tuple(found)


def last_to_end(lines: Iterable[AuthorizedKey]) -> list[AuthorizedKey]:
    """Of each setting that names a file, the line by which a login is accepted longest."""
    by_end = sorted(lines, key=lambda each: each.until or datetime.max.replace(tzinfo=UTC))
    return list({each.setting: each for each in by_end}.values())


def _moment(digits: str, utc: str, offset: timedelta) -> datetime:
    moment = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return moment if utc else moment - offset - timedelta(hours=1)


KEY_LINES = """\
# The configuration of the very sshd that this shell comes from: named by its listener, if not the usual one.
config=/etc/ssh/sshd_config pid=$$
while [ "${pid:-0}" -gt 1 ]; do
  title= stat=
  read -r title <"/proc/$pid/cmdline"
  case $title in *'[listener]'*)
    case $title in *' -f'*) named=${title#* -f}; named=${named# }; config=${named%% *} ;; esac
    break ;;
  esac
  read -r stat <"/proc/$pid/stat"
  stat=${stat##*) ? }; pid=${stat%% *}
done 2>/dev/null
awk -v config="$config" -v home="$HOME" -v user="$account" '
  function settings(file, inside, depth, line, words, last, word, i) {
    while ((getline line < file) > 0) {
      sub(/^[ \\t]+/, "", line); sub(/[ \\t]*=[ \\t]*|[ \\t]+/, " ", line)
      sub(/[ \\t]#.*/, "", line); gsub(/"/, "", line)
      last = split(line, words, " "); word = tolower(words[1])
      if (word == "match") # 0: for all; 2: for this account; 1: perhaps
        inside = tolower(words[2]) == "all" ? 0 : 1 + (last == 3 && tolower(words[2]) == "user" && words[3] == user)
      if (word == "channeltimeout" && inside != 1 && !(inside in timeouts)) timeouts[inside] = substr(line, 16)
      if (word == "include" && depth < 3) for (i = 2; i <= last; i++) include(words[i], inside, depth)
      if (word == "authorizedkeysfile" && (inside || !named)) {
        if (!inside) named = 1
        number++
        for (i = 2; i <= last; i++) keys(words[i])
      }
      if (word == "authorizedkeyscommand" && words[2] != "none") print "key_source=command"
      if (word == "trustedusercakeys" && words[2] != "none") print "key_source=authorities"
    }
    close(file)
  }
  function include(pattern, inside, depth, command, files, last, i) {
    if (pattern !~ /^[]A-Za-z0-9_.,*?\\/[-]+$/) return
    command = "ls -d " (pattern ~ /^\\// ? "" : "/etc/ssh/") pattern " 2>/dev/null"
    while ((command | getline files[last + 1]) > 0) last++
    close(command)
    for (i = 1; i <= last; i++) settings(files[i], inside, depth + 1)
  }
  function keys(file, line, parts, last, i, text) {
    gsub(/%u/, user, file); gsub(/%h/, home, file); gsub(/%%/, "%", file)
    if (file !~ /^\\//) file = home "/" file
    while ((getline line < file) > 0 && ++lines <= 2000) {
      if (line ~ /^[ \\t]*(#|$)/) continue
      gsub(/\\\\"/, "", line)
      last = split(line, parts, "\\"")
      text = parts[1]
      for (i = 2; i <= last; i++) text = text (i % 2 || tolower(parts[i - 1]) ~ /expiry-time=$/ ? parts[i] : "")
      if (match(text, /AAAA[A-Za-z0-9+\\/]+=*/)) print "key=" number " " file " " substr(text, 1, RSTART + RLENGTH - 1)
    }
    close(file)
  }
  BEGIN {
    if ((getline line < config) < 0) print "key_source=unreadable"
    close(config)
    settings(config, 0, 0)
    if (!named) { number++; keys(".ssh/authorized_keys"); keys(".ssh/authorized_keys2") }
    print "timeouts=" (2 in timeouts ? timeouts[2] : timeouts[0])
  }' </dev/null
"""
"""Prints its own lines as `key=`, others as `key_source=`, ChannelTimeout as `timeouts=`; `$account` is set."""
