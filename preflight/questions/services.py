"""Which services systemd runs on a host."""

from dataclasses import dataclass

from preflight.probe import Reply
from preflight.questions.fields import read_lines
from preflight.questions.shell import ShellProbe

_SERVICES = """\
said=
list='systemctl list-units --type=service --state=running --full --plain --no-legend --no-pager'
if ! command -v systemctl >/dev/null 2>&1; then said='systemctl is not there'
elif text=$($list 2>&1); then printf '%s\\n' "$text" | sed -n 's/^ *\\([^ ]*[.]service\\) .*/running=\\1/p'
else said=$(printf '%s\\n' "$text" | head -n 1 | cut -c 1-200)
fi
printf 'said=%s\\nend=yes\\n' "$said\""""


@dataclass(frozen=True, slots=True)
class Services:
    running: tuple[str, ...] = ()
    """Units: `shop.service`."""
    said: str = ""
    """Why nobody can tell."""


class ServicesProbe(ShellProbe[Services]):
    """Of the system's own systemd; starts nothing."""

    text = _SERVICES

    def read(self, reply: Reply) -> Services:
        return read_lines(Services, reply)
