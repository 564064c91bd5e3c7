#!/bin/sh
# Brings the virtual environment .venv up to date: `sh scripts/setup.sh demo` for the main job,
# `dev` for tests, lint and docs, `bench` for benchmarks (with all peers: 2 GB). Called by every
# task of the Makefile; does nothing when nothing changed.
#
# What was installed is remembered as checksums in .venv/stamps, not as file times, so that
# switching branches forth and back costs nothing. The installation is editable: a change within Python
# files needs no set-up, a change of C++ files only compiles.
set -eu

kind=${1:-dev}
# Each kind includes those before it, so that any of `satisfied_by` will do.
case $kind in
    demo) extras=examples satisfied_by="demo dev bench" ;;
    dev) extras=dev,docs,examples,report,torch satisfied_by="dev bench" ;;
    bench) extras=dev,docs,examples,peers,report,torch satisfied_by=bench ;;
    *) echo "usage: sh scripts/setup.sh [demo|dev|bench]" >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.."
venv=.venv
stamps=$venv/stamps
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '\nopalg set-up: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------------------------------------- checksums
checksum() { cksum | tr -s ' \t' '-'; }
packages_key() { { echo "$PWD"; cat pyproject.toml constraints.txt; } | checksum; }
sources_key() {
    {
        echo "$PWD ${CC:-} ${CXX:-} ${CXXFLAGS:-} ${CMAKE_ARGS:-}"
        find CMakeLists.txt cuda_src -type f | LC_ALL=C sort | while IFS= read -r file; do
            printf '%s ' "$file"
            cksum <"$file"
        done
        # The installation knows modules by their files: where one became a folder it must learn so.
        find opalg solvers -name '*.py' | LC_ALL=C sort
    } | checksum
}
is_stamped() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }

# ------------------------------------------------------------------------------------------------------------- Python
suits() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
base_of() { "$1" -c 'import os, sys; print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))'; }

# A name on the PATH is not enough: version managers leave commands behind that exist and fail, so each one is run.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suits "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python >= 3.11; name another one, for example 'make PYTHON=python3.12 ...'."
        return
    fi
    for PYTHON in python3 python3.13 python3.12 python3.11 python; do
        if suits "$PYTHON"; then return; fi
    done
    found=$(python3 --version 2>/dev/null || true)
    fail "opalg needs Python >= 3.11 and found ${found:-no working python3}; install one, or name it with 'make PYTHON=/path/to/python3 ...'."
}

make_venv() {
    if [ -x "$venv/bin/python" ] && suits "$venv/bin/python"; then
        # Kept, unless the caller asks for another interpreter by name.
        if [ -z "${PYTHON:-}" ]; then return; fi
        find_python
        if [ "$(base_of "$venv/bin/python")" = "$(base_of "$PYTHON")" ]; then return; fi
    fi
    find_python
    "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$PYTHON has no venv module, which opalg's own environment needs; install it (Debian and Ubuntu: apt-get install python3-venv)."
    say "Creating the virtual environment $venv with $("$PYTHON" --version)"
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv" || fail "creating the virtual environment $venv failed; the lines above say why."
}

# ----------------------------------------------------------------------------------------------------------- compiler
compiles() {
    printf '#include <optional>\n#include <thread>\nint main() { std::optional<int> x{0}; if (int y = *x; y) return y; return 0; }\n' >"$scratch/try.cpp"
    # The compiler may be a command with arguments ("ccache g++"), hence unquoted.
    $1 -std=c++17 "$scratch/try.cpp" -o "$scratch/try" >"$scratch/log" 2>&1
}

check_compiler() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    if [ -n "${CXX:-}" ]; then
        compiles "$CXX" || fail "CXX=$CXX does not compile C++17; name another compiler, or unset CXX."
    else
        compiles c++ || compiles g++ || compiles clang++ ||
            fail "opalg compiles its CPU engine and found no working C++17 compiler (c++, g++ or clang++); install one (Debian and Ubuntu: apt-get install g++)."
    fi
    "$venv/bin/python" -c 'import os, sysconfig; raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        fail "$(base_of "$venv/bin/python") comes without its C headers (Python.h), which the CPU engine compiles against; install them (Debian and Ubuntu: apt-get install python3-dev)."
}

# ------------------------------------------------------------------------------------------------------------ install
install() {
    "$venv/bin/python" -m pip install --constraint constraints.txt "$@" ||
        fail "pip could not install the above; the lines before this one say whether a package index was out of reach or the engine did not compile."
}

build_requirements() {
    "$venv/bin/python" -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]))'
}

make_venv
packages=$(packages_key)
sources=$(sources_key)

has_packages=no
for one in $satisfied_by; do
    if is_stamped "$one" "$packages"; then has_packages=yes; fi
done
if [ $has_packages = yes ] && is_stamped sources "$sources"; then exit 0; fi

check_compiler
mkdir -p "$stamps"
if [ $has_packages = no ]; then
    say "[1/2] Installing what the build needs into $venv"
    # Build tools live in the environment (no build isolation), so that the next change compiles only what it touches.
    build_requirements >"$stamps/build-requirements.txt"
    install --requirement "$stamps/build-requirements.txt" "cmake>=3.26" "ninja>=1.11"
    say "[2/2] Compiling the engine and installing opalg with the extras $extras (takes a minute or two)"
    install --no-build-isolation --editable ".[$extras]"
    echo "$packages" >"$stamps/$kind"
else
    say "Installing opalg anew: sources of the engine changed, or modules came or went"
    install --no-build-isolation --no-deps --editable .
fi
echo "$sources" >"$stamps/sources"
say "opalg is ready in $venv"
