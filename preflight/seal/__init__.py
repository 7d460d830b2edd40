"""What `preflight seal` writes beside the plan, for later runs to compare with: the hashes of approved scripts, the
host keys that a person has confirmed, at which server each database is, and its schema; and what `preflight confirm`
and `decide` write there: what people said. A key that is pinned is never replaced, and neither is a server: whoever is
asked at midnight whether to trust another one says yes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from preflight.clock import Deadline
from preflight.errors import RefusedError
from preflight.evidence import Evidence, write_private
from preflight.judging.cures import cure_of, system_grant
from preflight.plan import Plan, Scripts
from preflight.plan.confirmed import Confirmation, Decided, format_confirmed, read_confirmed
from preflight.plan.gaps import sealed_signers
from preflight.plan.manifest import ManifestError, approved_text, format_manifest, name_problem, parse_manifest
from preflight.plan.sealed_servers import SealedServer
from preflight.probe import NoReply, Probe, T, Unreadable
from preflight.questions.files import EntryKind
from preflight.questions.local import Namespace
from preflight.questions.postgres import IdentityProbe, SystemIdentifierProbe, TimelineProbe
from preflight.questions.schema import Schema, SchemaProbe
from preflight.sessions.local.files import Problem, TooMuchToRead, list_tree, sha256
from preflight.sessions.signatures import sign
from preflight.sessions.ssh.known_hosts import HostKeys, HostKeySeen, KeyStatus, PublicKey, format_line
from preflight.wording import visible

_HEADER = "# Host keys pinned by `preflight seal`; take a line away by hand when its host was really rebuilt.\n"
_READ_SECONDS = 60.0
_UNSEALED: Mapping[str, str] = {
    EntryKind.SYMLINK: "a symbolic link cannot be sealed; put the file itself there",
    EntryKind.OTHER: "a special file cannot be sealed",
}


class SealError(RefusedError):
    """What cannot be sealed: every reason, or every host with another key, on a line of its own."""


def write_sealed(path: Path, text: str) -> None:
    """Writes the file, atomically, readable for everybody. Raises SealError; the file is then as it was."""
    try:
        write_private(path, text, 0o644)
    except OSError as error:
        raise SealError(f"{_shown(path)}: not written: {error.strerror or error}") from None


@dataclass(frozen=True, slots=True)
class HostKeyMerge:
    """The known_hosts file as it should become."""

    text: str
    added: tuple[str, ...]
    """Host ids whose key is new in the file."""


def merge_known_hosts(path: Path, seen: Mapping[str, HostKeySeen]) -> HostKeyMerge:
    """The file, which need not exist, with a line for every host whose key is not pinned yet; no line of it is changed
    or lost, and nothing is written. `seen`: the key each host shows, by host id.

    Raises SealError for a key that differs from a pinned one, also one of another type."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SealError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    pinned = HostKeys([path])
    if pinned.unreadable:
        raise SealError("\n".join(pinned.unreadable))
    problems: list[str] = []
    added: dict[str, PublicKey] = {}
    lines: dict[str, str] = {}
    for host, shown in seen.items():
        known, key = pinned.lookup(shown.address, shown.port, shown.alias), shown.key
        line = format_line(shown.address, shown.port, key, shown.alias)
        name = line.split(" ", 1)[0]
        status = known.status(key)
        if status is KeyStatus.REVOKED:
            problems.append(f"{host}: shows {_named(key)}, which {path.name} revokes")
        elif status is KeyStatus.TRUSTED or added.get(name) == key:
            continue
        elif known.keys or name in added:
            places = " and ".join(_named(each, text) for each in sorted(known.keys, key=_named) or [added[name]])
            problems.append(
                f"{host}: shows {_named(key)}, but {path.name} pins {places}; somebody may be in between. Only when "
                "the host's owner confirms the new fingerprint: take the old line away by hand, then seal again"
            )
        else:
            added[name] = key
            lines[host] = f"{line}\n"
    if problems:
        raise SealError("\n".join(problems))
    head = text if text.endswith("\n") or not text else f"{text}\n"
    return HostKeyMerge((head or _HEADER) + "".join(lines.values()), tuple(lines))


def _named(key: PublicKey, text: str = "") -> str:
    """With the lines of `text` that hold it."""
    numbers = [str(number) for number, line in enumerate(text.splitlines(), 1) if key.base64 in line]
    return f"{key.type} {key.fingerprint}" + (f" (line {', '.join(numbers)})" if numbers else "")


@dataclass(frozen=True, slots=True)
class SealedManifest:
    """One manifest, and how it differs from the one before."""

    scripts: Scripts
    files: Mapping[str, str]
    """SHA-256 by path relative to the approved folder."""
    text: str
    """The manifest's own."""
    changes: Mapping[str, Sequence[str]]
    reordered: bool
    """The scripts of the plan's `files` stand in another order, and nothing else is changed."""
    previous: str
    """What was there before: `new`, `replaced, it could not be read: ...`; empty for a manifest."""

    @property
    def changed(self) -> bool:
        return bool(self.previous or self.reordered or any(self.changes.values()))


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    return {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "modified": sorted(name for name in now if before.get(name, now[name]) != now[name]),
    }


def _before(path: Path, parse: Callable[[str], T]) -> tuple[T | None, str]:
    """(What the sealed file there tells, what is to be said where it tells nothing.) Raises SealError."""
    try:
        return parse(path.read_bytes().decode()), ""
    except FileNotFoundError:
        return None, "new"
    except (ManifestError, Unreadable, UnicodeDecodeError) as error:
        return None, f"replaced, it could not be read: {visible(str(error))}"
    except OSError as error:
        raise SealError(f"{_shown(path)}: {error.strerror or error}") from None


def server_seen(plan: Plan, evidence: Evidence, database: str) -> SealedServer:
    """At which server the plan's role arrived. Raises SealError, with the cure, where that was not seen."""
    identity = _read(plan, evidence, IdentityProbe(database))
    system = _read(plan, evidence, SystemIdentifierProbe(database))
    if not system:
        raise SealError(
            f"{identity.user} may not see the system identifier: have the DBA run, in {identity.database}: "
            f"{system_grant(plan.databases[database], identity.user)}"
        )
    return SealedServer(
        system_identifier=system,
        port=identity.port,
        data_directory=identity.settings.shown("data_directory"),
        addresses=(identity.server_address,) if identity.server_address else (),
        oid=identity.oid,
        timeline=_read(plan, evidence, TimelineProbe(database)),
    )


def _read(plan: Plan, evidence: Evidence, probe: Probe[T]) -> T:
    question, answer = evidence.answers[probe.question().id]
    if isinstance(answer, NoReply):
        raise SealError(f"{answer.detail}; cure: {cure_of(plan, question.via, question.target, answer)}")
    try:
        return probe.read(answer)
    except Unreadable as error:
        raise SealError(str(error)) from None


def merge_servers(plan: Plan, seen: Mapping[str, SealedServer]) -> Mapping[str, SealedServer]:
    """What the plan's sealed servers become with those that were `seen`, by the name of the database; nothing is
    written. An address is added.

    Raises SealError for a server that differs from the sealed one, or from what the plan says."""
    problems, merged = [], dict(plan.sealed)
    for name, server in seen.items():
        sealed, wanted = plan.sealed.get(name, server), plan.databases[name].system_identifier
        of_cluster = server.system_identifier, server.port, server.data_directory
        found = sealed.compared(*of_cluster, server.oid, server.timeline)
        if found.differ:
            problems.append(
                f"{name}: {found.seen}, but {plan.sealed_servers.name} has {found.sealed}; it may be a copy. Only when "
                "the DBA confirms that this is the server now: take its entry away by hand, then seal again"
            )
        elif wanted not in ("", server.system_identifier):
            problems.append(
                f"{name}: system identifier {server.system_identifier}, but the plan says {wanted}: correct "
                f"`system_identifier` or the address in [databases.{name}]"
            )
        merged[name] = replace(
            server,
            data_directory=server.data_directory or sealed.data_directory,
            addresses=tuple(dict.fromkeys((*sealed.addresses, *server.addresses))),
            timeline=server.timeline or sealed.timeline,
        )
    if problems:
        raise SealError("\n".join(problems))
    return {name: merged[name] for name in plan.databases if name in merged}


def merge_signers(plan: Plan) -> Mapping[str, str]:
    """What the plan's sealed files of allowed signers become with those that it names; nothing is written. Raises
    SealError for one that differs from the sealed one, or cannot be read."""
    merged, problems = dict(plan.sealed_signers), list[str]()
    for where, path in plan.signers.items():
        try:
            merged[where] = sha256(path.read_bytes())
        except OSError as error:
            problems.append(f"{_shown(path)}: {error.strerror or error}")
    sealed = zip(plan.sealed_signers, sealed_signers(plan), strict=True)
    problems += [str(gap) for where, gap in sealed if merged[where] != gap.sha256]
    if problems:
        raise SealError("\n".join(problems))
    return merged


@dataclass(frozen=True, slots=True)
class RecordedSchema:
    """A database's schema in its file, and how it differs from the one before."""

    path: Path
    schema: Schema
    before: Schema | None
    problem: str
    """Why there is none before: `new`, `replaced, it could not be read: ...`."""

    @property
    def changes(self) -> Mapping[str, Sequence[str]]:
        return _changes((self.before or self.schema).objects, self.schema.objects)


def seal_schema(plan: Plan, evidence: Evidence, database: str) -> RecordedSchema:
    """Writes the schema that was seen. Raises SealError, with the cure, where it was not, and when writing fails."""
    schema, path = _read(plan, evidence, SchemaProbe(database)), plan.sealed_schema(database)
    before, problem = _before(path, Schema.parse)
    if before != schema:
        write_sealed(path, schema.text)
    return RecordedSchema(path, schema, before, problem)


def seal_scripts(plan: Plan) -> list[SealedManifest]:
    """Writes the manifest of every [scripts] entry, in the plan's order; an unchanged one is left alone.

    Raises SealError with everything that is in the way; then nothing was written, unless the last line says so."""
    sealed: list[SealedManifest] = []
    problems, overwritten = list[str](), list[str]()
    first: dict[Path, Scripts] = {}
    for scripts in plan.scripts.values():
        other = first.setdefault(scripts.manifest, scripts)
        if other.approved != scripts.approved:
            overwritten.append(f"{scripts.id}: {_shown(scripts.manifest)} is the manifest of {other.id} too")
        try:
            files, (known, previous) = _hashes(scripts), _before(scripts.manifest, parse_manifest)
            before = known or {}
            sharing = (each.files for each in plan.scripts.values() if each.manifest == scripts.manifest)
            text = format_manifest(files, chain.from_iterable(sharing))
            sealed.append(
                SealedManifest(
                    scripts=scripts,
                    files=files,
                    text=text,
                    changes=_changes(before, files),
                    reordered=before == files and list(before) != list(parse_manifest(text)),
                    previous=previous,
                )
            )
        except (SealError, ManifestError) as error:
            problems += [f"{scripts.id}: {line}" for line in str(error).splitlines()]
    if problems or overwritten:
        raise SealError("\n".join([*problems, *overwritten]))
    for manifest in sealed:
        if manifest.changed:
            write_sealed(manifest.scripts.manifest, manifest.text)
    return sealed


def sign_manifest(plan: Plan, manifest: SealedManifest, key: Path) -> Path:
    """Writes the signature for the plan's release beside the manifest; its path. Raises SignatureFailed, SealError."""
    path = manifest.scripts.manifest
    signature = path.with_name(f"{path.name}.sig")
    write_sealed(signature, sign(key, Namespace.MANIFEST, approved_text(plan.release.id, manifest.text)))
    return signature


def _hashes(scripts: Scripts) -> Mapping[str, str]:
    """SHA-256 by path of everything in the approved folder but the manifest itself. Raises SealError."""
    folder = scripts.approved
    try:
        entries = list_tree(folder, Deadline(_READ_SECONDS))
    except (Problem, TooMuchToRead, OSError) as error:
        raise SealError(f"{_shown(folder)}: {getattr(error, 'strerror', None) or error}") from None
    hashes: dict[str, str] = {}
    problems = []
    for entry in entries:
        name, kind = entry["path"], entry["kind"]
        if folder / name == scripts.manifest and kind == EntryKind.FILE:
            continue
        problem = entry["error"] or name_problem(name) or _UNSEALED.get(kind)
        if problem:
            problems.append(f"{_shown(folder / name)}: {problem}")
        elif kind == EntryKind.FILE:
            hashes[name] = entry["sha256"]
    problems += [f"{_shown(folder)}: holds no file to seal"] if not hashes and not problems else []
    if problems:
        raise SealError("\n".join(problems))
    return hashes


def _shown(path: Path) -> str:
    return visible(str(path))


def add_said(plan: Plan, confirmations: Sequence[Confirmation] = (), decided: Sequence[Decided] = ()) -> None:
    """Writes them behind those that are there by now: of two people at once, none is lost. Raises SealError, and
    PlanError for a file that cannot be read; it is then as it was."""
    with _alone(plan.path):
        there = read_confirmed(plan.confirmed_file)
        said, taken = (*there.confirmations, *confirmations), (*there.decided, *decided)
        write_sealed(plan.confirmed_file, format_confirmed(replace(there, confirmations=said, decided=taken)))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Locks the file, which is the plan's own: a lock on it leaves nothing behind. Raises SealError."""
    import fcntl  # not on every system on which plans are read

    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise SealError(f"{_shown(path)}: cannot be locked: {error.strerror or error}") from None
        yield
