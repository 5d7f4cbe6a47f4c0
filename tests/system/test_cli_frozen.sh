#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Processes that are stopped (SIGSTOP) past the lease and go on later, under `plexus run`: a node's link,
# whose attempt is fenced off meanwhile, and the broker, whose nodes keep their leases.
# RELIABILITY 2 (a node paused, a broker frozen), 4.4 (fencing).
#
# usage: test_cli_frozen.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"

# What a broken test leaves stopped goes on, so that it can be taken down.
frozen=()
freeze() { kill -STOP "$1" && frozen+=("$1"); }
thaw() {
        for pid in "${frozen[@]}"; do kill -CONT "$pid" 2>/dev/null; done
        frozen=()
}
trap 'thaw; finish' EXIT

up_returns_when_ready() {
        expect 0 up --nodes 2 --lease 2s
}

# ---- a link that is stopped ------------------------------------------------------------------------

# The job: attempt 1 says three lines, a fourth when asked, two more when it is too late, and stays;
# attempt 2 says six and ends with 9.
numbered_lines='
        echo $$ >"$0.pid.$PLEXUS_ATTEMPT"
        say() { for i in "$@"; do echo "attempt $PLEXUS_ATTEMPT line $i"; done; }
        on() { until [ -e "$0.$1" ]; do sleep 0.02; done; }
        [ $PLEXUS_ATTEMPT = 1 ] || { say 1 2 3 4 5 6; exit 9; }
        say 1 2 3; on fourth; say 4; on late; say 5 6; touch "$0.said"; exec sleep 300'

# follow_over_a_fence NAME BROKER-DIES: where the broker died before, the follower's stream is one for
# attempt 1 alone, else one for all that come.
follow_over_a_fence() {
        local base=$top/$1 code=0 run job node link first
        plexus run --name "$1" -- sh -c "$numbered_lines" "$base" >"$base.out" 2>"$base.err" &
        run=$!
        until_true 10 grep -q 'line 3$' "$base.out" || return 1
        if [ "$2" = yes ]; then
                kill -9 "$(process broker)"
        fi
        touch "$base.fourth"
        until_true 10 grep -q 'line 4$' "$base.out" && expect 0 ps -a -o json "name=$1" &&
                job=$(jq_of id) && node=$(jq_of node) && link=$(process "$node") || return 1
        freeze "$link"
        touch "$base.late"
        until_true 10 test -e "$base.said" || return 1
        wait "$run" || code=$?
        { printf 'attempt 1 line %d\n' 1 2 3 4 && printf 'attempt 2 line %d\n' 1 2 3 4 5 6; } >"$base.expected"
        same "$code" 9 && same "$(cat "$base.out")" "$(cat "$base.expected")" || return 1
        cp "$base.err" "$top/err" && said err "job $job: attempt 2 begins on node" || return 1
        first=$(cat "$base.pid.1")
        kill -0 "$first" || { why="attempt 1 was killed for its link's silence" && return 1; }
        thaw
        until_true 10 gone "$first" && until_true 10 node_is_up "$node" &&
                expect 0 wait "$(plexus submit -n "$node" -- true)" &&
                expect 0 logs --attempt 1 "$job" &&
                same "$(cat "$top/out")" "$(head -n 4 "$base.expected")" &&
                expect 0 show -o json "$job" && same "$(jq_of state)" failed && same "$(jq_of exit_code)" 9 &&
                same "$(jq_of attempt)" 2
}

# jq_of FIELD: of the first job in $top/out.
jq_of() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["jobs"][0][sys.argv[2]])' "$top/out" "$1"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
node_is_up() { expect 0 nodes -o json && python3 -c 'import json, sys
sys.exit(not any(n["name"] == sys.argv[2] and n["state"] == "up" for n in json.load(open(sys.argv[1]))["nodes"]))' \
        "$top/out" "$1"; }

run_shows_the_whole_next_attempt_when_a_node_is_fenced_off() {
        follow_over_a_fence plain no
}

so_it_does_after_a_restart_of_the_broker() {
        follow_over_a_fence again yes
}

# ---- a broker that is stopped ------------------------------------------------------------------------

ticks_reach() { [ "$(cat "$top/ticks" 2>/dev/null || echo 0)" -ge "$1" ]; }

a_frozen_broker_costs_no_attempt() {
        local code=0 run
        plexus run --name ticking -- sh -c "i=0; until [ -e $top/enough ]; do
                i=\$((i+1)); echo line \$i; echo \$i >$top/ticks.new; mv $top/ticks.new $top/ticks; sleep 0.05; done; exit 9" \
                >"$top/run.out" 2>"$top/run.err" &
        run=$!
        until_true 10 grep -q 'line 5$' "$top/run.out" || return 1
        freeze "$(process broker)"
        ticks_reach 1 && until_true 20 ticks_reach $(($(cat "$top/ticks") + 60)) || return 1 # 3 s and more
        thaw
        until_true 10 grep -q "line $(cat "$top/ticks")\$" "$top/run.out" && touch "$top/enough" || return 1
        wait "$run" || code=$?
        seq -f 'line %g' 1 "$(cat "$top/ticks")" >"$top/run.expected"
        same "$code" 9 && cmp "$top/run.out" "$top/run.expected" && expect 0 ps -a -o json name=ticking &&
                same "$(jq_of attempt)" 1
}

run_all thaw follow_over_a_fence
