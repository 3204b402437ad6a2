# shellcheck shell=bash
# Shared by the scripts beside it, which source it: the project's folder, its Python environment and Debian packages.
# Everything it says goes to standard error, so that a command's own output stays clean.

set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=${OADR_VENV:-$root/.venv}
unset PYTHONHOME PYTHONPATH
# How the scripts run pytest. A wait that was too long, which a busy machine explains, is tried once more, and shown:
# tests/support/second_tries.py.
# shellcheck disable=SC2034
readonly in_processes=(--numprocesses auto --dist loadgroup --reruns 1 --only-rerun 'not within' --only-rerun Timeout)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# install_debian WHY PACKAGE...: install them as root, or else say how and stop.
install_debian() {
    local why=$1
    shift
    command -v apt-get >/dev/null || die "$why. Install it (on Debian and Ubuntu the package is called: $*) and run this again."
    [[ $(id -u) == 0 ]] || die "$why. Run this first:  sudo apt-get install $*"
    say "$why: installing $*"
    local log
    log=$(mktemp)
    # The package lists of a fresh machine are empty or old, then the first attempt fails.
    if ! apt_install "$@" >"$log" 2>&1 && ! { apt-get update && apt_install "$@"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "apt-get could not install $*."
    fi
    rm -f "$log"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
}

# is_there PROGRAM: also in the sbin folders, which are not on every PATH.
is_there() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null; }

# need PROGRAM=PACKAGE...: make sure that all programs are there, and a Python that can make the environment; whatever is
# missing is named at once.
need() {
    local pair python names=() packages=()
    if ! has_environment; then
        python=$(find_python)
        if ! can_make_venv "$python"; then
            names+=("$python cannot make virtual environments")
            packages+=("$python-venv")
        fi
    fi
    for pair in "$@"; do
        if ! is_there "${pair%%=*}"; then
            names+=("${pair%%=*} is missing")
            packages+=("${pair#*=}")
        fi
    done
    if ((${#packages[@]})); then
        local why
        why=$(printf ', %s' "${names[@]}")
        install_debian "${why:2}" "${packages[@]}"
    fi
}

# need_browser: make sure that there is a Chromium: Debian's, or, where there is none (Ubuntu's is a snap, which no script
# can drive), one that Playwright fetches with what it needs.
need_browser() {
    # The driver of Playwright is a Node that is linked to it.
    "$venv/bin/python" -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null ||
        install_debian "libatomic is missing" libatomic1
    is_there chromium || is_there google-chrome && return
    if [[ $(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-}") != ubuntu ]]; then
        install_debian "chromium is missing" chromium fonts-dejavu-core
    elif ! "$venv/bin/python" -c "$has_own_browser" >/dev/null 2>&1; then
        local with_deps=()
        [[ $(id -u) != 0 ]] || with_deps=(--with-deps)
        "$venv/bin/python" -m playwright install "${with_deps[@]}" chromium >&2 ||
            die "Playwright could not install Chromium. Run this first:  sudo $venv/bin/python -m playwright install --with-deps chromium"
    fi
}
readonly has_own_browser='
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as it:
    sys.exit(not os.path.exists(it.chromium.executable_path))'

has_environment() { is_new_enough "$venv/bin/python"; }
has_pip() { "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; }
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# find_python: print the first interpreter that is new enough, best one that can make an environment.
find_python() {
    local candidate found=
    for candidate in ${OADR_PYTHON:+"$OADR_PYTHON"} python3.13 python3.12 python3.11 python3; do
        is_new_enough "$candidate" || continue
        found=${found:-$candidate}
        if can_make_venv "$candidate"; then
            found=$candidate
            break
        fi
    done
    [[ $found ]] || die "Python 3.11 or newer is needed, and there is none on the PATH ($PATH)."
    printf '%s' "$found"
}

# prepare EXTRA PROGRAM=PACKAGE...: those programs, and an environment in .venv with the project and that extra, installed
# anew only when pyproject.toml changed. `dev` and `demo-oadr20b` contain all that `demo` does. Two scripts at once wait
# for each other.
prepare() {
    local extra=$1 want lock stamp
    shift
    exec {lock}<"$root"
    flock "$lock"
    need "$@"
    has_environment || make_venv
    want=$(sha256sum <"$root/pyproject.toml")
    for stamp in "$extra" "$extra-oadr20b" dev; do
        if [[ -f $venv/.installed-$stamp && $(<"$venv/.installed-$stamp") == "$want" ]]; then
            exec {lock}<&-
            return
        fi
    done
    say "Installing the Python packages into $venv (a few minutes the first time)"
    has_pip || "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || make_venv
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -e "${root}[$extra]" >&2 ||
        die "pip could not install the packages; see above."
    if [[ $extra == demo* ]]; then # who only looks at the demo needs neither; ensurepip brings pip back
        "$venv/bin/python" -m pip uninstall --quiet --yes pip setuptools >/dev/null 2>&1 || true
    fi
    rm -f "$venv"/.installed-*
    printf '%s' "$want" >"$venv/.installed-$extra"
    exec {lock}<&-
}

make_venv() {
    local python
    python=$(find_python)
    say "Making a Python environment in $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" >&2
}
