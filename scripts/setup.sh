#!/bin/sh
# Make .venv and install the kit into it. `make` calls this when .venv is missing or the pins have changed.
# The first line printed says what is missing, if something is: nothing is printed before all is known to be there.
set -u
cd "$(dirname "$0")/.." || exit 1
venv=.venv
mkdir -p "$venv" || exit 1
log=$venv/setup.log
: > "$log" || exit 1

stop() { # what is missing, how to get it
    echo "$1"
    echo "$2"
    exit 1
} >&2

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >> "$log" 2>&1; }

if ! is_311 "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >> "$log" 2>&1; then
    python=
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
        if is_311 "$candidate"; then python=$candidate; break; fi
    done
    [ -n "$python" ] || stop "Python 3.11 is missing: the kit needs exactly this version, and found none on the PATH." \
        "Get it with 'apt install python3.11-venv', 'brew install python@3.11', 'uv python install 3.11' or from python.org; or name it: make PYTHON=/path/to/python3.11"
    rm -rf "$venv/bin" "$venv/lib" "$venv/lib64" "$venv/include"  # what is left of one that was cut short
    "$python" -m venv "$venv" >> "$log" 2>&1 || stop "Python 3.11 cannot make a virtual environment: its venv module is missing." \
        "On Debian and Ubuntu: apt install python3.11-venv. What Python said is in $log"
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >> "$log" 2>&1; }

# Asking for one small package says within seconds whether packages can be had at all.
pip install --dry-run --ignore-installed --no-deps --retries 1 --timeout 15 -c constraints.txt iniconfig || stop \
    "No network: pip cannot reach a package index, and the first set-up has packages to fetch." \
    "Connect, or point pip at an index or mirror it can reach (PIP_INDEX_URL). What pip said is in $log"

install() { # what is installed, then pip's arguments
    echo "  $1"
    shift
    pip install "$@" || stop "Installing failed: pip install $*" "The end of $log: $(tail -n 3 "$log")"
}

echo "Setting up .venv with $("$venv/bin/python" --version), once; this takes a few minutes (pip's own words are in $log)."
# torch first and by itself: it is by far the largest, and a resolver that meets it late starts over.
install "torch" -c constraints.txt "$(grep '^torch==' constraints.txt)"
install "everything else" -c constraints.txt -e .
touch "$venv/.ready"
echo "Set-up done."
