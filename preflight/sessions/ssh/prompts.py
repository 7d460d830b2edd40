"""What a server asks by keyboard-interactive, and what may be answered: the password to the prompt that asks for it, a
code that somebody types to the one that the plan declares, each once."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preflight.clock import Deadline
from preflight.plan import Host
from preflight.plan.values import PASSWORD_PROMPT
from preflight.reasons import Reason
from preflight.sessions import AskLine, CannotAsk
from preflight.sessions.ssh.transport import Transport, paramiko
from preflight.wording import one_line

NEW_PASSWORD_PROMPT = re.compile(r"new password|current password|change|expired|required", re.IGNORECASE)
_OF_A_CHANGE = re.compile(r"\b(new|current|old|retype|repeat|again|confirm|verify|choose|set|create)\b", re.IGNORECASE)
CODE_SECONDS = 120.0
"""How long somebody may take to type a code: what sshd grants by default for a whole login (LoginGraceTime)."""


class FurtherPrompt(paramiko.SSHException):  # type: ignore[misc]
    """The server asks for something else: a code that was not declared, a new password."""


@dataclass(eq=False)
class CodePrompt:
    """The second factor of one login: the declared prompt, and who answers it."""

    _host: Host
    _ask: AskLine
    _mask: Callable[[str], None]
    _due: bool = True
    typed: bool = False
    """Whether the server got a code."""

    def claim(self, prompt: str) -> bool:
        """Whether the code may go to this prompt; to no other then."""
        claimed = self._due and _plain(self._host.code_prompt) in _plain(prompt)
        self._due = self._due and not claimed
        return claimed

    def type(self, question: str, transport: Transport, *, shown: bool) -> str:
        """The code, masked from then on. Raises CannotAsk where nobody types one."""
        limit = Deadline(CODE_SECONDS)
        asked = f"{self._host.id} asks {self._host.user}: {one_line(question)}"
        typed = self._ask(asked, shown, lambda: limit.over or not transport.is_active())
        if typed is None:
            ended = "the server ended the login (LoginGraceTime of its sshd)" if not limit.over else "it was given up"
            raise CannotAsk(Reason.NO_CODE, f"nobody typed the code within {limit.spent():.0f} s, when {ended}")
        if not typed:
            raise CannotAsk(Reason.NO_CODE, "an empty line was typed for the code, and none was sent")
        self._mask(typed)
        self.typed = True
        return typed


def asks_for_password(prompt: str) -> bool:
    """Whether it is for the account's password alone: its last line, since sshd puts before it what PAM has to say."""
    asked = prompt.strip().rpartition("\n")[2]
    return PASSWORD_PROMPT.match(asked) is not None and _OF_A_CHANGE.search(asked) is None


def answer_prompts(transport: Transport, user: str, code: CodePrompt | None, password: str = "") -> Sequence[str]:
    """One keyboard-interactive exchange. The methods the server wants in addition. Raises FurtherPrompt before anything
    is sent to prompts of which one wants something else; CannotAsk; what paramiko raises."""
    open_passwords = [password] if password else []

    def taker(prompt: str, shown: bool, instructions: str) -> Callable[[], str] | None:
        if code is not None and code.claim(prompt):
            return lambda: code.type(f"{instructions} {prompt}", transport, shown=shown)
        return open_passwords.pop if open_passwords and not shown and asks_for_password(prompt) else None

    def answer(title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        takers = [taker(prompt, shown, instructions) for prompt, shown in prompts]
        answers = [take() for take in takers if take is not None and None not in takers]
        if len(answers) < len(prompts):
            raise FurtherPrompt(one_line(" ".join([title, instructions, *(text for text, _ in prompts)])))
        return answers

    return tuple(transport.auth_interactive(user, answer))


def _plain(text: str) -> str:
    """For comparing: as people read it."""
    return one_line(text).casefold()
