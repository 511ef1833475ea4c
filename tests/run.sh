#!/usr/bin/env bash
# Every check of this tree, on a machine with Python 3.11 or newer, git and a package index.
#
#   bash tests/run.sh [PYTEST ARGUMENT...]
#
# GATEWATCH_VENV names the environment to use; by default .venv, made on the first run from requirements.lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/venv.sh

failed=()
check() { # NAME COMMAND...: runs it, and remembers when it failed
    local name=$1 status=0
    shift
    say "== $name"
    "$@" || status=$?
    [ "$status" -ne 130 ] || exit 130
    [ "$status" -eq 0 ] || failed+=("$name (exit $status)")
}

command -v git >/dev/null || fail "git is missing; tests need it"
venv=${GATEWATCH_VENV:-.venv}
make_main_venv "$venv"
export PATH="$(cd "$venv/bin" && pwd):$PATH"

mapfile -t travelling < <(python -c 'from jobs.bundle import travelling_files; print(*travelling_files(), sep="\n")')

work=$(mktemp -d)
reading=""
trap '[ -z "$reading" ] || kill "$reading" 2>/dev/null; rm -rf "$work"' EXIT

checks_that_read() { # what needs no test to be run; FILE gets the names of those that failed
    check "ruff check" ruff check --output-format concise .
    check "ruff format" ruff format --check .
    check "lint-imports" lint-imports --no-logo
    check "mypy" mypy
    if [ "${#travelling[@]}" -gt 0 ]; then
        # What travels runs on hosts that have nothing newer.
        check "mypy for Python 3.10, what travels" mypy --python-version 3.10 "${travelling[@]}"
        check "vermin for Python 3.10, what travels" \
            vermin --quiet --no-tips --violations --target=3.10- "${travelling[@]}"
    else
        failed+=("list of travelling modules")
    fi
    [ "${#failed[@]}" -eq 0 ] || printf '%s\n' "${failed[@]}" >"$1"
}
# They use one core and the tests seldom all of them; what they say is shown at the end.
checks_that_read "$work/failed" >"$work/said" 2>&1 &
reading=$!
# Bytecode is made once, also where the environment forbids that it is kept: without it every worker would rewrite the
# assertions of every test for itself, and every process that a test starts would compile the rooms. What is wrong in
# either is said by the tests themselves.
python -m compileall -q gates hosts jobs monitors tui gatewatch.py >/dev/null || true
if [ ! -d tests/__pycache__ ]; then
    env -u PYTHONDONTWRITEBYTECODE python -m pytest --collect-only --quiet "$@" >/dev/null 2>&1 || true
fi
# Most tests wait for processes of their own, so a worker more than there are cores costs nothing. Some measure what a
# whole machine does (processes, folders in /tmp); one that fails beside others is run again alone, and both are shown.
all_tests() {
    local status=0
    python -m pytest -n "${GATEWATCH_WORKERS:-4}" --dist worksteal "$@" || status=$?
    [ "$status" -eq 1 ] || return "$status"
    say "== pytest, alone: what failed beside others"
    python -m pytest --last-failed --last-failed-no-failures none "$@"
}
check "pytest" all_tests "$@"
wait "$reading" || failed+=("checks that read (exit $?)")
reading=""
cat "$work/said"
if [ -s "$work/failed" ]; then
    mapfile -t -O "${#failed[@]}" failed <"$work/failed"
fi

if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}" >&2
    exit 1
fi
say "all checks passed"
