# Sourced by tests/run.sh and .ci/run: which Python, and environments that hold exactly what a lock pins.
# shellcheck shell=bash

# A folder named like one of our rooms on PYTHONPATH would be tested in place of ours.
unset PYTHONPATH PYTHONHOME

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# find_python VERSION: prints a working interpreter of that version, or returns 1. pyenv puts a `python3.10` on
# PATH that may only say where else to look, so a candidate counts once it has run.
find_python() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$1" 2>/dev/null; then
            say "$candidate"
            return 0
        fi
    done
    return 1
}

# make_venv FOLDER PYTHON LOCK [PROJECT]: makes FOLDER hold what LOCK pins, and PROJECT (a folder) as an editable
# install. Does nothing when it was made from the same things before.
make_venv() {
    local folder=$1 python lock=$3 project=${4:-} stamp
    # The interpreter behind an active environment: that environment may be the one to be replaced.
    python=$("$2" -c 'import sys; print(sys._base_executable)') || fail "$2 does not run"
    stamp=$({ "$python" -VV && pwd -P && cat "$lock" ${project:+"$project/pyproject.toml"}; } | sha256sum)
    if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    say "making $folder with $("$python" -V)"
    "$python" -m venv --clear "$folder" || fail "cannot make $folder (Debian and Ubuntu keep venv in python3-venv)"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock" ||
        fail "cannot install what $lock pins into $folder"
    if [ -n "$project" ]; then
        # Without isolation the build backend is the pinned one, too.
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
            --editable "$project" || fail "cannot install $project into $folder"
    fi
    say "$stamp" >"$folder/.stamp"
}

choose_python() {
    if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        say python3
        return 0
    fi
    find_python 3.13 || find_python 3.12 || find_python 3.11
}

make_main_venv() { # FOLDER: where everything but the oldest and the newest Python is checked
    local python
    python=$(choose_python) || fail "no Python 3.11, 3.12 or 3.13 found; install one of them, with its venv module"
    make_venv "$1" "$python" requirements.lock .
}
