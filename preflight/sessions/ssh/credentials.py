"""Exactly one credential per host, and what the server said to it. A refused login is never tried again."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight.clock import Deadline, now
from preflight.plan import Host
from preflight.questions.authorized_keys import UserCertificate
from preflight.reasons import Reason
from preflight.sessions import CannotAsk
from preflight.sessions.secrets import PasswordAccount, Secrets
from preflight.sessions.ssh.keys import Agent, certify, find_key, load_key
from preflight.sessions.ssh.transport import Transport, paramiko
from preflight.wording import one_line

_PASSWORD_PROMPT = re.compile(
    r"^(?!.*one.?time)(?:.*\W)?(?:password|passwor[td]|kennwort|mot de passe|contraseña|senha|palavra-passe|wachtwoord"
    r"|lösenord|adgangskode|passord|salasana|heslo|hasło|jelszó|parolă?|пароль|şifre|密码|密碼|パスワード|암호)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What pam_unix asks in the languages of Linux-PAM; anything else (`Verification code:`) is a second factor."""
_NEW_PASSWORD_PROMPT = re.compile(r"new password|current password|change|expired|required", re.IGNORECASE)
_PASSWORD_EXPIRED = re.compile(r"you are required to change your password|your password has expired", re.IGNORECASE)
"""What PAM says at a login that succeeds."""
_ACCOUNT_REFUSED = re.compile(r"expired|inactive|not allowed|denied|disabled|locked|closed", re.IGNORECASE)


class Credential:
    """What a login is made with; `description` is fit for the report."""

    description = ""
    method = ""
    certificate: UserCertificate | None = None
    """Of a key, also where it does not hold now and is not offered."""
    account: PasswordAccount | None = None
    """Whose password it is."""

    def offer(self, transport: Transport, user: str) -> Sequence[str]:
        """One attempt. The methods the server wants in addition, normally none. Raises what paramiko raises."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class KeyCredential(Credential):
    """A private key, from a file or kept by the agent, which is let go after the one attempt."""

    method = "publickey"
    key: Any
    description: str
    certificate: UserCertificate | None
    agent: Agent | None = None

    def offer(self, transport: Transport, user: str) -> Sequence[str]:
        try:
            return tuple(transport.auth_publickey(user, self.key))
        finally:
            if self.agent is not None:
                self.agent.close()


class PasswordCredential(Credential):
    """A password; typed at a keyboard-interactive prompt where the server takes no plain one."""

    method = "password"
    description = "password"

    def __init__(self, password: str, account: PasswordAccount) -> None:
        self._password = password
        self.account = account

    def __repr__(self) -> str:
        return "PasswordCredential()"

    def offer(self, transport: Transport, user: str) -> Sequence[str]:
        try:
            return tuple(transport.auth_password(user, self._password, fallback=False))
        except paramiko.BadAuthenticationType as refused:
            if "keyboard-interactive" not in refused.allowed_types:
                raise
        answered: list[str] = []

        def answer(title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
            """The password to the first hidden prompt that asks for one; any other wants something else (a code, a
            new password)."""
            if not prompts:
                return []
            question = one_line(" ".join([title, instructions, *(text for text, _ in prompts)]))
            if answered or len(prompts) > 1 or prompts[0][1] or not asks_for_password(prompts[0][0]):
                raise _FurtherPrompt(question)
            answered.append(question)
            return [self._password]

        return tuple(transport.auth_interactive(user, answer))


def asks_for_password(prompt: str) -> bool:
    """Whether a keyboard-interactive prompt is for the account's password, and for nothing else."""
    return _PASSWORD_PROMPT.search(prompt) is not None


class _FurtherPrompt(paramiko.SSHException):  # type: ignore[misc]
    """The server asks for more than the password."""


class CredentialStore:
    """Reads each key file once per run, however many hosts share it."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._keys: dict[tuple[Path, str, Path | None], KeyCredential | CannotAsk] = {}
        self._lock = threading.Lock()

    def of(self, host: Host, agent_socket: str, deadline: Deadline) -> Credential:
        """The one credential of `host`. Raises CannotAsk (no credential, passphrase) before anything is sent."""
        if host.key is not None:
            return self._key(host, host.key)
        if host.agent:
            key, certificate, mark, agent = find_key(host, agent_socket, deadline)
            return KeyCredential(key, f"agent {mark}", certificate, agent)
        if host.password is not None:
            account = PasswordAccount.of(host, "sshd", host.user, host.password)
            self._secrets.trials.require_not_refused(account, host.id)
            return PasswordCredential(self._secrets.value(host.password, host.password_purpose), account)
        raise CannotAsk(Reason.NO_CREDENTIAL, f"the plan names no key, agent key or password for {host.id}")

    def _key(self, host: Host, path: Path) -> KeyCredential:
        with self._lock:  # held while a passphrase is asked for: once, not once per host
            shared = path, str(host.passphrase), host.certificate
            cached = self._keys.get(shared)
            if cached is None:
                try:
                    cached = self._load(host, path.expanduser())
                except CannotAsk as failed:
                    cached = failed
                self._keys[shared] = cached
        if isinstance(cached, CannotAsk):
            raise CannotAsk(cached.reason, cached.detail)
        return cached

    def _load(self, host: Host, path: Path) -> KeyCredential:
        def passphrase() -> str:
            if host.passphrase is None:
                detail = f"{path} is protected by a passphrase and the plan names none"
                raise CannotAsk(Reason.PASSPHRASE_NEEDED, detail)
            return self._secrets.value(host.passphrase, host.passphrase_purpose)

        key = load_key(path, passphrase)
        return KeyCredential(key, f"key {key.fingerprint}", certify(key, path, host.certificate))


def log_in(transport: Transport, user: str, credential: Credential, deadline: Deadline) -> None:
    """One attempt with one credential. Raises CannotAsk."""
    transport.auth_timeout = max(deadline.left(), 0.1)
    try:
        further = credential.offer(transport, user)
    except paramiko.BadAuthenticationType as refused:
        allowed = [one_line(method, 60) for method in refused.allowed_types]
        if "keyboard-interactive" in allowed and credential.method == "password":
            raise _bad_credential(transport, user, credential) from None
        detail = f"the server does not let {user} in with a {credential.method}, only with {', '.join(allowed)}"
        raise CannotAsk(Reason.METHOD_NOT_ALLOWED, detail) from None
    except _FurtherPrompt as prompt:
        if _NEW_PASSWORD_PROMPT.search(str(prompt)):
            detail = f"the password of {user} has to be changed first: {prompt}"
            raise CannotAsk(Reason.PASSWORD_EXPIRED, detail) from None
        raise CannotAsk(Reason.PARTIAL, f"the server asks {user} for more: {prompt}") from None
    except Exception as error:  # noqa: BLE001  # paramiko raises SSHException, EOFError, OSError, and bare ones
        raise _explain(transport, user, credential, error, deadline) from None
    if further:
        detail = f"the server accepts the {credential.method} of {user} and wants {', '.join(further)} in addition"
        raise CannotAsk(Reason.PARTIAL, one_line(detail))
    if not transport.is_authenticated():
        raise _bad_credential(transport, user, credential)
    said = one_line("; ".join(transport.banners))
    if _PASSWORD_EXPIRED.search(said):  # sshd then lets nothing through and runs nothing but passwd
        raise CannotAsk(Reason.PASSWORD_EXPIRED, f"the login of {user} succeeded, but the password has expired: {said}")


def _explain(
    transport: Transport, user: str, credential: Credential, error: Exception, deadline: Deadline
) -> CannotAsk:
    said = one_line("; ".join(filter(None, [*transport.banners, transport.parting_words])))
    suffix = f": {said}" if said else ""
    if "Too many authentication failures" in transport.parting_words:  # of the one that was tried: MaxAuthTries 1
        return _bad_credential(transport, user, credential)
    if transport.is_active():
        if deadline.over or "timeout" in str(error).lower():
            return CannotAsk(Reason.LOGIN_LATE, f"the login of {user} got no answer")
        if isinstance(error, paramiko.AuthenticationException):
            return _bad_credential(transport, user, credential)
    if isinstance(error, paramiko.SSHException) and "agent" in str(error):
        return CannotAsk(Reason.NO_AGENT, one_line(str(error)))
    if _ACCOUNT_REFUSED.search(said):
        return CannotAsk(Reason.ACCOUNT_EXPIRED, f"the server refuses the account {user}{suffix}")
    detail = f"the server closed the connection during the login of {user}"
    return CannotAsk(Reason.CLOSED_DURING_LOGIN, f"{detail}{suffix}")


def _bad_credential(transport: Transport, user: str, credential: Credential) -> CannotAsk:
    said = one_line("; ".join(transport.banners))
    certificate = credential.certificate
    detail = f"the server refused the {credential.description} of {user}"
    detail += (f" with {certificate}" if certificate else "") + (f"; it says: {said}" if said else "")
    ended = certificate is not None and not certificate.holds_at(now())
    return CannotAsk(Reason.USER_CERTIFICATE if ended else Reason.BAD_CREDENTIAL, detail)
