#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Arrays at the command line: one job, many tasks, each with an output of its own.
#
# usage: test_cli_array.sh BUILD-FOLDER [NAME-PART]
# shellcheck source=tests/system/cli_mesh.sh
. "$(dirname "$0")/cli_mesh.sh"

up_listens_for_what_follows() {
        expect 0 up --nodes 2
}

# submit_array RANGE COMMAND...: its number is in $array afterwards.
submit_array() {
        local range=$1
        shift
        expect 0 submit -a "$range" -- "$@" && array=$(cat "$top/out")
}

each_task_has_its_number_and_its_output() {
        submit_array 1-4 sh -c 'echo $PLEXUS_TASK of $PLEXUS_ARRAY is $PLEXUS_JOB' &&
                expect 0 wait "$array" && expect 0 logs "$array" &&
                same "$(cat "$top/out")" "$(for i in 1 2 3 4; do
                        echo "$array.$i │ $i of $array is $array.$i"; done)" &&
                expect 0 logs "$array.3" && same "$(cat "$top/out")" "3 of $array is $array.3"
}

a_step_leaves_numbers_out() {
        submit_array 0-10:5 true && expect 0 wait "$array" && expect 0 ps -o id "$array." &&
                same "$(sort -t. -k2n "$top/out" | tr '\n' ' ')" "$array.0 $array.5 $array.10 "
}

a_failed_task_fails_the_array_and_a_retry_runs_it_alone() {
        submit_array 1-3 sh -c "[ \$PLEXUS_TASK != 2 ] || [ -e $top/mended ]" || return 1
        expect 1 wait "$array" && said err "1 of 3 tasks failed" && touch "$top/mended" &&
                expect 0 retry "$array" && expect 0 wait "$array" && expect 0 ps -o json "$array." &&
                same "$(python3 -c 'import json, sys
print([job["attempt"] for job in json.load(open(sys.argv[1]))["jobs"]])' "$top/out")" "[1, 2, 1]"
}

a_million_tasks_are_submitted_and_cancelled_at_once() {
        submit_array 1-1000000%200 sleep 300 && expect 0 show "$array" && said out "of 1000000 tasks" &&
                expect 0 cancel "$array" --force && expect 0 ps -o json "$array" &&
                said out '"state":"cancelled"'
}

what_is_no_array_is_refused() {
        expect 2 submit -a 5-1 -- true && said err "FIRST-LAST" &&
                expect 2 submit -a 1-9000000 -- true && said err "ARRAY_TASKS" &&
                expect 2 submit -a 1-3%0 -- true &&
                expect 2 submit --max-fails 2 -- true && said err "--array" &&
                expect 3 show 1.77 && said err "no job 1.77"
}

run_all submit_array
