"""Which machine answers: the boot that its kernel is in, which no clone and no other machine shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from preflight.plan.limits import Matches
from preflight.probe import Reply
from preflight.probes.fields import read_lines
from preflight.probes.shell import ShellProbe

BOOT = "printf 'boot=%s\\n' \"$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)\"\n"
"""Prints the boot id, empty where the kernel shows none (random(4)). Unlike /etc/machine-id it is never cloned."""

BootId = Annotated[str, Matches(r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?", "a boot id, or nothing")]


@dataclass(frozen=True, slots=True)
class _Told:
    boot: BootId


@dataclass(frozen=True)
class MachineProbe(ShellProbe[str]):
    """The boot id of a host; empty where it shows none."""

    def ask(self) -> str:
        return BOOT

    def read(self, reply: Reply) -> str:
        return read_lines(_Told, reply).boot
