"""Standard output and error. The verdict is known before a report's first byte is written, and no trouble while writing
makes it better. Complaints are redacted; standard error may be closed or full, and failing over that helps nobody."""

import contextlib
import os
import select
import sys
from collections.abc import Callable, Collection

import click

from preflight.errors import PreflightError

# What only an error needs is imported there: `--help` and `--version` load neither plan nor reports.
_SECONDS_BETWEEN_LOOKS = 0.2
_LONGEST_LINE = 4096
_masks: list[Callable[[str], str]] = []


class CallError(click.UsageError):
    """A call that cannot be carried out as written; exit code 2."""


def no_such(kind: str, name: str, known: Collection[str], option: str = "") -> CallError:
    """The error for a name that is none of `known`: says which one is nearest, and which there are."""
    from preflight.faults import nearest_name
    from preflight.plan.ranges import in_ranges
    from preflight.wording import visible

    if option and all(part.strip() in known for part in name.split(",")):
        apart = " ".join(f"{option} {part.strip()}" for part in name.split(","))
        return CallError(f"{option}: one {kind} each time: {apart}")
    nearest = nearest_name(name, known)
    meant = f"; did you mean {nearest}?" if nearest else "."
    where = f"{option}: " if option else ""
    there = ", ".join(in_ranges(known)) or "none"
    return CallError(f"{where}no such {kind} {visible(name)!r}{meant} There are: {there}")


def redact_with(mask: Callable[[str], str]) -> None:
    """From now on every complaint passes through `mask`, also one about a defect of the tool."""
    _masks.append(mask)


def complain(text: str) -> None:
    from preflight.report.harmless import no_command

    for mask in _masks:
        text = mask(text)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{no_command(line)}\n" for line in text.rstrip("\n").split("\n")))
        sys.stderr.flush()


def complain_usage(error: click.ClickException) -> None:
    """The error in click's form; with the usage line where the call's form is wrong, not where its content is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help text
        complain(error.format_message())
        return
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):  # click compares the hyphens too, and takes --plan for --at
        from preflight.faults import nearest_name

        known = [name.lstrip("-") for name in error.possibilities or ()]
        nearest = nearest_name(error.option_name.lstrip("-"), known)
        message = error.message + (f" Did you mean '--{nearest}'?" if nearest else "")
    context = getattr(error, "ctx", None)
    usage = "" if context is None or isinstance(error, CallError) else f"{context.get_usage()}\n\n"
    complain(f"{usage}Error: {message}")


def has_terminal() -> bool:
    """Whether a person can be asked something."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def ask_hidden(purpose: str) -> str:
    """A line from the terminal that is not shown."""
    return str(click.prompt(purpose or "secret", hide_input=True, err=True))


def ask_line(question: str, shown: bool, is_over: Callable[[], bool]) -> str | None:
    """A line from the terminal, as `preflight.sessions.AskLine`. What was typed before is not read."""
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    asking = [*before]
    asking[3] = (before[3] | termios.ICANON) & ~(0 if shown else termios.ECHO)
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, asking)
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        while not is_over():
            if select.select([terminal], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
                return os.read(terminal, _LONGEST_LINE).decode(errors="replace").strip()
        return None
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        sys.stderr.write("\n")


class OutputError(PreflightError):
    """A report that could not be written."""


def write_stdout(text: str) -> None:
    """Writes and flushes. A reader that went away (`| head`) is no error; a full disk raises OutputError."""
    stream = sys.stdout
    if stream is None:
        raise OutputError("standard output is closed, the report could not be written")
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _detach_stdout()
    except (OSError, ValueError) as error:
        _detach_stdout()
        raise OutputError(f"the report could not be written to standard output: {error}") from None


def carries_unicode() -> bool:
    """Whether standard output can show what is drawn with characters beyond ASCII."""
    return sys.stdout is not None and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def wants_color(choice: str) -> bool:
    """`always` and `never` as said; `auto` follows NO_COLOR, FORCE_COLOR, TERM=dumb and the terminal, in this order."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and sys.stdout is not None and sys.stdout.isatty()


def _detach_stdout() -> None:
    """Points standard output at nothing, so that the interpreter's own flush at exit stays silent."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
