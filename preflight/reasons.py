"""Why something could not be asked: the one table of reasons.

Each reason says in words what stood in the way, on whose side that lies, what it makes of a login that failed, and what
cures it. Sessions choose the reason; nobody else words it or looks for its cure."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Self

from preflight.finding import Status


class Side(StrEnum):
    """Where the trouble lies, and with that who can mend it."""

    HERE = "this machine"
    """The one that preflight runs on: its secrets, keys, name service, descriptors."""
    NETWORK = "the network"
    FAR_END = "the far end"
    """The server answered and refused, or broke off."""
    SITE = "a rule of the site"
    """A limit that somebody set on purpose; it tells nothing of the account."""
    TOOL = "a limit of this tool"


Cures = str | Mapping[str, str]
"""An act or command that cures it, for every kind of session or by kind (`ssh`, `sql`, `http`, `local`). The fields
in braces are filled by `preflight.judging.cures`."""

LOOK_AT_OUR_CLOCK = "look at this machine's clock first (chronyc tracking, timedatectl)"
"""The cure of checks that see another clock than ours, and cannot know which of the two is wrong."""
_ENDED = "read the log of {target} for why it ended the session"
_ASK = "ask it, too: preflight run, or the part of preflight collect that asks it"
_SHOW = "have somebody run what `preflight show` prints for it there, and mend what spoils its output"
_SLOW = "have {owner} see why {target} is so slow"  # no --timeout lengthens the limit of one question or target
_SSHD_LOG = "have {owner} look for {user} in sshd's log on {target}"
_SHELL = "have root give the account a shell on {target}: usermod -s /bin/sh {user}"
_SERVER_LOG = "look for {user} in the log of the server, or of a pooler before it, which names the reason"
_LOOK = "have the DBA look: SELECT rolcanlogin, rolvaliduntil FROM pg_roles WHERE rolname = {literal}; "
_OPEN_SQL = 'have the network opened to port {port}, or reach it through its host: connect = "tunnel"'
_OPEN_HTTP = "have the way from this machine to {host} port {port} opened, or run preflight where it is open"
_KEY_FILE = "put the key where preflight runs: {key}, or correct `key` in [hosts.{target}]"
_REPORT = "report it to the authors of preflight"
_CONFIRM = "have {owner} confirm the password of {user}, and correct the secret that"
_OWN = "names; where that is an account of its own, say local_account = true there"
_CHANGE_IT = "change the secret to one of 6 characters or more that is no word of the plan or of a report"
_OTHER_PORT = {
    "ssh": "correct `port` in [hosts.{target}]: something else than sshd answers there",
    "sql": "correct `port` in [databases.{target}]: something else than PostgreSQL answers there",
    "http": "correct the URL in the plan: something else than an HTTP server answers on {host} port {port}",
}
_APP_LOG = "read the logs of {target} and of proxies before it on {host}: the answer is broken off"


class Reason(Enum):
    """One member for each word with which a session says that it could not ask."""

    def __init__(self, words: str, side: Side, cures: Cures, status: Status | None = None) -> None:
        self.words = words
        """As printed after `could not look: ` and `no login: `."""
        self.side, self.cures = side, cures
        self.status = status or (Status.FAIL if side in (Side.NETWORK, Side.FAR_END) else Status.UNKNOWN)
        """What the check that confirms a login makes of it; for all others it is UNKNOWN."""

    def __str__(self) -> str:
        return self.words

    @property
    def id(self) -> str:
        """As kept in evidence: the member's name in lower case, with hyphens."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def of(cls, kept: str) -> Self:
        """The member that evidence keeps so. Raises ValueError."""
        try:
            return cls[kept.upper().replace("-", "_")]
        except KeyError:
            raise ValueError(f"{kept!r} is no reason that this version knows") from None

    def cure(self, via: str) -> str:
        """The template of its cure where it was met on a session of the kind `via`."""
        return self.cures if isinstance(self.cures, str) else self.cures.get(via, _REPORT)

    # A table: words, side and cure; the cure stands in the next line where one is too short.
    # fmt: off

    # Nobody was asked.
    NOT_ASKED = "not asked", Side.TOOL, _ASK
    ONLY_THROUGH = ("not asked (only a way through)", Side.SITE,
        'give [hosts.{target}] a login with a shell, and take login = "through" out')
    CLOSED_HERE = "not asked (the run was ended)", Side.HERE, _ASK
    CONTRADICTION = ("the answers contradict each other", Side.TOOL,
        "ask from one place, or find out why the answers differ")
    UNREADABLE = "unreadable reply", Side.TOOL, _SHOW
    DEFECT = "a defect of preflight", Side.TOOL, _REPORT

    # This machine.
    NO_SECRET = ("the secret is not there", Side.HERE,
        "set it where preflight runs, or name another reference in the plan")
    NO_TERMINAL = ("no terminal to ask on", Side.HERE,
        "run preflight on a terminal, or name another reference than `prompt` in the plan")
    SECRET_NOT_MASKED = ("this tool cannot keep the secret out of the report", Side.TOOL, {
        "ssh": f"{_CHANGE_IT}, or log in by key: `key` or `agent` in [hosts.{{target}}]",
        "sql": f"{_CHANGE_IT}, or log in by a client certificate (in ~/.postgresql)",
        "http": f"{_CHANGE_IT}, or ask with a client certificate",
    })
    OPEN_FILES = "not asked (open files)", Side.HERE, "raise the limit of open files where preflight runs (ulimit -n)"
    BUSY = ("not asked (busy)", Side.HERE,
        "ask with a longer --timeout, or when the machine preflight runs on has less to do")
    REFUSED_ELSEWHERE = ("not tried (refused elsewhere)", Side.HERE, {
        "ssh": f"{_CONFIRM} [hosts.{{target}}] {_OWN}",
        "sql": f"{_CONFIRM} [databases.{{target}}] {_OWN}",
        "http": "have the owner of {target} confirm the secret it is asked with, and correct it where preflight runs",
    })
    KEY_MODE = "others may read the key file", Side.HERE, "chmod 600 {key}", Status.FAIL
    KEY_CIPHER = ("not supported (key cipher)", Side.TOOL,
        "use a cipher this tool reads: ssh-keygen -p -Z aes256-ctr -f {key}; or log in through the agent")
    CLIENT_KEY = "no credential (client key)", Side.HERE, "correct what the finding names"
    NO_CREDENTIAL = "no credential", Side.HERE, "name one in [hosts.{target}]: key, agent or password"
    KEY_FILE = "the key file cannot be read", Side.HERE, _KEY_FILE
    KEY_FORMAT = "the key file holds no usable key", Side.HERE, _KEY_FILE
    KEY_TYPE = "a kind of key not supported", Side.TOOL, "use an ed25519, ECDSA or RSA key, or the agent, for {target}"
    PASSPHRASE_NEEDED = ("the key wants a passphrase", Side.HERE,
        'name the key\'s passphrase: passphrase = "prompt" in [hosts.{target}], or use the agent')
    PASSPHRASE_WRONG = ("the passphrase is wrong", Side.HERE,
        "correct the secret that `passphrase` in [hosts.{target}] names")
    NO_AGENT = "no SSH agent", Side.HERE, "start the SSH agent and add the key (ssh-add)"
    NOT_IN_AGENT = ("the key is not in the agent", Side.HERE,
        "add the key (ssh-add), or correct `agent` in [hosts.{target}]")
    SSH_CONFIG = "ssh_config cannot be read", Side.HERE, "run `ssh -G` for {target} by hand and mend what it says"
    PROXY_COMMAND = "ProxyCommand is not supported", Side.TOOL, "name the way to {target} with `jump` in the plan"
    NAME_SERVICE = ("the name service here does not answer", Side.HERE,
        "mend the name service of the machine that runs preflight, or give an IP address in the plan")
    NO_DRIVER = ("the PostgreSQL driver is unusable here", Side.HERE,
        "have psycopg installed again where preflight runs: python3 -m pip install 'psycopg[binary]'")
    NO_SSH_KEYGEN = ("no ssh-keygen here", Side.HERE,
        "install the client programs of OpenSSH (openssh-client) where preflight runs")
    CA_FILE = ("the file of authorities cannot be used", Side.HERE, {
        "sql": "correct `sslrootcert` in [databases.{target}]",
        "http": "correct `ca` in the plan, or put the file there",
    })
    SERVER_NAME = "not a server name", Side.HERE, "correct `server_name` in the plan"
    PARAMETER = "a parameter libpq refuses", Side.HERE, "correct [databases.{target}] as the finding says"
    FILE_DENIED = "not readable here", Side.HERE, "let whoever runs preflight read it, where preflight runs"
    FILE_UNSTABLE = "changed while it was read", Side.HERE, "ask when nobody writes to it"
    CLOCK_SET = ("the clock here was set meanwhile", Side.HERE,
        "look at this machine's clock (chronyc tracking, timedatectl), have it set right, and ask again")
    FILE_TROUBLE = "cannot be read here", Side.HERE, "have the file mended where preflight runs"

    # The way there.
    NO_SUCH_NAME = ("unreachable (no such name)", Side.NETWORK, {
        "ssh": "correct `address` in [hosts.{target}], or have the name entered in the DNS",
        "sql": "correct {address}, or have the name entered in the DNS",
        "http": "correct the URL in the plan, or have the name {host} entered in the DNS",
    })
    NO_ROUTE = ("unreachable (no route)", Side.NETWORK, {
        "ssh": "have the network opened from this machine to {target} port {port}, or name a `jump` host",
        "sql": _OPEN_SQL,
        "http": _OPEN_HTTP,
    })
    UNREACHABLE = ("unreachable", Side.NETWORK, {
        "ssh": "have the way from this machine to {target} port {port} opened",
        "sql": _OPEN_SQL,
        "http": _OPEN_HTTP,
    })
    NO_ANSWER = ("timed out", Side.NETWORK, {
        "ssh": "have the firewall between this machine and {target} port {port} opened, or sshd on it mended",
        "sql": "have the firewall to port {port} opened, or the server mended",
        "http": _OPEN_HTTP,
    })
    NOT_LISTENING = ("refused", Side.FAR_END, {
        "ssh": "have sshd started on {target} port {port}, or correct `port` in [hosts.{target}]",
        "sql": "have the server started and listen on that address (listen_addresses), or correct `port`",
        "http": "start {target} on {host}, or correct the port in the plan: nothing listens on {port}",
    })
    JUMP = "the jump host is not to be had", Side.NETWORK, "cure the line host-login {jump}", Status.UNKNOWN
    NOT_FROM_JUMP = ("unreachable (from jump)", Side.NETWORK,
        "have the firewall opened from the jump host {jump} to {target} port {port}")
    HOST = "its host is not to be had", Side.NETWORK, "cure the line host-login {host}", Status.UNKNOWN
    NOT_LET_THROUGH = ("not let through (from jump)", Side.FAR_END,
        ("have sshd on {jump} let its login through to {target} port {port}: AllowTcpForwarding and PermitOpen in "
        "sshd_config; for a key with `restrict`, port-forwarding in authorized_keys"))
    FORWARDING_REFUSED = ("no tunnel", Side.FAR_END,
        ("have sshd on {host} let the login through to port {port}: for a key with `restrict` "
        'port-forwarding,permitopen="{server}:{port}" in authorized_keys, AllowTcpForwarding in sshd_config; and '
        "have the server listen there"))

    # Limits of time and size.
    RUN_DEADLINE = "timed out (the run's own limit)", Side.TOOL, "allow the run more time: --timeout"
    TARGET_LIMIT = "timed out (this target's limit)", Side.FAR_END, _SLOW, Status.UNKNOWN
    QUESTION_LIMIT = ("timed out", Side.FAR_END, {
        "ssh": f"{_SLOW}; where other checks of it pass, run `df` there to see which file system hangs",
        "sql": _SLOW,
    }, Status.UNKNOWN)
    TOO_MUCH = ("cut off (too much output)", Side.FAR_END,
        "have what it asks answer in fewer bytes on {target}", Status.UNKNOWN)
    CONNECTION_LOST = ("cut off", Side.FAR_END, {
        "ssh": f"{_ENDED}; where it did not, have the network on the way there looked at",
        "sql": f"mend what the server says, or {_ENDED}; where a pooler ended it, name the server's own address and "
            "port in [databases.{target}]; where neither did, have the network on the way there looked at",
    }, Status.UNKNOWN)

    # SSH: the server and its key.
    TURN = "timed out (turn)", Side.TOOL, "ask with a longer --timeout: other logins took the time there was"
    THROTTLED = ("refused (throttled)", Side.SITE,
        ("have MaxStartups of sshd on {target} raised; where it says `Not allowed at this time`, have this machine's "
        "address put into PerSourcePenaltyExemptList"))
    HANDSHAKE = ("timed out (handshake)", Side.FAR_END, {
        "ssh": "have sshd on {target} looked at: it takes connections on port {port} and does not go on",
        "http": "correct the port in the plan if it speaks no TLS; else have {target} on {host} looked at: it "
            "hangs",
    })
    LOGIN_LATE = ("timed out (login)", Side.FAR_END, {
        "ssh": "have {owner} see what sshd on {target} waits for in the login of {user}: PAM, LDAP or SSSD, a name "
            "service",
        "sql": "have the DBA see what logins to {name} wait for at {server} port {port}: a lock on a catalogue, a "
            "pooler without a free connection, LDAP or PAM, a server that hangs; or correct the port",
    })
    CLOSED_EARLY = "cut off (before the login)", Side.FAR_END, _SSHD_LOG
    NOT_SSH = "cut off (not SSH)", Side.FAR_END, _OTHER_PORT
    NO_COMMON_ALGORITHM = ("no common algorithm", Side.TOOL,
        "let sshd on {target} offer what the finding names, too, or name a `jump` host")
    CERT_AUTHORITY = "not supported (cert authority)", Side.TOOL, "pin the host's own key: {seal}"
    HOST_KEY_UNKNOWN = ("host key unknown", Side.HERE,
        "compare the fingerprint with {owner} by another way, then pin it: {seal}", Status.FAIL)
    HOST_KEY_CHANGED = ("host key changed", Side.FAR_END,
        ("do not log in: ask {owner} why the host key of {target} is another one; only when its "
        "fingerprint is confirmed, pin the new one: {pin_again}"))
    HOST_KEY_REVOKED = ("host key revoked", Side.FAR_END,
        "do not log in: the key is marked @revoked; ask {owner} which key {target} has now")

    # SSH: the login and the shell.
    BAD_CREDENTIAL = ("denied (bad credential)", Side.FAR_END,
        "have {owner} confirm {user} on {target} and its {credential}, and correct what [hosts.{target}] names{locked}")
    USER_CERTIFICATE = ("denied (certificate not valid now)", Side.FAR_END,
        "have whoever signs certificates issue one for {user} that is valid past {until}, and put it beside the key")
    NO_CODE = ("no code for the second factor", Side.HERE,
        ("call preflight on a terminal where somebody has the code of {user}; for calls without one, have {owner} "
        "arrange a login there that needs no code, with a key that holds from this machine alone (from=)"))
    BAD_CODE = ("denied (second factor)", Side.FAR_END,
        ("have {owner} see in sshd's log on {target} what it refused of {user}; then call preflight again with a code "
        "that was not used{locked}"))
    METHOD_NOT_ALLOWED = ("denied (method not allowed)", Side.FAR_END,
        "give [hosts.{target}] a credential the server takes, or have sshd allow this one for {user}")
    PARTIAL = ("denied (partial)", Side.FAR_END,
        ("where a code is wanted that somebody types, name the server's words in [hosts.{target}]: second_factor = "
        '"prompt:..."; or arrange a login for {user} there that needs one credential only'))
    ACCOUNT_EXPIRED = ("denied (account expired)", Side.FAR_END,
        "have the account {user} on {target} extended past {until}: chage -E {date} {user}")
    CLOSED_DURING_LOGIN = ("cut off (closed during login)", Side.FAR_END,
        "read sshd's log on {target} for {user}: expiry, pam_time or AllowUsers end it so")
    PASSWORD_EXPIRED = ("no usable shell (password expired)", Side.FAR_END,
        ("log in to {target} as {user}, set a new password, and put it where the plan finds it; where the login is by "
        'key and nobody knows a password, its age may count from today, as root there: chage -d "$(date +%F)" {user}'))
    NOLOGIN = "no usable shell (nologin)", Side.FAR_END, _SHELL
    NO_SHELL = "no usable shell", Side.FAR_END, _SHELL
    NO_SESSION = ("no usable shell (no session)", Side.FAR_END,
        "have sshd on {target} open sessions for {user}: MaxSessions in sshd_config, above 0")
    SFTP_ONLY = ("no usable shell (sftp only)", Side.FAR_END,
        "take ForceCommand internal-sftp for {user} out of sshd_config on {target}, or use another account")
    NOT_UNIX = ("not supported (no Unix shell)", Side.TOOL,
        ("this tool cannot look at Windows hosts over SSH: take [hosts.{target}] out, ask its applications by `health` "
        "and have a person answer for the rest in an [[attest]]; or, where OpenSSH there has a shell that can run sh, "
        "have that set as its DefaultShell"))
    FORCED_COMMAND = ("no usable shell (forced command)", Side.FAR_END,
        ('take command="..." off the key of {user} in authorized_keys on {target}, or use another key; without one, '
        "take ForceCommand out of sshd_config, or a menu out of the account: usermod -s /bin/sh {user}"))
    START_UP_FILE = ("no usable shell (start-up file)", Side.FAR_END,
        ("in ~/.bashrc (~/.cshrc) of {user} on {target}: nothing may read standard input, print without end, end the "
        "shell or spoil PATH"))
    SHELL_ENDED = "cut off (the shell ended)", Side.FAR_END, _SSHD_LOG, Status.UNKNOWN

    # PostgreSQL.
    BAD_PASSWORD = ("bad password", Side.FAR_END,
        (f"correct the secret that `password` in [databases.{{target}}] names; if it is right, {_LOOK}"
        "no row: CREATE ROLE {role} LOGIN; an end in the past: ALTER ROLE {role} VALID UNTIL '{date}'; then, in "
        "psql, \\password {role}"))
    AUTHENTICATION_FAILED = ("authentication failed", Side.FAR_END,
        "have pg_hba.conf ask {user} for a password (scram-sha-256), or map the account")
    NO_PG_HBA = ("no entry in pg_hba.conf", Side.FAR_END,
        "have pg_hba.conf let {user} in to {name} from this machine, then: SELECT pg_reload_conf();")
    NOT_PERMITTED_TO_LOGIN = ("not permitted to log in", Side.FAR_END,
        f"{_LOOK}a row: ALTER ROLE {{role}} LOGIN; no row: CREATE ROLE {{role}} LOGIN;")
    DATABASE_MISSING = ("database missing", Side.FAR_END,
        "correct `name` in [databases.{target}], or {address}, or its `port`: that server has no database {name}")
    DATABASE_CLOSED = "database closed", Side.FAR_END, "ALTER DATABASE {database} ALLOW_CONNECTIONS true;"
    NO_CONNECT_PRIVILEGE = "no connect privilege", Side.FAR_END, "GRANT CONNECT ON DATABASE {database} TO {role};"
    TOO_MANY_CONNECTIONS = ("too many connections", Side.FAR_END,
        ("have sessions ended that nobody needs, or the limit raised that the finding names: ALTER ROLE {role} "
        "CONNECTION LIMIT -1; ALTER DATABASE {database} CONNECTION LIMIT -1; or max_connections, with a restart"))
    STARTING_UP = ("starting up", Side.FAR_END,
        ("wait until pg_isready -h {server} -p {port} says so; have a server that is being stopped started again, and "
        "a standby that is to be asked given hot_standby = on"))
    SERVER_FILES = ("the server's files", Side.FAR_END,
        "have the DBA look at the server's log and at its file system, which may be read-only")
    SERVER_REFUSED = "server refused", Side.FAR_END, _SERVER_LOG
    PASSWORD_NEEDED = ("password needed", Side.FAR_END,
        'name where the password of {user} is found: `password` in [databases.{target}]')
    CLEARTEXT_PASSWORD = ("cleartext password", Side.FAR_END,
        "have the server use TLS or scram-sha-256; a password is not sent in clear text")
    CLOSED_BY_SERVER = "closed by the server", Side.FAR_END, _SERVER_LOG
    NOT_POSTGRESQL = "not PostgreSQL", Side.FAR_END, _OTHER_PORT
    PROTOCOL = "protocol error", Side.FAR_END, _SERVER_LOG
    STATEMENT_TIMEOUT = "statement timeout", Side.FAR_END, _SLOW, Status.UNKNOWN
    LOCK_TIMEOUT = ("lock timeout", Side.FAR_END,
        "see who holds it: SELECT pid, relation::regclass FROM pg_locks WHERE mode = 'AccessExclusiveLock'",
        Status.UNKNOWN)
    SERVER_TROUBLE = ("the server could not answer", Side.FAR_END,
        "mend what the server says, of which its log tells more, and ask again", Status.UNKNOWN)

    # TLS.
    TLS_UNSUPPORTED = ("TLS not offered", Side.FAR_END,
        'have TLS switched on at the server (ssl = on), or say sslmode = "disable"')
    PLAIN_HTTP = ("TLS failed (plain http)", Side.FAR_END,
        "have TLS enabled on {host} port {port}, or correct the URL in the plan to http://")
    TLS_PROTOCOL = ("TLS failed (no common protocol)", Side.FAR_END,
        "have TLS 1.2 or newer enabled on {host} with ciphers of today, and no client certificate wanted")
    TLS_FAILED = ("TLS failed", Side.FAR_END, {
        "sql": "cure the TLS settings of the server or of [databases.{target}]",
        "http": "read the log of the server on {host}: its TLS does not work",
    })
    CERTIFICATE_EXPIRED = ("TLS failed (certificate expired)", Side.FAR_END,
        "have the certificate that the finding names renewed for {host}: it must hold through the window")
    CERTIFICATE_NOT_YET_VALID = ("TLS failed (certificate not yet valid)", Side.FAR_END,
        "compare the clocks of this machine and of {host}; else have its certificate issued anew")
    CERTIFICATE_NAME = ("TLS failed (certificate name)", Side.FAR_END, {
        "sql": "say `server_name` in [databases.{target}], or have a certificate for that name made",
        "http": "have a certificate issued that names {name}, or correct `server_name` in the plan",
    })
    CERTIFICATE_UNTRUSTED = ("TLS failed (certificate untrusted)", Side.FAR_END, {
        "sql": "name the authority that signed it: sslrootcert in [databases.{target}]; or have the server send its "
            "intermediate certificates too (ssl_cert_file)",
        "http": 'name the file with the root of its issuer as `ca` in the plan, or have {host} send its intermediate '
            "certificates too",
    })
    CERTIFICATE_UNFIT = ("TLS failed (certificate unfit)", Side.FAR_END,
        "have a certificate issued for {host} without the fault that the finding names: no file of roots cures that")
    SELF_SIGNED = ("TLS failed (self signed)", Side.FAR_END, {
        "sql": "have an authority issue the certificate, or compare its fingerprint with the DBA's and name it: "
            "sslrootcert in [databases.{target}]",
        "http": "have an authority issue the certificate, or compare its fingerprint with the {owner} and name it "
            "as `ca` in the plan",
    })
    CLIENT_CERTIFICATE = ("TLS failed (client certificate)", Side.FAR_END, {
        "sql": "have a client certificate issued for {user} that the server takes, and name it: `sslcert` and "
            "`sslkey` in [databases.{target}]",
        "http": "have a client certificate issued that {host} takes, and name it at the endpoint: `client_cert` and "
            "`client_key`",
    })

    # HTTP.
    NO_RESPONSE = ("cut off (no answer)", Side.FAR_END,
        "read the log of {target} on {host}: it closes the connection without an answer")
    SHORT_BODY = "cut off (short body)", Side.FAR_END, _APP_LOG
    BODY_TOO_LARGE = "cut off (body too large)", Side.FAR_END, "name a health path in the plan that answers briefly"
    BODY_LENGTH = ("unreadable reply (body length)", Side.FAR_END,
        "have {target}, or the proxy before it on {host}, declare the length that its answer has (Content-Length)")
    HEADERS_TOO_LARGE = ("cut off (headers too large)", Side.FAR_END,
        "have {target}, or the proxy before it on {host}, send fewer and shorter headers, and one answer")
    ANSWER_LOST = ("cut off (connection lost)", Side.FAR_END,
        "read the log of {target} on {host}: it breaks the connection off before its answer is complete")
    NOT_HTTP = "unreadable reply (not http)", Side.FAR_END, _OTHER_PORT
    CONTENT_ENCODING = ("unreadable reply (content encoding)", Side.TOOL,
        "have {target} or the proxy before it heed `Accept-Encoding: identity`")
    HEADERS_LATE = ("timed out (headers)", Side.FAR_END,
        "have {target} on {host} looked at: it takes the request and does not answer")
    BODY_LATE = "timed out (body)", Side.FAR_END, "have {target} on {host} looked at: it does not finish its answer"
    # fmt: on


REFUSALS = frozenset({
    Reason.REFUSED_ELSEWHERE, Reason.BAD_CREDENTIAL, Reason.BAD_CODE, Reason.NO_CODE, Reason.USER_CERTIFICATE,
    Reason.METHOD_NOT_ALLOWED, Reason.PARTIAL, Reason.ACCOUNT_EXPIRED, Reason.CLOSED_DURING_LOGIN,
    Reason.PASSWORD_EXPIRED, Reason.BAD_PASSWORD, Reason.AUTHENTICATION_FAILED, Reason.NOT_PERMITTED_TO_LOGIN,
})  # fmt: skip
"""The server has seen what the account logs in with, and has not let it in: tried again and again, it could be
locked. Or somebody was asked for a code and typed none: asked again and again, nobody could watch the board."""
