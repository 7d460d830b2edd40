"""The structure of a shell command line: lists, pipelines, loops (POSIX.1-2017, Shell Command Language, 2.9 and 2.10).
Pure; nothing is ever run from here."""

from __future__ import annotations

from dataclasses import dataclass

from preflight.scripts.shell_words import Kind, Operator, Part, ShellSyntaxError, Unfollowed, Word, split

_CLOSING = {"then", "elif", "else", "fi", "do", "done", "esac", "}"}
_UNFOLLOWED = {"case": "`case`", "function": "functions", "select": "`select`", "coproc": "`coproc`"}


@dataclass(frozen=True, slots=True)
class Redirect:
    operator: str
    target: Word
    descriptor: str = ""
    body: str = ""
    """Of a here-document, or the text of a here-string."""


@dataclass(frozen=True, slots=True)
class Simple:
    """A command with its arguments; assignments may stand before it, or alone."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    stages: tuple[Node, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AndOr:
    first: Node
    rest: tuple[tuple[str, Node], ...]
    """`&&` or `||`, and what stands behind it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Commands one after the other."""

    items: tuple[tuple[Node, bool], ...]
    """A command, and whether it runs in the background."""


@dataclass(frozen=True, slots=True)
class Group:
    body: Block
    subshell: bool
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[Block, Block], ...]
    """Condition, and what runs when it holds."""
    otherwise: Block | None
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """`while`, or `until`."""

    condition: Block
    body: Block
    until: bool
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...] | None
    """None for the positional parameters."""
    body: Block
    redirects: tuple[Redirect, ...] = ()


Node = Simple | Pipeline | AndOr | Block | Group | If | Loop | For


def parse_line(text: str) -> Block:
    """The whole text. Raises ShellSyntaxError for what every shell refuses, Unfollowed for what is not followed."""
    try:
        return _Parser(split(text)).whole()
    except RecursionError:
        raise Unfollowed("commands nested so deeply") from None


class _Parser:
    def __init__(self, tokens: list[Word | Operator]) -> None:
        self.tokens = tokens
        self.at = 0

    def whole(self) -> Block:
        block = self._block()
        if self.at < len(self.tokens):
            raise ShellSyntaxError(f"unexpected {self._named()}")
        return block

    def _peek(self) -> str:
        """The operator or word of the language that comes next; empty for any other word and at the end."""
        if self.at >= len(self.tokens):
            return ""
        token = self.tokens[self.at]
        return token.text if isinstance(token, Operator) else token.bare

    def _named(self) -> str:
        if self.at >= len(self.tokens):
            return "end"
        return "line end" if self.tokens[self.at].text == "\n" else f"`{self.tokens[self.at].text}`"

    def _is_operator(self, *texts: str) -> bool:
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        return isinstance(token, Operator) and token.text in texts

    def _take(self, text: str, opened_by: str) -> None:
        if self._peek() != text:
            raise ShellSyntaxError(f"`{opened_by}` without its `{text}`: unexpected {self._named()}")
        self.at += 1

    def _skip_newlines(self) -> None:
        while self._is_operator("\n"):
            self.at += 1

    def _block(self) -> Block:
        items: list[tuple[Node, bool]] = []
        self._skip_newlines()
        while self.at < len(self.tokens) and self._peek() not in _CLOSING and not self._is_operator(")", ";;"):
            node = self._and_or()
            items.append((node, self._is_operator("&")))
            if not self._is_operator(";", "&", "\n"):
                break
            self.at += 1
            self._skip_newlines()
        return Block(tuple(items))

    def _filled_block(self) -> Block:
        block = self._block()
        if not block.items:
            raise ShellSyntaxError(f"unexpected {self._named()}")
        return block

    def _and_or(self) -> Node:
        first = self._pipeline()
        rest: list[tuple[str, Node]] = []
        while self._is_operator("&&", "||"):
            operator = self._peek()
            self.at += 1
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest)) if rest else first

    def _pipeline(self) -> Node:
        negated = self._peek() == "!"
        self.at += negated
        if negated and (self.at >= len(self.tokens) or self._is_operator(";", "&", "\n", ")", "&&", "||")):
            raise Unfollowed("`!` alone")
        stages = [self._command()]
        while self._is_operator("|", "|&"):
            self.at += 1
            self._skip_newlines()
            stages.append(self._command())
        return Pipeline(tuple(stages), negated) if negated or len(stages) > 1 else stages[0]

    def _command(self) -> Node:
        word = self._peek()
        if word in _UNFOLLOWED:
            raise Unfollowed(_UNFOLLOWED[word])
        match word:
            case "(" | "{":
                self.at += 1
                body = self._filled_block()
                self._take(")" if word == "(" else "}", word)
                return Group(body, word == "(", self._redirects())
            case "if":
                return self._if()
            case "while" | "until":
                self.at += 1
                condition = self._filled_block()
                return Loop(condition, self._loop_body(word), word == "until", self._redirects())
            case "for":
                return self._for()
            case "[[":
                return self._extended_test()
        return self._simple()

    def _if(self) -> If:
        branches = []
        opened_by = "if"
        while self._peek() == opened_by:
            self.at += 1
            condition = self._filled_block()
            self._take("then", "if")
            branches.append((condition, self._filled_block()))
            opened_by = "elif"
        otherwise = None
        if self._peek() == "else":
            self.at += 1
            otherwise = self._filled_block()
        self._take("fi", "if")
        return If(tuple(branches), otherwise, self._redirects())

    def _loop_body(self, opened_by: str) -> Block:
        self._take("do", opened_by)
        body = self._filled_block()
        self._take("done", opened_by)
        return body

    def _for(self) -> For:
        self.at += 1
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if not isinstance(token, Word):
            if self._is_operator("("):
                raise Unfollowed("`for ((`")
            raise ShellSyntaxError(f"unexpected {self._named()} after `for`")
        self.at += 1
        self._skip_newlines()
        words: list[Word] | None = None
        if self._peek() == "in":
            self.at += 1
            words = self._words()
        if self._is_operator(";"):
            self.at += 1
        self._skip_newlines()
        return For(token.text, None if words is None else tuple(words), self._loop_body("for"), self._redirects())

    def _words(self) -> list[Word]:
        words = []
        while self.at < len(self.tokens) and isinstance(token := self.tokens[self.at], Word):
            words.append(token)
            self.at += 1
        return words

    def _extended_test(self) -> Simple:
        """`[[ ... ]]`, in which `&&`, `<` and `(` are no operators of the shell."""
        words: list[Word] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            words.append(token if isinstance(token, Word) else _as_word(token))
            if words[-1].bare == "]]":
                return Simple(tuple(words), self._redirects())
        raise Unfollowed("`[[` without `]]`")

    def _simple(self) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        if self._peek() in _CLOSING:
            raise ShellSyntaxError(f"unexpected {self._named()}")
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if isinstance(token, Word):
                words.append(token)
                self.at += 1
            elif token.redirects:
                redirects.append(self._redirect())
            elif token.text == "(" and words:
                raise Unfollowed("functions or arrays")
            else:
                break
        if not words and not redirects:
            raise ShellSyntaxError(f"unexpected {self._named()}")
        return Simple(tuple(words), tuple(redirects))

    def _redirects(self) -> tuple[Redirect, ...]:
        redirects = []
        while self.at < len(self.tokens) and isinstance(token := self.tokens[self.at], Operator) and token.redirects:
            redirects.append(self._redirect())
        return tuple(redirects)

    def _redirect(self) -> Redirect:
        operator = self.tokens[self.at]
        self.at += 1
        target = self.tokens[self.at] if self.at < len(self.tokens) else None
        if not isinstance(operator, Operator) or not isinstance(target, Word):
            raise ShellSyntaxError(f"unexpected {self._named()} after `{operator.text}`")
        self.at += 1
        body = target.text if operator.text == "<<<" else operator.body
        return Redirect(operator.text, target, operator.descriptor, body)


def _as_word(operator: Operator) -> Word:
    return Word((Part(operator.text, Kind.QUOTED),))
