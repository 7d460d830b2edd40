"""What a release plan may say, as frozen dataclasses. `preflight.plan.merged` makes one table of the plan's TOML files,
`preflight.plan.load` reads and validates it.

The field's annotation is the rule the loader enforces: a `timedelta` is written as `"30min"`, a `datetime` as a local
time in the window's zone, a `Path` is relative to the plan's folder, a `RemotePath` is absolute on a host,
`Annotated[str, Ref("hosts")]` must name an entry of `[hosts]`, and a limit such as `Between` is kept to. What several
values must say together is in `preflight.plan.rules`. Docstrings under fields become the plan reference."""

from preflight.plan.agreements import (
    Attest,
    Decision,
    Freshness,
    Rule,
    Said,
    SaidPath,
    SaidUntil,
    Step,
    Tested,
    Undo,
    Waiver,
)
from preflight.plan.applications import Application, Endpoint
from preflight.plan.freeze import Freeze
from preflight.plan.release_plan import Plan, Release, Role, Window, Without
from preflight.plan.targets import (
    Backup,
    Become,
    Database,
    Host,
    RehearsalServer,
    Rehearsing,
    Restore,
    Rollback,
    RollbackFile,
    Scripts,
)
from preflight.plan.values import (
    Account,
    BackupFormat,
    BackupMethod,
    Bytes,
    Connect,
    Content,
    DecisionKind,
    EntryId,
    HostRef,
    LoginUse,
    Name,
    RemotePath,
    RoleRef,
    SecretRef,
    ServerRole,
    Sha256,
    SslMode,
    TestResult,
    UndoKind,
)

__all__ = [
    "Account", "Application", "Attest", "Backup", "BackupFormat", "BackupMethod", "Become", "Bytes", "Connect",
    "Content", "Database", "Decision", "DecisionKind", "Endpoint", "EntryId", "Freeze", "Freshness", "Host", "HostRef",
    "LoginUse", "Name", "Plan", "RehearsalServer", "Rehearsing", "Release", "RemotePath", "Restore", "Role", "RoleRef",
    "Rollback", "RollbackFile", "Rule", "Said", "SaidPath", "SaidUntil", "Scripts", "SecretRef", "ServerRole", "Sha256",
    "SslMode", "Step", "TestResult", "Tested", "Undo", "UndoKind", "Waiver", "Window", "Without",
]  # fmt: skip
