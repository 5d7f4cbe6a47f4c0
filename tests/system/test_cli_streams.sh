#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Output under pressure, with real processes: a reader that is stopped, and a broker that can't store.
# RELIABILITY 2 (slow subscriber, full disk), 4.10.
#
# usage: test_cli_streams.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"
# What a sanitizer keeps of freed memory would count as the broker's.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=0:thread_local_quarantine_size_kb=0"

up_returns_when_ready() {
        expect 0 up --nodes 1
}

memory_kb() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$(process broker)/status"; }

a_stopped_reader_costs_the_broker_nothing_and_gets_every_byte() {
        local id reader before after code=0
        id=$(plexus submit -- sh -c "echo 0; until [ -e $top/go ]; do sleep 0.02; done; seq 1 4000000")
        "$program" logs -f "$id" >"$top/read" 2>"$top/read.err" &
        reader=$! && started+=("$reader")
        until_true 10 test -s "$top/read" && kill -STOP "$reader" && before=$(memory_kb) && touch "$top/go" &&
                expect 0 wait "$id" && after=$(memory_kb) || return 1
        [ "$(stat -c %s "$top/read")" -lt 3000000 ] || { why="the reader was not stopped" && return 1; }
        kill -CONT "$reader"
        wait "$reader" || code=$?
        same "$code" 0 && seq 0 4000000 | cmp - "$top/read" || return 1
        [ $((after - before)) -lt 12288 ] || { why="the broker grew from $before to $after kB" && return 1; }
}

# A file system of its own for the output, of 2 MiB, and later of more.
output_that_cannot_be_stored_waits_on_its_node() {
        in_own_mounts '
                plexus() { timeout 20 "$program" "$@"; }
                until_true() { until "$@"; do read -rt 0.05 <><(:) || :; done; }
                export XDG_CONFIG_HOME=$top/full
                mesh=$top/full/mesh
                plexus up --dir "$mesh" && plexus down --dir "$mesh"
                mount -t tmpfs -o size=2m,mode=700 tmpfs "$mesh/broker/logs"
                trap "plexus down --kill --dir $mesh" EXIT
                plexus up --dir "$mesh"
                plexus run -- seq 1 1000000 >"$top/run" &
                run=$!
                until_true grep -qrF "no space for log segments" "$mesh" --include="*.log"
                plexus status
                mount -o remount,size=64m "$mesh/broker/logs"
                wait $run
                seq 1 1000000 | cmp - "$top/run"
                plexus down --dir "$mesh" && plexus up --dir "$mesh"
                plexus logs 1 | cmp - "$top/run"'
}

run_all
