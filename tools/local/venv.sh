#!/bin/sh
# Make the virtual environment .venv here with Python 3.13: tools/local/venv.sh [PYTHON]
#
# A program's name does not tell its version, so each one is asked. Nothing is made, or taken away, before a fit one is
# found.
set -eu

venv=.venv
get="uv python install 3.13, or apt install python3.13-venv, or brew install python@3.13; or name one: make PYTHON=/path/to/python3.13"
PATH=${PATH#"$PWD/$venv/bin:"}

refuse() {
    echo "$1" >&2
    exit 1
}

# CPython 3.13 as released: there are no wheels for its builds with debugging or without a lock (their abiflags).
is_3_13() {
    "$1" -Ic 'import sys; sys.exit((sys.implementation.cache_tag, sys.abiflags) != ("cpython-313", ""))' 2>/dev/null
}

# Debian keeps what a virtual environment gets its pip from in a package of its own.
can_make_venvs() {
    "$1" -Ic 'import ensurepip, venv' 2>/dev/null
}

if is_3_13 "$venv/bin/python" && "$venv/bin/python" -Ic 'import pip' 2>/dev/null; then
    exit
fi
[ ! -L "$venv" ] || refuse "$venv is a link to an environment that is not Python 3.13, and is not made anew: remove the link"
[ ! -e "$venv" ] || [ -e "$venv/pyvenv.cfg" ] || refuse "$venv is not a virtual environment: move it away"

for python in ${1:-python3.13 python3 python}; do
    if is_3_13 "$python" && can_make_venvs "$python"; then
        trap 'rm -rf "$venv"' EXIT
        trap 'exit 1' HUP INT TERM
        "$python" -m venv --clear "$venv"
        trap - EXIT
        exit
    fi
done
refuse "Python 3.13 that can make virtual environments is needed, and is not ${1:-python3.13, python3 or python}: $get"
