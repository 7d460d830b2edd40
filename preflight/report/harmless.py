"""Text from elsewhere made harmless, in each syntax that a report is written in: no escaping is done anywhere else.

Whatever a server, a script or a plan says can stand in a report: it must not move a terminal's cursor, give a build
system a command, become markup, or push the verdict off the screen by its length. Elements of HTML and SVG are built
here, so that text in them can only ever be text. Pure."""

import html
import json
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from preflight.wording import shortened, visible

_CI_COMMAND = re.compile(r"##(?=\w*\[)")
"""`##[error]`, `##vso[...]`, `##teamcity[...]`: build systems take these for commands wherever they stand in a log."""
_CI_LINE = re.compile(r"^(\s*)::(?=.*::)")
"""`::error::text`: GitHub's runner takes a line for a command that begins so, whatever spaces stand before it."""

_ILLEGAL_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, in whatever form: ElementTree would write it all the same."""

_NEEDS_CODE = re.compile(
    r"[\\`*\[\]|~$@#]"  # markup; `$x$` is a formula, `~5` a label of GitLab, `#12` an issue
    r"|<[a-z/!?]|&(?:#|\w+;)"  # HTML
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; `020_rounding` is none
    r"|^/\w|//|\w\.[^\W\d_]{2,}"  # paths, URLs, and what some readers take for the name of a site
    r"|[!%&]\w|\bGH-\d"  # merge requests, milestones, epics, issues
    r"|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b"  # commits
    r"|:(?!\d\d:)[\w+-]+:",  # emoji; `14:28:25` is none
    re.IGNORECASE,
)
"""A word that CommonMark, GitHub or GitLab may not show as it stands."""
_OPENS_A_BLOCK = re.compile(r">.*|[+=-]+|\d+[.)]")
"""A first word that begins a quote, another list or a line across."""
_CLAUSE = re.compile(r"(?<=[,;:.]) ")
_ONE_NAME = re.compile(r"`([^`\s]+)`")

_json_string = json.encoder.encode_basestring_ascii

_SQL = "(?:ALTER|GRANT|REVOKE|CREATE|SELECT|DROP|ANALYZE|REINDEX) "
_CURE_COMMAND = re.compile(
    r"""(?:^|(?<=: ))(?:(?:preflight|systemctl) (?:'[^']*'|"[^"]*"|[^;])*|(?:ssh|sudo|printf|psql|rm|chmod|chown"""
    r"|chage|install|mkdir|cd|faillock|pg_restore|pg_verifybackup|openssl|timedatectl|chronyc|setfacl|scp|usermod"
    r"""|sha256sum|ssh-keygen(?= -)|[\w.-]+(?= ALL=)) (?:'[^']*'|"[^"]*"|(?!; or[ ,]).)*"""
    rf"""|(?:{_SQL}(?:'[^']*'|"[^"]*"|[^;])*;?(?: (?={_SQL}))?)+)""",
    re.DOTALL,
)
"""The line of a cure that a shell, sudoers or psql takes: to its end or to `; or`, one of this tool or of systemctl to
the next semicolon that is not quoted, of SQL all statements that follow each other."""
_VOID = {"meta", "br", "hr", "input"}
"""Elements of HTML without an end."""

_MOST_IN_MARKDOWN = 2000
_MOST_IN_HTML = 5000
_MOST_IN_XML = 20_000
_MOST_IN_A_LABEL = 500
_MOST_IN_AN_ANNOTATION = 4000
"""Characters. GitHub cuts a message at 4096."""


def clean(text: str) -> str:
    """Fit for a terminal and for the log of a build, on one line."""
    seen = visible(text)
    return _CI_COMMAND.sub("## ", seen) if "##" in seen else seen


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each fit to stand in a log by itself."""
    return [no_command(clean(line.rstrip("\r"))).rstrip() for line in text.split("\n")]


def no_command(line: str) -> str:
    """A line of a log that no build system obeys, whatever it begins with."""
    return _CI_LINE.sub(r"\1: :", _CI_COMMAND.sub("## ", line))


def line_to_paste(line: str, *, ascii: bool = False) -> str:  # noqa: A002 - as the encoding
    """A command line that shows nothing but itself, and that the shell reads back byte for byte.

    `ascii`: what is beyond ASCII counts as odd, too.

    `line` is quoted as by `shlex.quote`, so whatever is odd in it stands between single quotes. `##[` becomes
    `#''#[`; a character that cannot be seen is left to `"$(printf '\\302\\240')"`, its bytes in octal. Both are POSIX;
    `$'...'` is younger than the `sh` of many servers. Empty for what neither can say: `$(...)` drops a line break at
    its end, and a lone surrogate that is no byte of a file's name has no bytes."""
    if "\n" in line:
        return ""
    if line.isprintable() and not ascii and "##" not in line and not line.startswith("::"):
        return line
    parts = []
    for odd, characters in groupby(line, key=lambda each: not each.isprintable() or (ascii and not each.isascii())):
        text = "".join(characters)
        try:
            octal = "".join(f"\\{byte:03o}" for byte in text.encode(errors="surrogateescape")) if odd else ""
        except UnicodeEncodeError:
            return ""
        parts.append(f"""'"$(printf '{octal}')"'""" if odd else _CI_COMMAND.sub("#''#", text))
    return re.sub("^::", "':':", "".join(parts))


def command_in(cure: str) -> tuple[str, str, str]:
    """A cure as what stands before the command to paste, the command, and what follows it; no command where there is
    none, or where pasting what is seen would do something else."""
    found = _CURE_COMMAND.search(cure)
    if not found or len(found[0]) > _MOST_IN_HTML or line_to_paste(found[0]) != found[0]:
        return cure, "", ""
    return cure[: found.start()].rstrip(), found[0], cure[found.end() :].lstrip("; ")


def html_text(text: str) -> str:
    """Text of an element, or the value of an attribute in quotes."""
    return html.escape(clean(shortened(text, _MOST_IN_HTML)))


def xml_text(text: str) -> str:
    """Every character is one that XML may hold; ElementTree escapes the rest."""
    return _ILLEGAL_IN_XML.sub("\ufffd", clean(text[:_MOST_IN_XML]))


def xml_lines(text: str) -> list[str]:
    return [xml_text(line) for line in clean_lines(text[:_MOST_IN_XML])]


def label_value(text: str) -> str:
    """The value of a Prometheus label in quotes."""
    return clean(text[:_MOST_IN_A_LABEL]).replace("\\", "\\\\").replace('"', '\\"')


def annotation_text(text: str) -> str:
    """The message of a GitHub workflow command, as the runner reads it back: lines are kept."""
    lines = [clean(line) for line in text[:_MOST_IN_AN_ANNOTATION].replace("\r", "").split("\n")]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def annotation_property(text: str) -> str:
    """The value of a property of such a command."""
    return clean(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def json_text(document: Any) -> str:
    """JSON as every report for programs is written: indented ASCII with a newline at its end, keys in their order,
    moments as ISO 8601, dataclasses by their fields.

    `##[...]` within a string is written with an escape that reads back the same."""
    return _json(document, "\n").replace("##", "#\\u0023") + "\n"


def _json(value: Any, begin: str) -> str:
    """As `json.dumps(indent=2)`, whose indenting in Python takes four times as long. `begin`: of the line it is on."""
    if isinstance(value, str):
        return _json_string(value)
    if isinstance(value, datetime):
        return _json_string(value.isoformat())
    if value is None or isinstance(value, int | float):
        return json.dumps(value)
    deeper = f"{begin}  "
    if isinstance(value, list | tuple):
        brackets, parts = "[]", [_json(each, deeper) for each in value]
    elif isinstance(value, Mapping):
        brackets, parts = "{}", [f"{_json_string(key)}: {_json(each, deeper)}" for key, each in value.items()]
    else:
        names = value.__dataclass_fields__
        brackets, parts = "{}", [f'"{name}": {_json(getattr(value, name), deeper)}' for name in names]
    return f"{brackets[0]}{deeper}{f',{deeper}'.join(parts)}{begin}{brackets[1]}" if parts else brackets


def markdown_text(text: str) -> str:
    """One line of Markdown that renders as `text`.

    A change system may strip HTML, send mail to whoever is `@mentioned` and link `#12`. Words that could start such a
    thing, or any markup, stand in a code span: no system looks into one, and it reads well as it stands, for such
    words are mostly paths, addresses and keys anyway."""
    shown = clean(text[:_MOST_IN_MARKDOWN]).strip()
    more = shortened(text, _MOST_IN_MARKDOWN)[_MOST_IN_MARKDOWN:]
    first, blank, rest = shown.partition(" ")
    begin, rest = (markdown_code(first) + blank, rest) if _OPENS_A_BLOCK.fullmatch(first) else ("", shown)
    return begin + " ".join(map(_clause, _CLAUSE.split(rest))) + more


def markdown_code(text: str) -> str:
    """A code span; empty for nothing to see."""
    shown = clean(text[:_MOST_IN_MARKDOWN])
    fence = "`" * (longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else ""


def longest_run(text: str) -> int:
    """Of backticks: what encloses the text in Markdown must have more."""
    return max(map(len, re.findall("`+", text)), default=0)


def _clause(text: str) -> str:
    """Neighbouring words that need it share a code span."""
    runs = groupby(text.split(" "), key=lambda word: bool(_NEEDS_CODE.search(word)))
    return " ".join(_span(" ".join(words)) if special else " ".join(words) for special, words in runs)


def _span(text: str) -> str:
    """In code, without the brackets and the sentence's marks around it; a name in backticks is in code already."""
    core = text.removeprefix("(").rstrip(",;:.")
    if core.count(")") > core.count("("):
        core = core.removesuffix(")")
    before, _, after = text.partition(core)
    name = _ONE_NAME.fullmatch(core)
    return f"{before}{markdown_code(name[1] if name else core)}{after}"


class Html(str):
    """Text that is HTML already; made by the functions of this module only."""

    __slots__ = ()


def el(tag: str, *children: str, **attributes: str | float | None) -> Html:
    """`el("td", text, class_="x")`: an element. Attributes that are None are left out; `_` in a name stands for `-`."""
    written = ""
    for name, value in attributes.items():
        if value is not None:
            text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
            written += f' {name.rstrip("_").replace("_", "-")}="{html_text(text)}"'
    return Html(f"<{tag}{written}>" + ("" if tag in _VOID else f"{joined(*children)}</{tag}>"))


def joined(*children: str) -> Html:
    """Several one after the other."""
    return Html("".join(child if isinstance(child, Html) else html_text(child) for child in children))


def whole(text: str) -> Html:
    """Text that is harmless already and must not be cut."""
    return Html(html.escape(text))
