"""Exactly one credential per host, and what the server said to it. A refused login is never tried again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight.clock import Deadline, now
from preflight.plan import Host
from preflight.questions.authorized_keys import UserCertificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk, Once
from preflight.sessions.secrets import PasswordAccount, Secrets
from preflight.sessions.ssh.keys import Agent, certify, find_key, load_key
from preflight.sessions.ssh.prompts import NEW_PASSWORD_PROMPT, CodePrompt, FurtherPrompt, answer_prompts
from preflight.sessions.ssh.transport import Transport, paramiko
from preflight.wording import one_line

_PASSWORD_EXPIRED = re.compile(r"you are required to change your password|your password has expired", re.IGNORECASE)
"""What PAM says at a login that succeeds."""
_ACCOUNT_REFUSED = re.compile(r"expired|inactive|not allowed|denied|disabled|locked|closed", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class KeyCredential:
    """A private key, from a file or kept by the agent, which is let go after the one attempt."""

    method = "publickey"
    account = None
    key: Any
    description: str
    """Fit for the report."""
    certificate: UserCertificate | None
    """Also where it does not hold now and is not offered."""
    agent: Agent | None = None

    def offer(self, transport: Transport, user: str, _code: CodePrompt | None) -> Sequence[str]:
        """One attempt. The methods the server wants besides: those of the code, or none. Raises what paramiko does."""
        try:
            return tuple(transport.auth_publickey(user, self.key))
        finally:
            if self.agent is not None:
                self.agent.close()


@dataclass(frozen=True, repr=False)
class PasswordCredential:
    """A password; typed at a keyboard-interactive prompt where the server takes no plain one."""

    method = description = "password"
    certificate = None
    _password: str
    account: PasswordAccount

    def offer(self, transport: Transport, user: str, code: CodePrompt | None) -> Sequence[str]:
        if code is not None:  # PAM may ask for it too, and sshd answers that by a plain password, which is refused
            try:
                return answer_prompts(transport, user, code, self._password)
            except paramiko.BadAuthenticationType as refused:
                if "password" not in refused.allowed_types or "keyboard-interactive" in refused.allowed_types:
                    raise
        try:
            return tuple(transport.auth_password(user, self._password, fallback=False))
        except paramiko.BadAuthenticationType as refused:
            if "keyboard-interactive" not in refused.allowed_types or code is not None:
                raise
        return answer_prompts(transport, user, None, self._password)


Credential = KeyCredential | PasswordCredential


class CredentialStore:
    """Reads each key file once per run, however many hosts share it."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._keys = Once[tuple[Path, str, Path | None], KeyCredential | CannotAsk]()
        """Also why one cannot be used: its passphrase is asked for once, not once per host."""

    def of(self, host: Host, agent_socket: str, deadline: Deadline) -> Credential:
        """The one credential of `host`. Raises CannotAsk (no credential, passphrase) before anything is sent."""
        if host.key is not None:
            return self._key(host, host.key.expanduser())
        if host.agent:
            key, certificate, mark, agent = find_key(host, agent_socket, deadline)
            return KeyCredential(key, f"agent {mark}", certificate, agent)
        if host.password is not None:
            account = PasswordAccount.of(host, "sshd", host.user, host.password)
            self._secrets.trials.require_not_refused(account, host.id)
            return PasswordCredential(self._secrets.value(host.password, host.password_purpose), account)
        raise CannotAsk(Reason.NO_CREDENTIAL, f"the plan names no key, agent key or password for {host.id}")

    def _key(self, host: Host, path: Path) -> KeyCredential:
        def passphrase() -> str:
            if host.passphrase is None:
                detail = f"{path} is protected by a passphrase and the plan names none"
                raise CannotAsk(Reason.PASSPHRASE_NEEDED, detail)
            return self._secrets.value(host.passphrase, host.passphrase_purpose)

        def load() -> KeyCredential | CannotAsk:
            try:
                key = load_key(path, passphrase)
                return KeyCredential(key, f"key {key.fingerprint}", certify(key, path, host.certificate))
            except CannotAsk as failed:
                return failed

        found = self._keys.get((path, str(host.passphrase), host.certificate), load)
        if isinstance(found, CannotAsk):
            raise CannotAsk(found.reason, found.detail)
        return found


def log_in(
    transport: Transport, user: str, credential: Credential, deadline: Deadline, code: CodePrompt | None = None
) -> None:
    """One attempt with one credential, and the code where the server asks for it. Raises CannotAsk."""
    transport.auth_timeout = max(deadline.left(), 0.1)
    accepted = ""
    try:
        further = credential.offer(transport, user, code)
        if code is not None and not code.typed and "keyboard-interactive" in further:
            accepted = f"accepts the {credential.description} of {user} and "
            further = answer_prompts(transport, user, code)
    except CannotAsk:
        raise
    except paramiko.BadAuthenticationType as refused:
        allowed = [one_line(method, 60) for method in refused.allowed_types]
        if "keyboard-interactive" in allowed and credential.method == "password":
            raise _bad_credential(transport, user, credential, code, accepted) from None
        detail = f"the server does not let {user} in with a {credential.method}, only with {', '.join(allowed)}"
        raise CannotAsk(Reason.METHOD_NOT_ALLOWED, detail) from None
    except FurtherPrompt as prompt:
        if NEW_PASSWORD_PROMPT.search(str(prompt)):
            detail = f"the password of {user} has to be changed first: {prompt}"
            raise CannotAsk(Reason.PASSWORD_EXPIRED, detail) from None
        raise CannotAsk(Reason.PARTIAL, f"the server {accepted}asks {user} for more: {prompt}") from None
    except Exception as error:  # noqa: BLE001  # paramiko raises SSHException, EOFError, OSError, and bare ones
        raise _explain(transport, user, credential, error, code, accepted) from None
    if further:
        detail = f"the server accepts the {credential.method} of {user} and wants {', '.join(further)} in addition"
        raise CannotAsk(Reason.PARTIAL, one_line(detail))
    if not transport.is_authenticated():
        raise _bad_credential(transport, user, credential, code, accepted)
    said = one_line("; ".join(transport.banners))
    if _PASSWORD_EXPIRED.search(said):  # sshd then lets nothing through and runs nothing but passwd
        raise CannotAsk(Reason.PASSWORD_EXPIRED, f"the login of {user} succeeded, but the password has expired: {said}")


def _explain(
    transport: Transport, user: str, credential: Credential, error: Exception, code: CodePrompt | None, accepted: str
) -> CannotAsk:
    said = one_line("; ".join(filter(None, [*transport.banners, transport.parting_words])))
    suffix = f": {said}" if said else ""
    if "Too many authentication failures" in transport.parting_words:  # of the one that was tried: MaxAuthTries 1
        return _bad_credential(transport, user, credential, code, accepted)
    if transport.is_active():
        if "timeout" in str(error).lower():
            return CannotAsk(Reason.LOGIN_LATE, f"the login of {user} got no answer")
        if isinstance(error, paramiko.AuthenticationException):
            return _bad_credential(transport, user, credential, code, accepted)
    if isinstance(error, paramiko.SSHException) and "agent" in str(error):
        return CannotAsk(Reason.NO_AGENT, one_line(str(error)))
    if _ACCOUNT_REFUSED.search(said):
        return CannotAsk(Reason.ACCOUNT_EXPIRED, f"the server refuses the account {user}{suffix}")
    detail = f"the server closed the connection during the login of {user}"
    return CannotAsk(Reason.CLOSED_DURING_LOGIN, f"{detail}{suffix}")


def _bad_credential(
    transport: Transport, user: str, credential: Credential, code: CodePrompt | None, accepted: str
) -> CannotAsk:
    """`accepted`: that the server has taken the credential, where it said so."""
    said = "".join(f"; it says: {one_line(text)}" for text in ["; ".join(transport.banners)] if text)
    if code is not None and code.typed:
        what = "refuses" if accepted else "does not say which of the two it refuses, the password or"
        return CannotAsk(Reason.BAD_CODE, f"the server {accepted}{what} the code that was typed for {user}{said}")
    certificate = credential.certificate
    detail = f"the server refused the {credential.description} of {user}"
    detail += (f" with {certificate}" if certificate else "") + said
    ended = certificate is not None and not certificate.holds_at(now())
    return CannotAsk(Reason.USER_CERTIFICATE if ended else Reason.BAD_CREDENTIAL, detail)
