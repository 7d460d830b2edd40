#!/bin/sh
# Sets up and runs everything that must be green: lint, types, tests.
#
#   sh tests/run.sh             all tests but those marked `long`
#   sh tests/run.sh --all       all tests, as CI runs them
#   sh tests/run.sh ARGUMENTS   what pytest takes: those tests, long ones too
#
# Needs Python 3.11 or newer with pip. The tests start a real sshd and a real PostgreSQL on loopback; what is missing is
# installed by its Debian name, without starting any service.
set -eu
cd "$(dirname "$0")/.."

which=short
[ $# -eq 0 ] || which=all
[ "${1-}" != --all ] || shift

missing=
command -v sshd >/dev/null 2>&1 || [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
command -v ssh >/dev/null 2>&1 || missing="$missing openssh-client"
command -v sudo >/dev/null 2>&1 || missing="$missing sudo"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -f /usr/share/i18n/locales/de_DE ] || missing="$missing locales"
command -v chage >/dev/null 2>&1 || missing="$missing passwd"
[ -n "$(find /lib /usr/lib -name pam_oath.so 2>/dev/null)" ] || missing="$missing libpam-oath"
command -v oathtool >/dev/null 2>&1 || missing="$missing oathtool"
command -v csh >/dev/null 2>&1 || missing="$missing tcsh"
command -v fish >/dev/null 2>&1 || missing="$missing fish"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
command -v pgrep >/dev/null 2>&1 || missing="$missing procps"
command -v mkfs.ext4 >/dev/null 2>&1 || [ -x /sbin/mkfs.ext4 ] || missing="$missing e2fsprogs"
command -v ip >/dev/null 2>&1 || [ -x /sbin/ip ] || missing="$missing iproute2"
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v setfacl >/dev/null 2>&1 || missing="$missing acl"
perl -MMonitoring::Plugin::Performance -e 1 >/dev/null 2>&1 || missing="$missing libmonitoring-plugin-perl"
if [ $which = all ]; then
    command -v pgbackrest >/dev/null 2>&1 || missing="$missing pgbackrest"
    command -v barman >/dev/null 2>&1 || missing="$missing barman"
    command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || missing="$missing mariadb-server"
    command -v mariadb-dump >/dev/null 2>&1 || missing="$missing mariadb-client"
    command -v strace >/dev/null 2>&1 || missing="$missing strace"
    command -v kubectl >/dev/null 2>&1 || missing="$missing kubernetes-client"
fi
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

# Hundreds of processes start from these sources: they are compiled once, whatever the caller's own habit is.
unset PYTHONDONTWRITEBYTECODE

# --without-pip: Debian keeps the pip for virtual environments in a package of its own, which may be missing.
[ -x .venv/bin/python ] || python3 -m venv --without-pip .venv
python3 -m pip --disable-pip-version-check --python .venv/bin/python install -q -e '.[demo,test,dev]'

lint() {
    .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy preflight checks
}

if [ $# -gt 0 ]; then
    lint
    exec .venv/bin/python -m pytest "$@"
fi

# The suite waits more than it computes, so its parts run side by side: the paths of each line below, and last the whole
# suite without them, so that every test is in one part. They are cut by the time they take. A part makes its own servers,
# accounts and files; their names carry the process that made them.
part1="tests/site/test_[a-d]*.py"
part2="tests/sessions tests/cli"
part3="tests/site/test_[e-m]*.py"
part4="tests/site/test_[!a-r]*.py tests/trials tests/questions tests/checks"
part5="tests/demo tests/misbehaving"
part6="tests/docs tests/site/test_[n-r]*.py"
others=
for path in $part1 $part2 $part3 $part4 $part5 $part6; do others="$others --ignore=$path"; done

logs=$(mktemp -d)
pids=
trap 'status=$?; [ -z "$pids" ] || kill $pids 2>/dev/null || :; rm -rf "$logs"; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

selected=
[ $which = all ] || selected="not long"

# No cache: each part would overwrite what the others keep for --last-failed.
run_tests() { exec .venv/bin/python -m pytest -p no:cacheprovider -m "$selected" "$@"; }

begin() { # NAME COMMAND...: runs it in the background, its output kept for `finish`
    name=$1
    shift
    : >"$logs/$name" # `tail` below may look before the background has opened it
    "$@" >>"$logs/$name" 2>&1 &
    pids="$pids $!"
    eval "pid_$name=$!"
}

finish() { # NAME: waits, then shows the output
    eval "wait \"\$pid_$1\"" || failed="$failed $1"
    cat "$logs/$1"
}

failed=
# shellcheck disable=SC2086 # lists of arguments
{
    begin lint lint
    begin part2 run_tests $part2
    begin part3 run_tests $part3
    begin part4 run_tests $part4
    begin part5 run_tests $part5
    begin part6 run_tests $part6
    begin part7 run_tests $others
    begin part1 run_tests $part1
}
tail -n +1 -f --pid="$pid_part1" "$logs/part1" # something to look at meanwhile
wait "$pid_part1" || failed=" part1"
finish part2
finish part3
finish part4
finish part5
finish part6
finish part7
finish lint
pids=
if [ -n "$failed" ]; then
    echo "FAILED:$failed" >&2
    exit 1
fi
if [ $which = all ]; then
    echo "All tests passed; lint and types are clean."
else
    left=$(sed -n 's/^=.* \([0-9][0-9]*\) deselected.*/\1/p' "$logs"/* | awk '{ sum += $1 } END { print sum + 0 }')
    echo "All tests passed but $left long ones, which were not run: sh tests/run.sh --all. Lint and types are clean."
fi
