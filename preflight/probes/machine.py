"""Which machine answers: the boot that its kernel is in, which no clone and no other machine shares."""

from __future__ import annotations

import re
from dataclasses import dataclass

from preflight.probe import Reply, Unreadable
from preflight.probes.fields import one, read_fields
from preflight.probes.shell import ShellProbe

BOOT = "printf 'boot=%s\\n' \"$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)\"\n"
"""Prints the boot id, empty where the kernel shows none (random(4)). Unlike /etc/machine-id it is never cloned."""

_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class MachineProbe(ShellProbe[str]):
    """The boot id of a host; empty where it shows none."""

    def ask(self) -> str:
        return BOOT

    def read(self, reply: Reply) -> str:
        return read_boot(read_fields(reply.text))


def read_boot(fields: dict[str, list[str]]) -> str:
    """Raises Unreadable for anything but a boot id or nothing."""
    text = one(fields, "boot")
    if text and not _BOOT_ID.fullmatch(text):
        raise Unreadable(f"no boot id: {text[:60]!r}")
    return text
