#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input gets a clear error, and nothing is lost: one case for each kind of it, in one place. What is
# proved below the command line is cited: `held_by PROGRAM TEST` fails unless that test is in that program.
#
# usage: test_bad_input.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"

# held_by PROGRAM TEST...: the programs of the suites run these; here they are counted.
held_by() {
        local program=$build/tests/$1 test
        shift
        "$program" --list >"$top/out" 2>"$top/err" || { why="no test program $program" && return 1; }
        for test in "$@"; do
                grep -qx "$test" "$top/out" || { why="$program has no test $test" && return 1; }
        done
}
# as TOKEN COMMAND...: over TCP with this token instead of the local socket.
as() {
        local token=$1
        shift
        PLEXUS_URL=plexus://127.0.0.1:$port PLEXUS_TOKEN=$token "$@"
}
# serves: the mesh answers, nobody was lost.
serves() { expect 0 status && expect 0 nodes && said out '2 up'; }

# ---- words -----------------------------------------------------------------------------------------

an_unknown_command_is_told_the_nearest_name() {
        expect 2 runn && said err 'did you mean "run"?' &&
                expect 2 node drian && said err 'did you mean "node drain"?' &&
                expect 2 qqqqq && said err '"plexus help" lists them'
}

an_unknown_flag_is_told_the_nearest_name() {
        expect 2 ps --al && said err 'did you mean --all?' &&
                expect 2 run --time-limt 5s -- true && said err 'did you mean --time-limit?' &&
                expect 2 run -Z -- true && said err 'unknown option -Z; see "plexus help run"'
}

a_value_that_is_none_is_named() {
        expect 2 run -t soon -- true && said err soon && expect 2 run -c lots -- true && said err lots &&
                expect 2 run -m 4X -- true && said err 4X && expect 2 ps state=runing && said err runing &&
                expect 2 submit --on-lost maybe -- true && said err maybe && expect 2 up --nodes 1000 && said err 1000
}

without_a_mesh_run_says_what_to_start() {
        expect 2 run -- true && said err 'no mesh: start one with "plexus up"' &&
                same "$(wc -l <"$top/err")" 1
}

# ---- ways to a broker --------------------------------------------------------------------------------

an_unreachable_broker_names_the_hop() {
        mkdir -m 700 "$top/empty"
        expect 6 submit --url "local:$top/empty" --timeout 1s -- true && said err "$top/empty" &&
                expect 125 run --url "local:$top/empty" --timeout 1s -- true &&
                expect 6 doctor --url "local:$top/empty" && said out 'FAILED  socket' &&
                expect 6 doctor --url "local:$top/none" && said out 'FAILED  directory' &&
                expect 6 doctor --url plexus://127.0.0.1:1 && said out 'FAILED  tcp' &&
                expect 6 doctor --url plexus://no-such-host.invalid && said out 'FAILED  name' &&
                PLEXUS_TOKEN='' expect 2 status --url plexus://127.0.0.1:1 && said err token
}

# The mesh of all the following.
up_listens_for_what_follows() {
        expect 0 up --nodes 2 --lease 3s --listen 127.0.0.1 || return 1
        port=$(awk '$1 == "ports" { print $2 }' "$mesh/mesh")
        admin=$(cat "$mesh/broker/keys/admin.token")
        ana=$(plexus token create --user ana)
}

# ---- keys and tokens -----------------------------------------------------------------------------------

a_broken_paste_of_a_token_is_said() {
        as pxu_broken expect 2 status && said err token &&
                as "${ana%????}" expect 2 status && said err token &&
                as "${ana:0:20}x${ana:21}" expect 2 status && said err token &&
                expect 2 join pxe_abc && said err 'TOKEN@HOST' &&
                expect 2 join pxe_broken@127.0.0.1:1 && said err token
}

a_token_file_must_be_private() {
        echo pxu_x >"$top/open.token" && chmod 644 "$top/open.token"
        expect 2 status --url plexus://127.0.0.1:1 --token-file "$top/open.token" &&
                said err 'can be read by others'
}

# a_token SECRET-HEX: a well-formed user's token for our broker with a key that nobody gave out.
make_token() {
        python3 - "$ana" "$1" <<'END'
import base64, sys
word = sys.argv[1].split("_", 1)[1]
raw = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
keys = bytes.fromhex(sys.argv[2]) + (raw[32:64] if len(sys.argv[2]) == 64 else b"")
crc = 0xFFFFFFFF
for byte in keys:
    crc ^= byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
print("pxu_" + base64.urlsafe_b64encode(keys + (crc ^ 0xFFFFFFFF).to_bytes(4, "big")).decode().rstrip("="))
END
}

an_unknown_key_and_a_wrong_broker_get_no_word() {
        local secret broker
        secret=$(printf '%064d' 7)
        broker=2bd11ce8c0a0b7b8a5f5f8a4e7c2c2d9b8b1f0e4a3d2c1b0a9f8e7d6c5b4a312
        as "$(make_token "$secret")" expect 6 status --timeout 1s && said err key &&
                as "$(make_token "$secret$broker")" expect 6 status --timeout 1s && said err key &&
                held_by system/test_broker an_unknown_key_gets_no_word a_peer_that_expects_another_broker_gets_no_word \
                        a_peer_without_a_key_gets_no_word_over_tcp && serves
}

a_revoked_and_an_expired_token_are_told_so() {
        local gone short
        gone=$(plexus token create --user gone) && short=$(plexus token create --user short --lifetime 1s)
        as "$gone" expect 0 status && expect 0 token revoke gone &&
                as "$gone" expect 4 status --timeout 5s && said err revoked &&
                until_true 20 expired "$short"
}
expired() { as "$1" expect 4 status --timeout 5s && said err expired; }

the_job_of_another_is_not_found() {
        local id none=999999
        id=$(plexus submit --name private -- sh -c 'echo secret; sleep 300')
        for verb in show why logs wait cancel retry hold release rm 'signal USR1' 'priority 5'; do
                # shellcheck disable=SC2086
                as "$ana" expect 3 $verb "$id" && cp "$top/err" "$top/other" &&
                        as "$ana" expect 3 $verb "$none" || return 1
                same "$(sed "s/$id/N/g" "$top/other")" "$(sed "s/$none/N/g" "$top/err")" || return 1
        done
        as "$ana" expect 3 rename "$id" mine && as "$ana" expect 0 ps -a && ! grep -q private "$top/out" &&
                expect 0 show "$id" && said out running && expect 0 cancel "$id"
}

# ---- frames ------------------------------------------------------------------------------------------

malformed_frames_are_refused_and_silence_their_sender() {
        held_by system/test_broker a_malformed_body_is_refused_and_ten_of_them_silence_their_sender \
                ten_malformed_frames_silence_their_sender_and_nobody_else messages_of_many_parts_are_dropped_and_counted
}

bytes_of_no_protocol_disturb_nobody() {
        local i
        for i in 2 3 4 5; do
                timeout 5 bash -c "head -c 100000 /dev/urandom >/dev/tcp/127.0.0.1/$(awk -v i=$i '$1 == "ports" { print $i }' "$mesh/mesh")" 2>"$top/err"
        done
        serves
}

truncated_frames_are_refused() {
        held_by unit/test_base_wire text_too_long_cut_short_or_malformed_is_refused &&
                held_by unit/test_base_wire a_frame_that_is_foreign_cut_or_of_another_version_is_refused
}

oversized_frames_end_the_connection() {
        held_by system/test_broker a_frame_above_the_limit_ends_the_connection_and_one_at_the_limit_is_read
}

over_deep_frames_are_refused() {
        held_by unit/test_base_wire containers_are_skipped_down_to_the_depth_limit_and_not_beyond
}

frames_of_another_version_are_refused_by_name() {
        held_by system/test_broker another_wire_version_is_refused_by_name
}

repeated_frames_are_answered_the_same_and_run_once() {
        held_by unit/test_core a_repeated_submit_gets_the_same_answer_and_runs_once \
                a_refused_submit_stays_refused_when_it_is_repeated
}

# ---- jobs --------------------------------------------------------------------------------------------

too_many_arguments_variables_or_bytes_are_refused_with_the_limit() {
        local words=() code=0 env=() i
        head -c 8388608 /dev/zero >"$top/fits" && head -c 8388609 /dev/zero >"$top/large"
        expect 0 submit --stdin="$top/fits" -- true &&
                expect 2 submit --stdin="$top/large" -- cat && said err larger || return 1
        for ((i = 0; i < 40; i++)); do words+=("$(printf 'x%.0s' {1..30000})"); done
        expect 2 submit -- echo "${words[@]}" && same "$(cat "$top/out")" '' || return 1
        words=() && for ((i = 0; i < 4097; i++)); do words+=(x); done
        expect 2 submit -- "${words[@]}" && said err 4096 || return 1
        for ((i = 0; i < 1025; i++)); do env+=(--env "V$i=x"); done
        expect 2 submit "${env[@]}" -- true && said err 1024 &&
                expect 2 submit --name "$(printf 'n%.0s' {1..129})" -- true && said err 128
}

a_program_that_is_not_on_the_node_is_named_with_the_node() {
        local id
        id=$(plexus submit -n node1 -- no-such-program-here)
        expect 1 wait "$id" && said err no-such-program-here && said err node1 && said err PATH
}

a_directory_that_is_not_on_the_node_is_named_with_the_flags_that_help() {
        local id
        id=$(plexus submit -n node2 --cwd "$top/nowhere" -- true)
        expect 1 wait "$id" && said err "$top/nowhere" && said err node2 && said err --cwd && said err --scratch
}

one_key_is_one_job_and_one_content() {
        local first second
        first=$(plexus submit --idempotency-key k1 -- echo 1)
        second=$(plexus submit --idempotency-key k1 -- echo 1)
        same "$first" "$second" && expect 5 submit --idempotency-key k1 -- echo 2 && said err key
}

a_finished_job_cannot_be_cancelled() {
        local id
        id=$(plexus submit -- true)
        expect 0 wait "$id" && expect 5 cancel "$id" && said err 'ended'
}

what_is_not_there_is_not_found() {
        expect 3 wait 999999 && expect 3 cancel 999999 && expect 3 logs 999999 && expect 3 show 999999 &&
                expect 2 wait never && expect 3 node show node9 && expect 3 token revoke nobody
}

a_flood_without_newline_arrives_whole_and_harms_nobody() {
        local id
        id=$(plexus submit -- head -c 20000000 /dev/zero)
        plexus logs -f --raw "$id" | wc -c >"$top/flood"
        same "$(cat "$top/flood")" 20000000 && serves && held_by system/test_keeper \
                a_hundred_megabytes_without_a_newline_arrive_whole a_cap_keeps_the_head_and_the_tail_and_counts_the_rest
}

# ---- directories ---------------------------------------------------------------------------------------

two_brokers_on_one_directory_are_refused() {
        expect 73 broker -- --dir "$mesh/broker" --run "$top/elsewhere" && said err 'another broker' && serves
}

a_port_in_use_is_named() {
        expect 69 broker -- --dir "$top/second" --listen 127.0.0.1 --port-cmd "$port" && said err "$port" &&
                said err 'in use' && serves
}

# make_damage FILE: change some bytes of every page but the two that LMDB begins with.
make_damage() {
        python3 - "$1" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    data = file.read()
    for at in range(2 * 4096, len(data), 4096):
        file.seek(at + 4000)
        file.write(bytes(byte ^ 0xA5 for byte in data[at + 4000:at + 4016]))
END
}

a_damaged_data_directory_is_refused_by_name() {
        local file
        expect 0 up --dir "$top/damaged" --name damaged && plexus submit -- true >"$top/out" &&
                expect 0 down --dir "$top/damaged" || return 1
        make_damage "$top/damaged/broker/db/data.mdb"
        expect 65 broker -- --dir "$top/damaged/broker" && said err data.mdb || return 1
        expect 125 up --dir "$top/damaged" && said err data.mdb && expect 0 context use local && serves &&
                held_by unit/test_store_space a_damaged_page_is_refused_by_its_number \
                        a_damaged_record_is_refused_by_segment_and_offset
}

a_foreign_data_directory_is_refused_by_name() {
        mkdir -m 700 "$top/foreign" "$top/foreign/db" && head -c 40960 /dev/urandom >"$top/foreign/db/data.mdb"
        expect 65 broker -- --dir "$top/foreign" && said err "$top/foreign" &&
                same "$(stat -c %s "$top/foreign/db/data.mdb")" 40960 &&
                held_by unit/test_store_space an_empty_database_file_is_refused \
                        a_store_without_its_journal_or_its_database_is_refused
}

a_newer_data_directory_is_refused() {
        held_by unit/test_store_space a_journal_of_a_newer_release_is_refused
}

a_full_map_refuses_submits_and_lets_cancels_through() {
        held_by unit/test_store_space a_full_map_stops_submits_and_purging_makes_room_again &&
                held_by unit/test_core full_storage_refuses_submits_and_lets_cancels_through
}

# ---- what needs mounts of its own -------------------------------------------------------------------------

a_full_disk_refuses_submits_as_retryable_and_lets_the_rest_go_on() {
        in_own_mounts '
                plexus() { timeout 20 "$program" "$@"; }
                refused() { code=0; plexus submit -- true 2>"$top/words" || code=$?; [ $code = 6 ]; }
                taken() { plexus submit -- true; }
                until_true() { until "$@"; do read -rt 0.05 <><(:) || :; done; }
                export XDG_CONFIG_HOME=$top/full
                mkdir "$top/disk" && mount -t tmpfs -o size=256m,mode=700 tmpfs "$top/disk"
                trap "plexus down --kill --dir $top/disk/mesh" EXIT
                plexus up --dir "$top/disk/mesh"
                running=$(plexus submit -- sleep 300) && held=$(plexus submit --hold -- true)
                left=$(df --output=avail -k "$top/disk" | tail -n 1)
                head -c $(((left - 16384) * 1024)) /dev/zero >"$top/disk/filler"
                until_true refused
                grep "storage is full" "$top/words"
                plexus status | grep "STORAGE IS FULL"
                plexus cancel "$running" "$held"
                plexus rm "$held"
                rm "$top/disk/filler"
                until_true taken
                plexus wait "$(plexus submit -- true)"'
}

a_network_or_overlay_directory_is_refused_unless_told_otherwise() {
        in_own_mounts '
                broker() { code=0; timeout 20 "$program" broker -- --dir "$top/over/broker" "$@" 2>"$top/words" || code=$?; }
                mkdir "$top/over" && mount -t tmpfs tmpfs "$top/over"
                mkdir "$top/over/low" "$top/over/up" "$top/over/work" "$top/over/broker"
                mount -t overlay -o "lowerdir=$top/over/low,upperdir=$top/over/up,workdir=$top/over/work" overlay "$top/over/broker"
                chmod 700 "$top/over/broker"
                broker
                [ $code = 73 ] && grep -q -- "$top/over/broker.*--any-filesystem" "$top/words"
                "$program" broker -- --dir "$top/over/broker" --any-filesystem --ready-fd 3 3>"$top/ready" 2>"$top/words" &
                serving=$!
                until grep -q READY "$top/ready"; do read -rt 0.05 <><(:) || :; done
                kill $serving && wait $serving'
}

a_job_cannot_read_the_keys_of_node_and_broker_nor_another_jobs_files() {
        mkdir -m 711 "$top/mine" && chmod 711 "$top" && in_own_mounts '
                plexus() { timeout 20 "$program" "$@"; }
                until_true() { until "$@"; do read -rt 0.05 <><(:) || :; done; }
                export XDG_CONFIG_HOME=$top/mine/config
                cp /etc/passwd "$top/passwd"
                echo "ana:x:64331:64331::/:/bin/sh" >>"$top/passwd"
                echo "ben:x:64332:64332::/:/bin/sh" >>"$top/passwd"
                mount --bind "$top/passwd" /etc/passwd
                trap "plexus down --kill --dir $top/mine/broker; plexus down --dir $top/mine/node" EXIT
                plexus init --no-service --dir "$top/mine/broker" --listen 127.0.0.1 --port 0 >"$top/init"
                line=$(awk "\$1 == \"plexus\" && \$2 == \"join\" { print \$3 }" "$top/init")
                plexus join --no-service --dir "$top/mine/node" --name n "$line"
                ana=$(plexus token create --user ana) ben=$(plexus token create --user ben)
                mkdir -m 777 "$top/mine/told"
                export PLEXUS_URL=plexus://${line#*@}
                PLEXUS_TOKEN=$ana plexus submit --scratch --env SECRET=1 -- sh -c \
                        "echo secret; echo secret >mine; echo \$PWD \$\$ >$top/mine/told/new; mv $top/mine/told/new $top/mine/told/ana; exec sleep 300"
                until_true test -e "$top/mine/told/ana"
                read -r folder pid <"$top/mine/told/ana"
                [ "$(cat "$folder/mine")" = secret ] && grep -qz SECRET=1 "/proc/$pid/environ"
                PLEXUS_TOKEN=$ben plexus run --cwd / -- sh -c "id -un
                        for path in $top/mine/node/node.token $top/mine/broker/keys/admin.token $folder/mine \
                                $(dirname "$folder")/out /proc/$pid/environ; do
                                cat \$path && echo READ \$path; done
                        ls $top/mine/node $folder && echo LISTED
                        kill $pid && echo KILLED
                        true" >"$top/ben"
                [ "$(cat "$top/ben")" = ben ]'
}

run_all held_by as serves expired make_token make_damage
