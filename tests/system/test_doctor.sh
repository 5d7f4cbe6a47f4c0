#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `plexus doctor` names the hop that fails: a row for each trouble on the way to a broker. What comes after
# the greeting (versions, clocks, groups, nodes) stands in tests/unit/test_cli_doctor.c.
#
# usage: test_doctor.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"

# fails CODE HOP WORDS [OPTION...]: doctor ends with CODE at this hop, says WORDS and what would help.
fails() {
        local code=$1 hop=$2 words=$3
        shift 3
        expect "$code" doctor "$@" && said out "$(printf 'FAILED  %-10s ' "$hop")" && said out "$words" &&
                said out '        try        '
}

no_mesh_at_all_is_the_context() {
        fails 2 context 'plexus up'
}

a_folder_that_is_missing_or_open_to_others_is_the_directory() {
        mkdir -m 755 "$top/open" && fails 6 directory "$top/none" --url "local:$top/none" &&
                fails 6 directory 'not yours alone' --url "local:$top/open"
}

a_folder_without_a_broker_is_the_socket() {
        mkdir -m 700 "$top/empty" && fails 6 socket "$top/empty/cmd" --url "local:$top/empty"
}

a_name_that_nobody_knows_is_the_name() {
        fails 6 name no-such-host --url plexus://no-such-host.invalid
}

a_closed_port_is_tcp() {
        fails 6 tcp '127.0.0.1 port 1: Connection refused' --url plexus://127.0.0.1:1
}

another_protocol_is_the_greeting() {
        python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"SSH-2.0-OpenSSH\\r\\n"); c.close()' >"$top/ssh.port" &
        started+=($!)
        until_true 10 grep -q . "$top/ssh.port" &&
                fails 6 greeting 'is no broker' --url "plexus://127.0.0.1:$(cat "$top/ssh.port")"
}

a_mesh_in_order_has_no_failing_hop() {
        expect 0 up --listen 127.0.0.1 --lease 3s && expect 0 doctor && ! grep -q FAILED "$top/out" &&
                for hop in context directory data broker files socket token version clock disk nodes; do
                        said out "$(printf 'ok      %-10s ' "$hop")" || return 1
                done
        url=plexus://127.0.0.1:$(awk '$1 == "ports" { print $2 }' "$mesh/mesh")
        ana=$(plexus token create --user ana)
}

a_token_of_another_broker_or_of_nobody_is_the_key() {
        local other
        expect 0 up --dir "$top/other" --name other --listen 127.0.0.1 || return 1
        other=$(cat "$top/other/broker/keys/admin.token")
        PLEXUS_TOKEN=$other fails 6 key 'the token is of another broker' --url "$url" --timeout 2s &&
                expect 0 down --dir "$top/other" && expect 0 context use local
}

a_cut_or_revoked_token_is_the_token() {
        PLEXUS_TOKEN=${ana%???} fails 2 token token --url "$url" && expect 0 token revoke ana &&
                PLEXUS_TOKEN=$ana fails 4 token revoked --url "$url"
}

a_broker_that_stays_down_is_the_broker_with_its_reason() {
        chmod 755 "$mesh/broker/keys"
        kill -9 "$(process broker)"
        until_true 20 grep -q '^note broker' "$mesh/mesh" && fails 6 broker 'is open to other accounts' &&
                chmod 700 "$mesh/broker/keys" && expect 0 down && expect 0 up && expect 0 doctor
}

a_data_folder_open_to_others_is_the_data() {
        chmod 755 "$mesh/broker" && fails 6 data 'not yours alone' && chmod 700 "$mesh/broker" && expect 0 doctor
}

few_descriptors_are_a_warning() {
        (ulimit -Sn 1000 && ulimit -Hn 1000 && expect 0 doctor) && said out 'warning files      a process may open 1000'
}

# ssh of this test: the words behind "--" run here, on "near"; "bare" has no plexus; "far" is not let in.
make_ssh() {
        mkdir -p "$top/bin"
        cat >"$top/bin/ssh" <<END
#!/bin/sh
while [ "\$1" != -- ]; do shift; done
case \$2 in near) ;; bare) exit 127 ;; *) exit 255 ;; esac
shift 3
exec "$program" "\$@"
END
        chmod +x "$top/bin/ssh"
}

from_another_machine_the_way_is_gone_by_ssh() {
        local token
        make_ssh && token=$(cat "$mesh/broker/keys/admin.token")
        export PLEXUS_TOKEN=$token
        PATH=$top/bin:$PATH expect 0 doctor --from near --url "$url" && said out 'the broker knows no node near' &&
                said out 'ok      from       near reaches the broker' &&
                same "$(grep -c 'ok      port ' "$top/out")" 2 &&
                PATH=$top/bin:$PATH fails 6 plexus 'not installed on bare' --from bare --url "$url" &&
                PATH=$top/bin:$PATH fails 6 ssh 'far does not let us in' --from far --url "$url" &&
                PATH=$top/bin:$PATH fails 6 tcp 'Connection refused' --from near --url plexus://127.0.0.1:1 --timeout 1s &&
                fails 2 from 'no name for ssh' --from '-oProxyCommand=x' --url "$url"
        local code=$?
        unset PLEXUS_TOKEN
        return $code
}

a_mesh_without_tcp_cannot_be_reached_from_elsewhere() {
        fails 2 url 'without TCP' --from near
}

run_all fails make_ssh
