"""Takes secrets out of commands at the far end, before they leave it: a `sed` program for hosts, an expression for SQL.

Nobody can know every program's way of taking a password. What looks like one is masked, rather too much than too
little: a command is shown so that its owner knows it again."""

from __future__ import annotations

MASK = "[redacted]"


_WORDS = (
    r"passw(or)?d|passphrase|pwd|secret|token|credential|bearer|authorization"
    r"|api[_-]?key|access[_-]?key|private[_-]?key"
)
_SHELL_WORD = r"""("[^"]*"|'[^']*'|\\.|[^[:space:]"'\\;|&])*"""

SED_PROGRAM = rf"""s/([A-Za-z0-9_.-]*(pass|{_WORDS})[A-Za-z0-9_.-]*=){_SHELL_WORD}/\1{MASK}/Ig
s/\[redacted\]["'].*/{MASK}/
s/((^|[^A-Za-z]|h)pass|{_WORDS})[[:space:]:"'].*/\1 {MASK}/I
s,://[^@[:space:]]*@,://{MASK}@,g
s/([[:space:]](-u|--user))[[:space:]=]*[^[:space:]:]+:[^[:space:]]+/\1 {MASK}/g
/mysql|maria|mongo|redis|ldap|docker|zip|7z|ftp|smb|xtrabackup/s/([[:space:]]-[pPaw])[[:space:]]*[^-[:space:]][^[:space:]]*/\1{MASK}/g
"""
r"""For `sed -E` of GNU, BusyBox or BSD, whose flag I means any case. In order: the value of NAME=value where the name
speaks of a secret; the rest of the line after such a value that does not end; the rest of the line after such a word
alone (`sshpass -p`, `PASSWORD '...'`); what stands before the `@` of a URL; NAME:PASSWORD after -u; passwords as
-pPASSWORD or -p PASSWORD, for programs that take them."""


def sql_redacted(column: str) -> str:
    """An SQL expression: the text of `column` up to the first word that speaks of a secret, URLs without logins."""
    cut = f"regexp_replace({column}, '({_WORDS}|passfile).*$', '\\1 {MASK}', 'i')"
    return f"regexp_replace({cut}, '://[^@[:space:]]*@', '://{MASK}@', 'g')"
