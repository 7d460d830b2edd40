"""script-hashes: what was approved is what was sealed, and what lies on the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preflight.check import Check, Probes, Subject, asked
from preflight.finding import Judgement, Status, passed
from preflight.judging.sealed_scripts import sealing_probes
from preflight.plan import Scripts
from preflight.plan.manifest import approved_text
from preflight.probe import NoReply, Probe
from preflight.questions.files import LocalFile, LocalText, LocalTree, read_manifest
from preflight.questions.local import TARGET, Namespace, Signature, SignatureProbe
from preflight.questions.shell import AsAccount
from preflight.questions.staged import MOST_FORMS, Forms, StagedBeginning, StagedFolder, StagedForms, StagedText
from preflight.wording import beside, counted

from .agreement import judge_approval, judge_approved, judge_inputs, judge_manifest, judge_staged
from .comparison import Comparison, Differences

_TEXTS = 3


class ScriptHashes(Check):
    """Are the approved scripts, byte for byte, what lies on the server, and is nothing else there?

    On the night this exists for, the scripts had been changed after their approval, nobody knew, and they failed (c).
    Three places must agree: the approved folder beside the plan, the manifest that `preflight seal` wrote, and the
    staged folder, hashed on the server by the account that will run the scripts (by the login, where sudo does not give
    it a shell of that account; then permission bits tell whether the account can read them). FAIL: a changed, missing,
    empty, unreadable or unsealed script, a symbolic link, what everybody may change, or an account that is neither
    root, the login, the scripts' own nor named in `staged_by` (UNKNOWN by an access control list); and whatever a
    script reads by `\\i`, `\\ir`, `\\copy` or `\\lo_import` without its being sealed. psql takes `\\i` relative to the
    folder it was started in, which is the staged folder. Where the plan names `allowed_signers`, one of them other than
    the `author` must have signed the manifest, for this very release, by a key that still counts when the window
    begins. What no manifest can seal is UNKNOWN until somebody answers for it by `runs_programs`; with `strict = true`
    it is a FAIL. Other line endings than approved are a WARN where `line_endings` accepts them.
    """

    @dataclass(frozen=True, slots=True)
    class Settings:
        strict: bool = False
        """What no manifest can seal is a FAIL, whoever answers for it by `runs_programs`."""

    id = "script-hashes"
    waivable = False
    title = "the approved scripts are what lies on the server"
    sections = ("scripts",)
    needs = "as the scripts' account: read the staged folder and search the folders above it"
    cure = "stage the approved files again, or review the change and seal again"
    judges_no_reply = frozenset({"forms", *(f"text_{number}" for number in range(_TEXTS))})

    def subjects(self) -> Sequence[Subject]:
        return [Subject(scripts.id, scripts, self.plan.owner_of(scripts)) for scripts in self.plan.scripts.values()]

    def probes(self, subject: Subject) -> Probes:
        scripts: Scripts = subject.item
        manifest, texts = sealing_probes(self.plan, scripts)
        return asked(
            signature=LocalFile(TARGET, f"{manifest.path}.sig") if scripts.allowed_signers else None,
            approved=LocalTree(TARGET, texts.path),
            manifest=manifest,
            texts=texts,
            staged=StagedFolder(*self._reader(scripts), scripts.staged),
        )

    def follow_up(self, subject: Subject, *, signature: LocalText | None = None, **facts: Any) -> Probes:
        """Who signed the manifest; and on the host, only where a staged script differs from the approved one: hashes
        of its text without carriage returns, byte order mark and last newlines, and the text of the first few for the
        report."""
        scripts: Scripts = subject.item
        files = self._compare(scripts, facts)
        names = tuple(files.changed[:MOST_FORMS])
        verified = self._verified(scripts, facts["manifest"], signature)
        if not names:
            return verified
        reader = self._reader(scripts)
        shown = enumerate(files.worth_reading[:_TEXTS])
        return {
            **verified,
            "forms": StagedForms(*reader, scripts.staged, names),
            **{f"text_{number}": StagedText(*reader, scripts.staged, name) for number, name in shown},
        }

    def judge(
        self,
        subject: Subject,
        *,
        signature: LocalText | None = None,
        verified: Signature | None = None,
        forms: Mapping[str, Forms] | NoReply | None = None,
        **facts: Any,
    ) -> Judgement:
        files = self._compare(subject.item, facts)
        answers = {name: facts.get(f"text_{number}") for number, name in enumerate(files.worth_reading[:_TEXTS])}
        read = {name: text for name, text in answers.items() if isinstance(text, StagedBeginning) and not text.problem}
        points = [
            *(judge_approval(files, signature, verified, self.moment) if signature else ()),
            *judge_manifest(files),
            *judge_approved(files),
            *judge_staged(files, Differences(files, read, forms if isinstance(forms, Mapping) else {})),
            *judge_inputs(files, self.moment, strict=self.settings.strict),
        ]
        is_well = all(point.status is Status.PASS for point in points)
        return Judgement.of([_agreement(files), *points] if is_well else points)

    def _verified(self, scripts: Scripts, manifest: LocalText, signature: LocalText | None) -> dict[str, Probe[Any]]:
        allowed = scripts.allowed_signers
        if allowed is None or signature is None or signature.problem or manifest.problem:
            return {}
        path = beside(self.plan.folder, allowed)
        approved = approved_text(self.plan.release.id, manifest.text)
        return {"verified": SignatureProbe(TARGET, path, Namespace.MANIFEST, approved, signature.text)}

    def _compare(self, scripts: Scripts, facts: Mapping[str, Any]) -> Comparison:
        manifest, *others = (facts[name] for name in ("manifest", "approved", "texts", "staged"))
        return Comparison(self.plan, scripts, *read_manifest(manifest), manifest.sha256, *others)

    def _reader(self, scripts: Scripts) -> tuple[str, AsAccount]:
        host = self.plan.host_of(scripts)
        return host.id, AsAccount.on(host, scripts.account)


def _agreement(files: Comparison) -> Judgement:
    tree = files.staged_tree
    by = tree.account if tree.account == files.account else f"{tree.account}, who may not become {files.account}"
    return passed(
        f"{counted(len(files.wanted), 'file')}: approved = sealed = staged",
        actual=f"hashed on {files.host.id} with {tree.tool.split()[0]} by {by}",
    )
