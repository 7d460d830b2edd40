"""Approved, sealed and staged held against each other: content, presence, rights, and what psql reads besides. Pure."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath

from preflight.clock import format_moment
from preflight.finding import Event, Judgement, failed, passed, unknown, warned
from preflight.judging.psql_script import CURE_UNREAD, Include, Place, find_inputs, scan_script
from preflight.judging.sealed_scripts import approved_unread, unread_scripts
from preflight.plan.command_lines import pairs
from preflight.plan.release_plan import grouped
from preflight.plan.said import answered_for
from preflight.plan.values import is_named, same_person
from preflight.plan.work import no_shell
from preflight.questions.files import EntryKind, LocalText
from preflight.questions.local import Signature
from preflight.questions.staged import StagedEntry
from preflight.wording import MOST_NAMED, beside, counted, in_toml, listed, named, visible

from .comparison import RUNNABLE_SUFFIXES, Comparison, Differences, is_script

_MOST_POINTS = 10
_ALL_SEALED = "all that runs is fixed by the manifest"
_WORLD, _GROUP, _STICKY = 0o002, 0o020, 0o1000
_GROUP_READS = 0o050


def judge_manifest(seen: Comparison) -> Iterator[Judgement]:
    if seen.problem:
        manifest = beside(seen.plan.folder, seen.scripts.manifest)
        missing = seen.problem == "no such file" or seen.problem.endswith(": no such file")
        yield failed(
            "the scripts are not sealed" if missing else "the manifest cannot be relied on",
            expected=f"{manifest} with the SHA-256 of every approved script",
            actual=visible(seen.problem),
            remedy=f"once the scripts in {seen.approved_folder} are approved, run: {seen.plan.call('seal')}",
        )
    pinned = seen.scripts.manifest_sha256
    if pinned and seen.manifest_sha256 not in ("", pinned):
        yield failed(
            "the manifest is not the one that was approved",
            expected=f"sha256 {pinned}",
            actual=f"sha256 {seen.manifest_sha256}",
            remedy=f"take {beside(seen.plan.folder, seen.scripts.manifest)} and the scripts back as approved; "
            f"or have the change approved, then correct `manifest_sha256` of [scripts.{seen.scripts.id}]",
        )
    forward = {pair.forward for pair in pairs(seen.scripts.way_back, seen.scripts.files, [*seen.sealed], ())}
    same = grouped(sorted(forward & {*seen.sealed}), seen.sealed.__getitem__).values()
    if twice := [" = ".join(names) for names in same if names[1:]]:
        yield warned(
            "what one script does would be done twice: another one is the same",
            expected="scripts that differ",
            actual=named(twice),
            remedy=f"take one out of {seen.approved_folder}, then run: {seen.plan.call('seal')}; or have whoever "
            "reviewed them confirm that it is to run twice",
        )


def judge_approval(
    seen: Comparison, signature: LocalText, verified: Signature | None, moment: datetime
) -> Iterator[Judgement]:
    """Whether somebody who may approve has signed the manifest as it is, by a key that still counts when the window
    begins. `verified`: nothing where it is not there."""
    entry = seen.scripts
    allowed = beside(seen.plan.folder, entry.allowed_signers) if entry.allowed_signers else ""
    release = seen.plan.release.id
    expected = f"the manifest signed for {release} by one of {allowed}"
    author = entry.author if is_named(entry.author) else ""
    other = f" other than {author}" if author else ""
    sign = f"have one of {allowed}{other} read the scripts and run: {seen.plan.approve_command}"
    if seen.problem:
        return  # there is nothing that could be signed, which is told
    if signature.problem:
        yield failed("nobody signed the manifest", expected=expected, actual=visible(signature.problem), remedy=sign)
    elif verified is None or not verified.signers:
        said = visible(verified.problem) if verified else "nobody verified it"
        yield failed(
            f"the signature of the manifest does not approve it for {release}",
            expected=expected,
            actual=f"{said}; what was signed for another release, or was changed since, fails so too",
            remedy=f"{sign}; where its key may approve, add a line for it to {allowed}",
        )
    elif any(same_person(name, author) for name in verified.signers):
        yield failed(
            f"{author} signed the manifest, who is the author of the scripts",
            expected=f"{expected} who did not write the scripts",
            actual=f"signed by {' and '.join(verified.signers)}",
            remedy=sign,
        )
    else:
        yield passed(f"approved for {release} by {' and '.join(verified.signers)}, who signed the manifest")
        if verified.ends_at:
            yield _end_of_key(seen, moment, verified.ends_at, " and ".join(verified.signers), sign)


def _end_of_key(seen: Comparison, moment: datetime, at: datetime, whose: str, sign: str) -> Judgement:
    """The gate verifies the signature once more when the window begins."""
    window = seen.plan.window
    ends = f"the key of {whose} ends {format_moment(at, window.zone)}"
    if at > max(window.start, moment):
        return replace(passed(ends), events=(Event(at=at, text=f"key of {whose} ends"),))
    return failed(
        f"{ends}, before the window begins",
        expected=f"a key that may sign until {format_moment(window.start, window.zone)}",
        actual=ends,
        remedy=f"have its `valid-before` moved; or {sign}",
    )


def judge_approved(seen: Comparison) -> Iterator[Judgement]:
    """The approved folder against the manifest."""
    folder, tree = seen.approved_folder, seen.approved_tree
    if tree.problem:
        yield approved_unread(seen.plan, seen.scripts, tree.problem)
        return
    if tree.unread:
        yield unknown(
            "a part of the approved folder could not be read",
            actual=named(f"{entry.path} ({entry.error})" for entry in tree.unread),
            remedy=f"make everything in {folder} readable, then run again",
        )
    if unusual := [entry.path for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]:
        yield failed(
            "the approved folder holds links or special files",
            expected="regular files only, because a link's target is not sealed",
            actual=named(unusual),
            remedy=f"replace them by the files themselves in {folder}, then run: {seen.plan.call('seal')}",
        )
    sealed, approved = seen.sealed, seen.approved
    kinds = {
        "changed": [name for name in sealed if approved.get(name, sealed[name]) not in ("", sealed[name])],
        "gone": [name for name in sealed if name not in approved],
        "added": [name for name in approved if sealed and name not in sealed],
    }
    if said := [f"{kind}: {named(names)}" for kind, names in kinds.items() if names]:
        yield failed(
            "the approved folder was changed after sealing",
            expected=f"{folder} as it was sealed",
            actual="; ".join(said),
            remedy=f"take the change back in {folder}; or review and rehearse it, then run: {seen.plan.call('seal')}",
        )


def judge_inputs(seen: Comparison, moment: datetime, *, strict: bool) -> Iterator[Judgement]:
    """What the scripts make psql read besides."""
    found = find_inputs(seen.scripts.staged, seen.texts.texts)
    bad = [each for each in found if each.outside or each.found not in seen.wanted]
    yield from (_unsealed_input(seen, each) for each in bad[:_MOST_POINTS])
    if unread := unread_scripts(seen.scripts, seen.wanted, seen.texts):
        yield unknown(
            f"{counted(len(unread), 'script')} in which includes were not looked for",
            expected=_ALL_SEALED,
            actual="; ".join(f"{visible(name)}: {why}" for name, why in list(unread.items())[:MOST_NAMED]),
            remedy=CURE_UNREAD,
        )
    scans = {name: scan_script(text) for name, text in seen.texts.texts.items()}
    if hidden := [_told(name, place) for name, scan in scans.items() for place in scan.hidden]:
        yield warned(
            f"{counted(len(hidden), 'name')} in the scripts with a character that nobody sees",
            expected="names that read as they are",
            actual=listed(hidden, MOST_NAMED, "; "),
            remedy=f"have it taken out in {seen.approved_folder}, then run: {seen.plan.call('seal')}",
        )
    if places := [_told(name, place) for name, scan in scans.items() for place in scan.unsealable]:
        not_sealable = (failed if strict else unknown)(
            f"{counted(len(places), 'command')} in the scripts whose effect cannot be sealed",
            expected=_ALL_SEALED,
            actual=listed(places, MOST_NAMED, "; "),
            remedy="write out what is to run in a script of its own, and seal that",
        )
        keys = ("scripts", seen.scripts.id, "runs_programs")
        said, owner = seen.scripts.runs_programs, seen.plan.owner_of(seen.scripts)
        yield not_sealable if strict else answered_for(seen.plan, moment, not_sealable, said, keys, owner)


def _told(name: str, place: Place) -> str:
    return f"{visible(f'{name} line {place.line}')}: {visible(place.text)} {place.reason}"


def _unsealed_input(seen: Comparison, each: Include) -> Judgement:
    where = f"{visible(f'{each.script} line {each.line}')}: {visible(str(each))}"
    folder = seen.approved_folder
    if each.outside:
        return failed(
            f"{where} leaves the staged folder",
            expected=f"only files below {seen.scripts.staged}, which psql is started in",
            actual=visible(each.found),
            remedy=f"put the file into {folder}, name it relative to that folder, then run: {seen.plan.call('seal')}",
        )
    return failed(
        f"{where} is not sealed",
        expected=f"{visible(each.found)} in the manifest (\\i is relative to the folder psql starts in, \\ir to the "
        "script)",
        actual="the manifest does not list it",
        remedy=f"correct the path, or put {visible(each.found)} into {folder} and run: {seen.plan.call('seal')}",
    )


def judge_staged(seen: Comparison, differences: Differences) -> Iterator[Judgement]:
    yield from _staged_folder(seen)
    yield from _changed(seen, differences)
    yield from _missing_and_extra(seen)
    yield from _readable(seen)
    yield from _rights(seen)
    yield from _owners(seen)


def _staged_folder(seen: Comparison) -> Iterator[Judgement]:
    staged, where, tree = seen.scripts.staged, seen.host.id, seen.staged_tree
    if tree.problem:
        closed = "ermission denied" in tree.problem
        if closed and not seen.is_refused:
            yield _hidden(seen, f"the staged folder cannot be read by {tree.account}", visible(tree.problem))
            return
        remedy = f"copy the scripts to {staged} on {where}, readable for {seen.account}"
        if closed:
            opened = seen.command("chmod -R a+rX", ["."], ["root"])
            remedy = f"{opened}; or let {seen.account} enter the folders above it"
        yield failed(
            f"the staged folder cannot be read by {tree.account}: {visible(tree.problem)}",
            expected=f"the sealed scripts in {staged} on {where}",
            actual=visible(tree.problem),
            remedy=remedy,
        )
        return
    complaint, part = visible(tree.complaint.partition("\n")[0]), "a part of the staged folder cannot be listed by"
    if not tree.complete and seen.looked_as_login:
        yield _hidden(seen, f"{part} {tree.account}", complaint)
    elif not tree.complete:
        yield (failed if seen.is_refused else unknown)(
            f"{part} {tree.account}",
            expected=f"everything below {staged} on {where} readable for {seen.account}",
            actual=complaint,
            remedy=seen.command("chmod -R a+rX", ["."], {entry.owner for entry in tree.entries}),
        )
    if not tree.tool:
        yield unknown(
            "nothing on the server can hash",
            expected=f"every file below {staged} hashed on {where}",
            actual="none of openssl, sha256sum and shasum works",
            remedy=f"have openssl or sha256sum installed on {where}",
        )
    if tree.link:
        yield warned(
            "the staged folder is reached through a symbolic link",
            expected="the folder itself, because whoever may change the link changes the scripts",
            actual=f"{staged} leads to {visible(tree.root)}",
            remedy=f'name the folder itself: staged = "{visible(tree.root)}" in [scripts.{seen.scripts.id}]',
        )


def _changed(seen: Comparison, differences: Differences) -> Iterator[Judgement]:
    """The heart of it: staged files with other bytes than sealed."""
    # What can be explained first: the others may not be shown.
    if accepted := [name for name in seen.changed if seen.is_accepted(name, differences.forms.get(name))]:
        yield _other_line_ends(seen, differences, accepted)
    changed = [name for name in seen.changed if name not in accepted]
    ordered = sorted(changed, key=lambda name: name not in differences.read)
    for name in ordered[:_MOST_POINTS]:
        entry = seen.staged[name]
        yield failed(
            f"{visible(name)} was changed on the server: {differences.describe(name)}",
            expected=f"sha256 {seen.wanted[name][:12]}, as {'sealed' if seen.sealed else 'approved'}",
            actual=f"sha256 {entry.sha256[:12]}, {_who_and_when(entry)}, {entry.size_bytes} bytes",
            remedy="if the change is wanted, review and rehearse it, put it into the approved folder and seal again; "
            f"if not, stage it as approved: {seen.stage([name])}",
            details=differences.diff(name),
        )
    if rest := ordered[_MOST_POINTS:]:
        yield failed(
            f"{len(rest)} more scripts were changed on the server",
            expected="every staged file as sealed",
            actual=named(rest),
            remedy=f"stage the approved folder again: {seen.stage(rest)}",
        )


def _other_line_ends(seen: Comparison, differences: Differences, names: Sequence[str]) -> Judgement:
    approved = seen.approved_tree.files
    lines = {name: (approved[name].crlf_lines, differences.forms[name].crlf_lines) for name in names}
    return warned(
        f"{counted(len(names), 'script')} on the server with other line endings, which the plan accepts",
        expected="lines that end as in the approved scripts",
        actual=named(f"{name}: {counted(now, 'line')} with CRLF, approved {was}" for name, (was, now) in lines.items()),
        remedy=f"to have them as approved, stage them again: {seen.stage(names)}",
    )


def _missing_and_extra(seen: Comparison) -> Iterator[Judgement]:
    where = f"{seen.scripts.staged} on {seen.host.id}"
    if seen.staged_tree.problem:
        return
    if seen.missing and seen.staged_tree.complete:
        yield failed(
            f"{counted(len(seen.missing), 'sealed file')} not on the server",
            expected=f"every sealed file in {where}",
            actual=f"missing: {named(seen.missing)}",
            remedy=f"stage what is missing: {seen.stage(seen.missing)}",
        )
    unread = f"{counted(len(seen.unread), 'sealed file')} on the server that {seen.staged_tree.account} cannot read"
    if seen.unread and seen.staged_tree.tool and seen.looked_as_login:
        yield _hidden(seen, unread, named(seen.unread))
    elif seen.unread and seen.staged_tree.tool:
        yield (failed if seen.is_refused else unknown)(
            unread,
            expected=f"readable for {seen.account}, who runs the scripts",
            actual=named(seen.unread),
            remedy=seen.command("chmod a+r", seen.unread, {seen.staged[name].owner for name in seen.unread}),
        )
    scripts = [entry for entry in seen.extra if is_script(entry.path)]
    others = [entry for entry in seen.extra if not is_script(entry.path)]
    if scripts:
        yield failed(
            f"{counted(len(scripts), 'script')} on the server that nobody sealed",
            expected=f"no unsealed file ending in {' '.join(RUNNABLE_SUFFIXES)} in {where}",
            actual=named(f"{entry.path} ({_who_and_when(entry)})" for entry in scripts),
            remedy=f"take it away: {seen.removal(entry.path for entry in scripts)}; or have it approved, then run: "
            f"{seen.plan.call('seal')}",
        )
    if others:
        yield warned(
            f"{counted(len(others), 'file')} on the server that nobody sealed",
            expected=f"nothing but the sealed files in {where}",
            actual=named(f"{entry.path} ({_who_and_when(entry)})" for entry in others),
            remedy=f"take it away: {seen.removal(entry.path for entry in others)}; or put it into "
            f"{seen.approved_folder} and run: {seen.plan.call('seal')}",
        )
    if empty := [name for name, entry in seen.staged.items() if is_script(name) and not entry.size_bytes]:
        yield failed(
            f"{counted(len(empty), 'script')} on the server without content",
            expected="every script holds at least one statement",
            actual=f"0 bytes: {named(empty)}",
            remedy="fill or remove the empty script in the approved folder, then seal and stage again",
        )


def _hidden(seen: Comparison, summary: str, complaint: str) -> Judgement:
    """From the login, which looked because sudo gives it no shell of the account."""
    expected = f"the sealed scripts in {seen.scripts.staged} on {seen.host.id}, readable for {seen.account}"
    return no_shell(seen.host, seen.account, summary, expected=expected, actual=complaint)


def _readable(seen: Comparison) -> Iterator[Judgement]:
    """Whether the account that runs the scripts can read them, where it was the login that looked."""
    tree, account = seen.staged_tree, seen.account
    if not seen.looked_as_login or tree.uid in ("", "0"):
        return
    needed = {*seen.wanted, *(str(above) for name in seen.wanted for above in PurePosixPath(name).parents)}
    closed = [entry for entry in tree.entries if entry.path in needed and not seen.may_read(entry)]
    if not closed:
        return
    # With an access control list, the bits of the group are the most that any entry of it gives (acl(5)).
    perhaps = tree.acl and all(entry.owner != account and entry.mode & _GROUP_READS for entry in closed)
    yield (unknown if perhaps else failed)(
        f"whether {account} can read the staged scripts is not known" if perhaps else
        f"{account}, who runs the scripts, cannot read what is staged",
        expected=f"files that {account} may read, in folders that it may search, by their permission bits",
        actual=named(f"{entry.path} (mode {entry.mode:04o}, owner {entry.owner})" for entry in closed),
        remedy=seen.command("chmod -R a+rX", ["."], {entry.owner for entry in tree.entries}),
    )  # fmt: skip


def _owners(seen: Comparison) -> Iterator[Judgement]:
    """Whoever owns a file may change it, whatever its mode; and whoever owns a folder may put another in its place."""
    tree, known = seen.staged_tree, {"root", seen.login, seen.account, *seen.scripts.staged_by}
    inside = {entry.path: entry.owner for entry in tree.entries if entry.owner not in known}
    above = {each.path: each.owner for each in tree.parents if each.owner not in known}
    if others := inside | above:
        owners = sorted({*others.values()})
        chown = [f"chown -R {shlex.quote(seen.account)} -- {seen.remote('.')}"] if inside else []
        chown += [f"chown root -- {' '.join(map(seen.remote, above))}"] if above else []
        yield failed(
            f"{' and '.join(map(visible, owners))} may change the staged scripts",
            expected=f"{seen.scripts.staged} on {seen.host.id} and the folders above it owned by "
            f"{' or '.join(sorted(known - {''}))}",
            actual=named(f"{path} (owner {owner})" for path, owner in others.items()),
            remedy=f"have root run on {seen.host.id}: {' && '.join(chown)}; or, if they are meant to, write in "
            f"[scripts.{seen.scripts.id}]: staged_by = {in_toml([*seen.scripts.staged_by, *owners])}",
        )


def _rights(seen: Comparison) -> Iterator[Judgement]:
    """What others could do to the staged folder before the window."""
    tree, where = seen.staged_tree, f"{seen.scripts.staged} on {seen.host.id}"
    if odd := [entry for entry in tree.entries if entry.kind in (EntryKind.SYMLINK, EntryKind.OTHER)]:
        yield failed(
            f"{counted(len(odd), 'link or special file', 'links or special files')} on the server",
            expected=f"only regular files and folders in {where}",
            actual=named(f"{e.path} -> {e.link_target}" if e.link_target else f"{e.path} (special)" for e in odd),
            remedy=f"take it away: {seen.removal(e.path for e in odd)}; then put the files themselves there: "
            f"{seen.stage()}",
        )
    solid = [entry for entry in tree.entries if entry.kind in (EntryKind.FILE, EntryKind.FOLDER)]
    loose = [*solid, *(above for above in tree.parents if not above.mode & _STICKY)]
    by_anybody = {entry.path: entry.owner for entry in loose if entry.mode & _WORLD}
    if by_anybody:
        yield failed(
            "everybody on the server may change the staged scripts",
            expected=f"nothing in {where} or above it writable for others",
            actual=f"mode o+w: {named(by_anybody)}",
            remedy=seen.command("chmod o-w", by_anybody, by_anybody.values()),
        )
    if by_group := {entry.path: entry.owner for entry in loose if entry.mode & _GROUP and not entry.mode & _WORLD}:
        who = "whoever an access control list names, or a" if tree.acl else "a"  # it gives at most what these bits say
        yield (unknown if tree.acl else warned)(
            f"{who} whole group on the server may change the staged scripts",
            expected=f"nothing in {where} or above it writable for its group",
            actual=f"mode g+w: {named(by_group)}",
            remedy=seen.command("chmod g-w", by_group, by_group.values()),
        )


def _who_and_when(entry: StagedEntry) -> str:
    return f"owner {visible(entry.owner)}, modified {entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
