#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the command line share, to be sourced by them: state in a temporary folder that goes
# with the test, expectations, and run_all, which runs every function of the test's own file and prints
# `N passed, N failed` last. A test fails with its reason in $why.
#
# usage of each test: BUILD-FOLDER [NAME-PART]
set -u
build=$(cd "${1:?the build folder}" && pwd)
only=${2:-}
self=$(realpath "$0")
program=$build/client/cli/plexus
plexus() { timeout 30 "$program" "$@"; }

top=$(mktemp -d /tmp/plexus-cli-XXXXXX)
export HOME=$top/home XDG_CONFIG_HOME=$top/config XDG_STATE_HOME=$top/state NO_COLOR=1
unset PLEXUS_URL PLEXUS_TOKEN PLEXUS_CONTEXT PLEXUS_LIBEXEC XDG_RUNTIME_DIR
mkdir -p "$HOME" "$top/work"
cd "$top/work" || exit 2
mesh=$top/state/plexus/up
started=() # processes of tests, beside the mesh
finish() {
        plexus down --kill --dir "$mesh" >"$top/down" 2>&1
        for pid in "${started[@]}"; do
                kill "$pid" 2>/dev/null && timeout 10 tail --pid="$pid" -f /dev/null
        done
        rm -rf "$top"
}
trap finish EXIT

# ---- expectations ------------------------------------------------------------------------------

passed=0
failed=0
skipped=0
why=""

# expect CODE COMMAND...: run it; its output is in $top/out and $top/err afterwards.
expect() {
        local wanted=$1 code=0
        shift
        plexus "$@" >"$top/out" 2>"$top/err" </dev/null || code=$?
        [ "$code" = "$wanted" ] && return 0
        why="plexus $(cut -c -200 <<<"$*") ended with $code, not $wanted: $(tail -n 2 "$top/err")"
        return 1
}
# said out|err WORDS: exactly these words stand in what it printed.
said() {
        grep -qF -- "$2" "$top/$1" && return 0
        why="std$1 lacks \"$2\": $(head -c 400 "$top/$1")"
        return 1
}
same() {
        [ "$1" = "$2" ] && return 0
        why="\"$1\" is not \"$2\""
        return 1
}
# process_of DIR NAME: its number, as the supervisor with its state in DIR knows it.
process_of() { awk -v name="$2" '$1 == "process" && $2 == name { print $3 }' "$1/mesh"; }
# process NAME: the same of the mesh.
process() { process_of "$mesh" "$1"; }
# skip REASON: this test can't be run here.
skip() {
        why="SKIP $1"
        return 1
}
# until_true SECONDS COMMAND...: repeat it until it succeeds.
until_true() {
        local end=$((SECONDS + $1))
        shift
        until "$@"; do
                [ "$SECONDS" -lt "$end" ] || { why="not in time: $*"; return 1; }
                read -rt 0.05 <><(:) || :
        done
}

# in_own_mounts SCRIPT: run it as root in a mount namespace, with $top and plexus(); nothing stays.
in_own_mounts() {
        local code=0
        [ "$(id -u)" = 0 ] || skip 'needs root' || return 1
        { echo 'set -eu; mount --make-rprivate /' && echo "$1"; } >"$top/script"
        top=$top program=$program timeout 60 unshare -m bash "$top/script" >"$top/out" 2>"$top/err" || code=$?
        [ "$code" = 0 ] || { why="it ended with $code: $(tail -n 3 "$top/err")" && return 1; }
}

run() {
        case "$1" in *"$only"*) ;; *) return ;; esac
        why=""
        if "$1"; then
                passed=$((passed + 1))
                echo "ok   ${1//_/ }"
        elif [ "${why#SKIP }" != "$why" ]; then
                skipped=$((skipped + 1))
                echo "SKIP ${1//_/ }: ${why#SKIP }"
        else
                failed=$((failed + 1))
                echo "FAIL ${1//_/ }: $why"
        fi
}

# run_all [HELPER...]: each function of the test's file but these, in order.
run_all() {
        local test
        for test in $(sed -n 's/^\([a-z_0-9]*\)() {$/\1/p' "$self"); do
                case " $* " in *" $test "*) ;; *) run "$test" ;; esac
        done
        echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
        [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
