#!/bin/sh
# Make the virtual environment .venv here with Python 3.13: tools/local/venv.sh [PYTHON]
#
# A program's name does not tell its version, so each one is asked. What is on the PATH comes first, then what uv, pyenv,
# mise, asdf, Homebrew and python.org install elsewhere. Nothing is made, or taken away, before a fit one is found.
set -eu

venv=.venv
HOME=${HOME:-/}
get="uv python install 3.13, or apt install python3.13-venv, or brew install python@3.13; or name one: make PYTHON=/path/to/python3.13"

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

candidates() {
    (
        IFS=:
        for folder in $PATH; do
            [ "$folder" -ef "$venv/bin" ] || printf '%s\n' "$folder/python3.13" "$folder/python3" "$folder/python"
        done
    )
    printf '%s\n' \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/uv/python}"/cpython-3.13*/bin/python3.13 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
        "${MISE_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/mise}"/installs/python/3.13*/bin/python3.13 \
        "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/python/3.13*/bin/python3.13 \
        "$HOME"/.local/bin/python3.13 /opt/homebrew/bin/python3.13 \
        /Library/Frameworks/Python.framework/Versions/3.13/bin/python3.13
}

find_python() {
    without_venv=
    while read -r python; do
        if [ -x "$python" ] && is_3_13 "$python"; then
            can_make_venvs "$python" && echo "$python" && return
            without_venv="$python"
        fi
    done
    [ -z "$without_venv" ] || refuse "$without_venv is Python 3.13, but cannot make virtual environments: $get"
    refuse "Python 3.13 is needed, and no program here is that, under any name: $get"
}

if is_3_13 "$venv/bin/python" && "$venv/bin/python" -Ic 'import pip' 2>/dev/null; then
    exit
fi
[ ! -L "$venv" ] || refuse "$venv is a link to an environment that is not Python 3.13, and is not made anew: remove the link"
[ ! -e "$venv" ] || [ -e "$venv/pyvenv.cfg" ] || refuse "$venv is not a virtual environment: move it away"

if [ -n "${1:-}" ]; then
    python=$(command -v "$1") || refuse "There is no program PYTHON=$1. Python 3.13 is needed: $get"
    is_3_13 "$python" || refuse "PYTHON=$1 is not Python 3.13, which is needed: $get"
    can_make_venvs "$python" || refuse "PYTHON=$1 cannot make virtual environments: $get"
else
    python=$(candidates | find_python)
fi
[ ! -e "$venv" ] || echo "$venv is not a complete environment of Python 3.13, and is made anew"
trap 'rm -rf "$venv"' EXIT
trap 'exit 1' HUP INT TERM
"$python" -m venv --clear "$venv"
trap - EXIT
