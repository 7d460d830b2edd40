"""One host of the demo: a folder, an SSH server, and stand-ins for the three commands that ask about accounts.

All hosts share this machine and one OS account, so `id`, `chage` and `sudo` cannot answer for a made-up `dbadmin`.
They are replaced in the host's own `bin` folder. Everything else that runs on a demo host (df, stat, sha256sum, psql,
pg_dump, pg_restore, ...) is the machine's own."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from preflight.demo.ssh_server import Login, SshServer
from preflight.rehearsal.account import Account

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_ID = """\
#!/bin/sh
# Stand-in: the login's name instead of the one account that all demo hosts share.
case "$1" in
    -un|-nu|-run) printf '%s\\n' "$LOGNAME" ;;
    '') PATH={system_path} id | sed "s/^\\(uid=[0-9]*\\)([^)]*)/\\1($LOGNAME)/" ;;
    *) PATH={system_path} exec id "$@" ;;
esac
"""
_CHAGE = """\
#!/bin/sh
# Stand-in: what `chage -i -l ACCOUNT` prints for the demo's login.
cat <<'AGING'
Last password change\t\t\t\t\t: 2026-01-05
Password expires\t\t\t\t\t: never
Password inactive\t\t\t\t\t: never
Account expires\t\t\t\t\t\t: {account_expires}
Minimum number of days between password change\t\t: 0
Maximum number of days between password change\t\t: 99999
Number of days of warning before password expires\t: 7
AGING
"""
_SUDO = """\
#!/bin/sh
# Stand-in: runs (-l: only permits) the command where the demo's rules allow the account; all its hosts share one.
account=root
list=
while [ $# -gt 0 ]; do
    case "$1" in
        -u) account=$2; shift 2 ;;
        -p) shift 2 ;;
        --) shift; break ;;
        -l) list=yes; shift ;;
        -*) shift ;;
        *) break ;;
    esac
done
case " {allowed} " in
    *" $account "*) ;;
    *) echo 'sudo: a password is required' >&2; exit 1 ;;
esac
[ $# -gt 0 ] || exit 0
[ -z "$list" ] || {{ command -v -- "$1"; exit; }}
LOGNAME=$account USER=$account exec "$@"
"""


class DemoHost:
    """A host the plan can name: `root` is its folder, reached by SSH at `server.address` and `server.port`."""

    def __init__(
        self,
        root: Path,
        account: Account,
        login: Login,
        *,
        become: Sequence[str] = (),
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`become`: accounts that sudo allows. `path`: a folder that goes first on the login's PATH after the
        stand-ins. `environment`: what the host's login sets besides the usual."""
        self.root, self.home, self._bin, self._account = root, root / "home", root / "bin", account
        for folder in (root, self.home, self._bin):
            folder.mkdir()
            folder.chmod(0o755)
        account.give(root, self.home)
        self._write("id", _ID.format(system_path=_SYSTEM_PATH))
        self._write("sudo", _SUDO.format(allowed=" ".join(become)))
        if login.key is not None:
            self.put("home/.ssh/authorized_keys", f"{login.key.get_name()} {login.key.get_base64()}\n".encode(), 0o600)
        self.expire_account(None)
        known = {
            "PATH": ":".join([str(self._bin), *([str(path)] if path else []), _SYSTEM_PATH]),
            "HOME": str(self.home),
            "USER": login.user,
            "LOGNAME": login.user,
            "SHELL": "/bin/sh",
        }
        self.server = SshServer(login, account, self.home, {**known, **(environment or {})})

    def expire_account(self, day: date | None) -> None:
        """Sets the day the login's account expires, as chage prints it; None for never."""
        self._write("chage", _CHAGE.format(account_expires=day.isoformat() if day else "never"))

    def folder(self, path: str) -> Path:
        """A folder below the host's root, made with its parents and owned by the host's account."""
        made = self.root
        for name in path.strip("/").split("/"):
            made = made / name
            if not made.exists():
                made.mkdir(mode=0o755)
                self._account.give(made)
        return made

    def put(self, path: str, content: bytes, mode: int = 0o644) -> Path:
        """A file below the host's root, owned by the host's account; its mode holds before its content is there."""
        folder, _, name = path.rpartition("/")
        file = self.folder(folder) / name
        file.touch()
        file.chmod(mode)
        file.write_bytes(content)
        self._account.give(file)
        return file

    def _write(self, command: str, text: str) -> None:
        file = self._bin / command
        file.write_text(text)
        file.chmod(0o755)
