"""The one thing that writes: sealed scripts are run for real, on a scratch server that is thrown away afterwards.

`server` starts one as `account`; `content` fetches what it is to hold, `work` runs the declared lines, `witness` sees
what they did, `rehearse` puts it all together into the record that the check `rehearsal` wants."""

from preflight.errors import PreflightError


class ScratchError(PreflightError):
    """No scratch server, or none that holds what it is to hold; the text says what is missing and what to do."""
