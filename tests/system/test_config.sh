#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plexus.toml and conf.d/: what broker and node take from them, what wins over them, and what is refused.
# Source: INTERFACES 2e.
#
# usage: test_config.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"
export PLEXUS_CONFIG=$top/etc
mkdir -p "$PLEXUS_CONFIG/conf.d"

# shown NAME VALUE ORIGIN: this row stands in `config show --origin`.
shown() {
        expect 0 config show --origin -o csv && said out "$1,$2,$3"
}
# refuses WORDS: the file of this test is refused with these words.
refuses() {
        cat >"$PLEXUS_CONFIG/conf.d/90-bad.toml"
        expect 2 config show && said err "conf.d/90-bad.toml line $1" && expect 2 broker &&
                said err "conf.d/90-bad.toml line $1"
        local code=$?
        rm "$PLEXUS_CONFIG/conf.d/90-bad.toml"
        return $code
}

the_broker_runs_as_the_file_says() {
        cat >"$PLEXUS_CONFIG/plexus.toml" <<END
# of this machine
[broker]
dir = "$top/broker"        # state
run = '$top/run'
any_filesystem = true
lease_ms = 3_000

[node]
cpus = 1.5
label = ["disk=ssd", "zone=a"]
END
        mkdir -m 700 "$top/run"
        "$program" broker >"$top/broker.log" 2>&1 &
        started+=($!)
        until_true 10 test -S "$top/run/cmd" && PLEXUS_TOKEN=$(cat "$top/broker/keys/admin.token") \
                expect 0 status --url "local:$top/run" &&
                said out admin && same "$(tr '\0' ' ' <"/proc/${started[0]}/cmdline" | cut -d' ' -f 2-)" \
                "--dir $top/broker --run $top/run --any-filesystem --lease-ms 3000 "
}

a_later_file_wins_then_a_variable_then_an_option() {
        shown broker.lease_ms 3000 "$PLEXUS_CONFIG/plexus.toml:6" || return 1
        printf '[broker]\nlease_ms = 4000\n[node]\nlabel = ["disk=hdd"]\n' >"$PLEXUS_CONFIG/conf.d/10-site.toml"
        shown broker.lease_ms 4000 "$PLEXUS_CONFIG/conf.d/10-site.toml:2" &&
                shown node.label disk=hdd "$PLEXUS_CONFIG/conf.d/10-site.toml:4" &&
                ! grep -q disk=ssd "$top/out" && shown broker.listen '' default &&
                PLEXUS_BROKER_LEASE_MS=77 shown broker.lease_ms 77 PLEXUS_BROKER_LEASE_MS &&
                PLEXUS_BROKER_LEASE_MS=77 expect 64 broker && said err 'not a valid value for --lease-ms' &&
                PLEXUS_BROKER_LEASE_MS=77 expect 64 broker -- --lease-ms 3000 --odd && said err 'option: --odd' &&
                PLEXUS_NODE_CPUS=none expect 64 node && said err "--cpus doesn't take none"
}

what_is_wrong_is_said_with_file_line_and_nearest_name() {
        printf '[broker]\n\nleese_ms = 1\n' | refuses 3 && said err 'unknown key leese_ms; did you mean lease_ms?' &&
                printf '[brokr]\nlease_ms = 1\n' | refuses 2 && said err 'did you mean broker?' &&
                printf 'dir = "x"\n' | refuses 1 && said err 'stands in no table' &&
                printf '[node]\ncpus = 1\ncpus = 2\n' | refuses 3 && said err 'stands above already' &&
                printf '[node]\ncpus = [1, 2]\n' | refuses 2 && said err 'cpus has one value' &&
                printf '[node]\nname = "n\n' | refuses 2 && said err 'the value is no string' &&
                printf '[node]\nnew_privs = "yes"\n' | refuses 2 && said err 'is true or false' &&
                printf '[node]\nlabel = ["a=b"\n' | refuses 2 && said err 'needs "," or "]"'
}

run_all shown refuses
