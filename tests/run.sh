#!/bin/sh
# Sets up and runs everything that must be green: lint, types, tests.
#
# Needs Python 3.11 or newer with pip. The tests start a real sshd and a real PostgreSQL on loopback; what is missing is
# installed by its Debian name, without starting any service. Further arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

missing=
command -v sshd >/dev/null 2>&1 || [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
command -v ssh >/dev/null 2>&1 || missing="$missing openssh-client"
command -v sudo >/dev/null 2>&1 || missing="$missing sudo"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v chage >/dev/null 2>&1 || missing="$missing passwd"
command -v csh >/dev/null 2>&1 || missing="$missing tcsh"
command -v fish >/dev/null 2>&1 || missing="$missing fish"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v pgrep >/dev/null 2>&1 || missing="$missing procps"
command -v mkfs.ext4 >/dev/null 2>&1 || [ -x /sbin/mkfs.ext4 ] || missing="$missing e2fsprogs"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "The tests need these Debian packages:$missing" >&2
        echo "Install them as root: apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
    # A policy that forbids starting services: nothing of ours listens on port 22 or 5432.
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -q
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    if [ -n "$policy" ]; then
        rm -f "$policy"
        trap - EXIT
    fi
fi

# --without-pip: Debian keeps the pip for virtual environments in a package of its own, which may be missing.
[ -x .venv/bin/python ] || python3 -m venv --without-pip .venv
python3 -m pip --disable-pip-version-check --python .venv/bin/python install -q -e '.[demo,test,dev]'

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy preflight checks
exec .venv/bin/python -m pytest "$@"
