#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line against a real mesh: a shell session, exit codes, and
# kill -9 of the broker in the middle of `plexus run`. One mesh for all tests; state in a temporary
# folder. Prints `N passed, N failed` last.
#
# usage: test_cli.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"

# Tests of output and lists say first that they need the broker's answers to questions: where it has
# none, one test fails for all, and they are skipped instead of waiting in vain one after another.
answers=yes
needs_answers() { [ $answers = yes ] || skip 'the broker answers no questions'; }

# ---- without a mesh ------------------------------------------------------------------------------

without_a_mesh_run_says_what_to_start() {
        expect 2 run -- true && said err 'no mesh: start one with "plexus up"' &&
                same "$(wc -l <"$top/err")" 1
}

help_knows_every_topic() {
        for topic in exit-codes selectors filters env run 'node drain' ''; do
                # shellcheck disable=SC2086
                expect 0 help $topic || return 1
        done
        expect 2 help nonsens
}

# ---- a shell session -----------------------------------------------------------------------------

up_returns_when_ready() {
        expect 0 up --nodes 2 --lease 3s && said out 'up: broker and 2 nodes' &&
                expect 0 nodes && said out '2 up, 0 draining, 0 lost' &&
                expect 0 doctor && said out 'ok      nodes'
}

questions_are_answered() {
        expect 0 ps -a --timeout 5s || { answers=no && return 1; }
}

a_second_up_adopts() {
        local broker
        broker=$(process broker)
        expect 0 up && said out 'already up' && same "$(process broker)" "$broker"
}

run_ends_as_the_job_does_with_its_streams_apart() {
        needs_answers || return 1
        expect 7 run -- sh -c 'echo out; echo err >&2; exit 7' &&
                same "$(cat "$top/out")" out && same "$(cat "$top/err")" err
}

run_knows_the_conventional_codes() {
        needs_answers || return 1
        expect 0 run -- true && expect 137 run -- sh -c 'kill -9 $$' &&
                expect 127 run -- no-such-program-here && expect 126 run -- /etc/passwd &&
                expect 124 run -t 0.2s -- sleep 30
}

submit_prints_the_number_alone() {
        expect 0 submit -- true && same "$(grep -cE '^[0-9]+$' "$top/out")" 1 &&
                same "$(wc -l <"$top/out")" 1
}

wait_tells_failed_jobs_and_what_to_run_next() {
        local good bad
        good=$(plexus submit -- true) && bad=$(plexus submit -- sh -c 'echo the reason >&2; exit 3')
        expect 0 wait "$good" && expect 1 wait "$good" "$bad" && said err "plexus logs $bad" &&
                said err 'exit 3' && said err "next: plexus retry $bad"
}

cancel_ends_a_running_job() {
        local id
        id=$(plexus submit -- sleep 300)
        expect 0 cancel "$id" --reason 'not needed' && expect 1 wait "$id" && said err 'cancelled'
}

retry_runs_a_failed_job_again() {
        local id
        id=$(plexus submit -- sh -c "test -e $top/now-it-works")
        expect 1 wait "$id" && touch "$top/now-it-works" && expect 0 retry "$id" && expect 0 wait "$id"
}

hold_and_release() {
        local id
        id=$(plexus submit --hold -- true)
        expect 6 wait "$id" --timeout 0.3s && expect 0 why "$id" && said out "held until it is released" &&
                expect 0 release "$id" && expect 0 wait "$id"
}

standard_input_is_captured() {
        local id
        echo hello >"$top/hello"
        id=$(plexus submit --stdin="$top/hello" -- sh -c "cat >$top/got")
        expect 0 wait "$id" && same "$(cat "$top/got")" hello
}

nodes_drain_and_resume() {
        expect 0 node drain node1 && expect 0 nodes && said out draining && expect 0 node resume node1 &&
                expect 0 nodes && said out '2 up, 0 draining' && expect 3 node show node9
}

# ---- output --------------------------------------------------------------------------------------

wait_tells_the_last_words_of_failed_jobs() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- sh -c 'echo first >&2; echo the reason >&2; exit 3')
        expect 1 wait "$id" && said err 'the reason   plexus logs'
}

logs_follow_until_the_end() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- sh -c 'for i in 1 2 3; do echo line $i; done; echo oops >&2')
        expect 0 logs -f "$id" && same "$(tr '\n' ' ' <"$top/out")" 'line 1 line 2 line 3 ' &&
                same "$(cat "$top/err")" oops && expect 0 logs --tail 1 -p out "$id" &&
                same "$(cat "$top/out")" 'line 3'
}

logs_of_several_jobs_have_prefixes() {
        needs_answers || return 1
        local a b
        a=$(plexus submit -- echo one) && b=$(plexus submit -- echo two)
        expect 0 logs -f "$a" "$b" && said out "$a │ one" && said out "$b │ two"
}

bars_are_folded_when_piped() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- printf '10%%\r50%%\r100%%\ndone\n')
        expect 0 wait "$id" && expect 0 logs "$id" && same "$(tr '\n' ' ' <"$top/out")" '100% done ' &&
                expect 0 logs --raw "$id" && same "$(wc -c <"$top/out")" 18
}

a_slot_of_the_mesh_is_waited_for_and_why_says_who_holds_it() {
        needs_answers || return 1
        local holds waits
        expect 0 resource set test-slot 1 && expect 0 resource ls && said out test-slot || return 1
        holds=$(plexus submit --resource test-slot -- sleep 60) && waits=$(plexus submit --resource test-slot -- true)
        expect 0 why "$waits" && said out "waiting for slot test-slot (1 of 1 held by $holds)" &&
                expect 0 ps && said out "(waiting for slot test-slot" &&
                expect 0 cancel "$holds" && expect 0 wait "$waits" && expect 0 resource rm test-slot
}

labels_resources_and_gpus_of_a_node_are_declared_and_found() {
        needs_answers || return 1
        local url pid id
        url=$(plexus status -o json | sed -n 's/.*"url":"\([^"]*\)".*/\1/p')
        "$build/node/plexus-node" --dir "$top/labelled" --name labelled --url "$url" --accounts self --cpus 1 --gpus 2 \
                --label zone=x --resource disk=2 2>"$top/labelled.err" &
        pid=$!
        until_true 20 sh -c "'$build/client/cli/plexus' node show labelled 2>/dev/null | grep -q '^labels *zone=x'" || return 1
        id=$(plexus submit --where zone=x --resource disk -g 1 -- sh -c 'echo gpu $CUDA_VISIBLE_DEVICES')
        expect 0 wait "$id" && expect 0 logs "$id" && said out "gpu 0" && expect 0 show "$id" && said out labelled &&
                expect 2 submit --resource disc -- true && said err "did you mean disk?" &&
                expect 2 submit --resource disk=3 -- true && said err "the best node has 2" &&
                expect 2 submit --where zome=x -- true && said err "did you mean zone?"
        kill "$pid"
        wait "$pid" || true
        [ -z "$why" ]
}

queues_are_made_paused_and_resumed() {
        needs_answers || return 1
        local id
        expect 2 submit --queue nihgt -- true || expect 3 submit --queue nihgt -- true || return 1
        expect 0 queue set night --running 1 --rate 100/1s --pause && expect 3 submit --queue nihgt -- true &&
                said err "did you mean night?" || return 1
        id=$(plexus submit --queue night -- true)
        expect 0 why "$id" && said out "queue night is paused" && expect 0 queue resume night &&
                expect 0 wait "$id" && expect 0 queue ls -o json && said out '"name":"night"' && expect 0 queue rm night
}

a_dry_run_says_where_it_would_run() {
        needs_answers || return 1
        expect 0 submit --dry-run -- true && said err "it would run now on node" && said out '"argv"' &&
                expect 2 submit --dry-run -c 900 -- true && said err "the best node has" &&
                expect 2 submit --where colour=red -- true && said err "no node has a label colour" &&
                expect 2 submit --gpus 1.5 -- true && expect 2 submit --resource disk=-1 -- true &&
                expect 2 submit --resource disk=0.5 -- true && expect 2 submit --max-wait x -- true
}

why_of_a_failed_job_shows_its_last_lines() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- sh -c 'echo begin; echo "no such file" >&2; exit 4')
        expect 1 wait "$id" && expect 0 why "$id" && said out "exit 4" && said out "| no such file"
}

ps_and_show_speak_json() {
        needs_answers || return 1
        local id
        id=$(plexus submit --name named --label k=v -- sh -c 'echo x; exit 2')
        expect 1 wait "$id" && expect 0 ps -a -o json name=named &&
                python3 -c "import json,sys; j=json.load(open('$top/out'))['jobs'][0]
assert j['id']==$id and j['exit_code']==2 and j['state']=='failed' and j['labels']=={'k':'v'}, j" &&
                expect 0 show -o json "$id" &&
                python3 -c "import json; j=json.load(open('$top/out'))['jobs'][0]
assert j['argv'][0]=='sh' and j['attempts'][0]['out_bytes']==2, j"
}

events_tell_each_change_once() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- true)
        expect 0 wait "$id" && expect 0 events --from-start --no-follow --job "$id" -o jsonl &&
                said out '"job.assigned"' && said out '"job.ok"' &&
                same "$(sort "$top/out" | uniq -d | wc -l)" 0
}

progress_is_shown() {
        needs_answers || return 1
        local id
        id=$(plexus submit -- sh -c "'$build/client/cli/plexus' progress 25% quarter; sleep 300")
        until_true 10 sh -c "'$build/client/cli/plexus' ps -o json | grep -q '\"progress\":0.25'"
        local code=$?
        expect 0 cancel "$id" && return $code
}

# ---- deaths --------------------------------------------------------------------------------------

a_killed_broker_does_not_end_run() {
        needs_answers || return 1
        local code=0 job
        plexus run -- sh -c 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 9' \
                >"$top/run.out" 2>"$top/run.err" &
        job=$!
        until_true 10 grep -q 'line 20$' "$top/run.out" && kill -9 "$(process broker)"
        wait "$job" || code=$?
        for ((i = 0; i < 200; i++)); do echo "line $i"; done >"$top/run.expected"
        same "$code" 9 && cmp "$top/run.out" "$top/run.expected" >"$top/cmp" 2>&1 || {
                why="$why code $code, $(wc -l <"$top/run.out") lines, $(head -c 300 "$top/run.err")"
                return 1
        }
}

# The upload, and then the way to the node, go on over kill -9 of whoever has it in hand.
eight_mib_of_standard_input_arrive_whole_over_kills() {
        local sum job code=0
        head -c 8388608 /dev/urandom >"$top/input"
        sum=$(sha256sum <"$top/input")
        plexus run --stdin="$top/input" -- sha256sum >"$top/run.out" 2>"$top/run.err" &
        job=$!
        until_true 10 compgen -G "$mesh/broker/blobs/*/*" >/dev/null && kill -9 "$(process broker)"
        until_true 10 compgen -G "$mesh/node1/spool/a/*/input" >/dev/null && kill -9 "$(process node1)"
        wait "$job" || code=$?
        same "$code $(cat "$top/run.out")" "0 $sum" && printf x >>"$top/input" &&
                expect 2 run --stdin="$top/input" -- sha256sum && said err '8388608' &&
                ! compgen -G "$mesh/node1/spool/*/*/input" >/dev/null
}

what_dies_is_started_again() {
        local broker node
        broker=$(process broker) node=$(process node1)
        kill -9 "$node" "$broker"
        until_true 10 sh -c "! grep -qE ' ($broker|$node) ' '$mesh/mesh'" && expect 0 wait \
                "$(plexus submit -n node1 -- true)"
}

a_killed_supervisor_is_replaced_by_up() {
        local broker
        broker=$(process broker)
        kill -9 "$(process supervisor)"
        expect 0 up && said out '2 nodes' && same "$(process broker)" "$broker"
}

jobs_outlive_down() {
        local id
        id=$(plexus submit -- sh -c "until [ -e $top/go-on ]; do sleep 0.05; done; exit 5")
        until_true 10 sh -c "'$build/client/cli/plexus' show $id | grep -q '^state *running'"
        expect 0 down && said out '1 job runs on' && expect 6 status --timeout 0.5s && touch "$top/go-on" &&
                expect 0 up && expect 1 wait "$id" && said err 'exit 5'
}

restarts_have_a_limit_and_a_reason() {
        local last=none
        for i in 1 2 3 4 5 6; do
                until_true 10 sh -c "p=\$(awk '\$1==\"process\"&&\$2==\"node2\"{print \$3}' '$mesh/mesh'); [ -n \"\$p\" ] && [ \"\$p\" != $last ]" ||
                        return 1
                last=$(process node2)
                kill -9 "$last"
        done
        until_true 10 grep -q '^note node2' "$mesh/mesh" && expect 125 up &&
                said err 'node2 was killed by SIGKILL, 6 times within a minute' && expect 0 down && expect 0 up
}

# ---- down ----------------------------------------------------------------------------------------

down_stops_everything() {
        expect 0 down --kill && same "$(pgrep -fc "plexus-(broker|node) --dir $mesh")" 0
}

temp_leaves_nothing() {
        local dir
        expect 0 up --temp && dir=$(sed -n 's/.*state in \([^ ]*\) .*/\1/p' "$top/out") && [ -d "$dir" ] &&
                expect 0 wait "$(plexus submit -- true)" && expect 0 down && [ ! -e "$dir" ] &&
                expect 0 context ls && ! said out "$(basename "$dir")" && why=""
}

a_long_folder_has_short_sockets_and_keeps_its_ports() {
        local dir port
        dir=$top/$(printf 'x%.0s' {1..100})
        expect 0 up --dir "$dir" --listen 127.0.0.1 && said out 'listens  plexus://127.0.0.1:' || return 1
        port=$(awk '$1 == "ports" { print $2 }' "$dir/mesh")
        kill -9 "$(awk '$1 == "process" && $2 == "broker" { print $3 }' "$dir/mesh")"
        expect 0 wait "$(plexus submit --cwd / -- true)" &&
                PLEXUS_URL=plexus://127.0.0.1:$port PLEXUS_TOKEN=$(cat "$dir/broker/keys/admin.token") \
                        expect 0 status && said out "127.0.0.1:$port" && expect 0 down
}

foreground_ends_with_a_signal() {
        "$build/client/cli/plexus" up --temp --foreground >"$top/fg.out" 2>"$top/fg.err" &
        local pid=$! code=0
        until_true 20 grep -q 'Ctrl-C takes it down' "$top/fg.out" && kill -INT "$pid"
        wait "$pid" || code=$?
        same "$code" 0
}

run_all
