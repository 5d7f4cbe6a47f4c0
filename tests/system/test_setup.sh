#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `plexus init` and `plexus join`: a mesh over TCP, what keeps it running with and without systemd, and
# the text of the units. Source: INTERFACES 1a, DESIGN 7.
#
# usage: test_setup.sh BUILD-FOLDER [NAME-PART]
. "$(dirname "$(realpath "$0")")/cli_mesh.sh"
here=$(dirname "$self")
as=()
[ "$(id -u)" != 0 ] || as=(--as root) # a node of root's serves accounts

# ---- in the background ---------------------------------------------------------------------------

init_and_join_make_a_mesh_over_tcp() {
        local user
        expect 0 init --dir "$top/broker" --listen 127.0.0.1 --port 0 --name far --no-service &&
                said out 'supervised in the background, not started at boot (--no-service)' || return 1
        started+=("$(process_of "$top/broker/up" supervisor)")
        line=$(awk '$1 == "plexus" && $2 == "join" { print $3 }' "$top/out")
        expect 0 join "$line" --name joined --dir "$top/joined" --cpus 1 --no-service &&
                said out 'joined: joined' || return 1
        started=("$(process_of "$top/joined/up" supervisor)" "${started[@]}")
        expect 0 nodes && said out joined && expect 0 doctor && said out 'ok      greeting' &&
                expect 0 wait "$(plexus submit --cwd / "${as[@]}" -- true)" || return 1
        user=$(plexus token create --user ana) && expect 0 token ls && said out ana &&
                PLEXUS_TOKEN=$user PLEXUS_URL=plexus://${line#*@} expect 0 status && said out 'ana (user)' &&
                PLEXUS_TOKEN=$user PLEXUS_URL=plexus://${line#*@} expect 4 token create &&
                expect 0 token revoke ana &&
                PLEXUS_TOKEN=$user PLEXUS_URL=plexus://${line#*@} expect 4 status --timeout 5s
}

# ssh of this test: "near" is this machine, "bare" has no plexus, the broker is out of reach from "cut", "far"
# does not let us in. What was on its command lines stands in $top/ssh.calls.
make_ssh() {
        mkdir -p "$top/ssh"
        cat >"$top/ssh/ssh" <<END
#!/bin/sh
echo "\$*" >>"$top/ssh.calls"
while [ "\$1" != -- ]; do shift; done
host=\$2
shift 3
case \$host in
near) exec "$program" "\$@" ;;
bare) exit 127 ;;
cut) [ "\$1" = doctor ] && exec "$program" doctor --reach --url plexus://127.0.0.1:1
     sed 's/@.*/@127.0.0.1:1/' | "$program" "\$@" ;;
*) echo 'Permission denied (publickey).' >&2; exit 255 ;;
esac
END
        chmod +x "$top/ssh/ssh"
}

machines_join_by_ssh_and_the_failing_hop_is_named() {
        make_ssh
        PATH=$top/ssh:$PATH expect 6 join --ssh cut,near,bare,far --dir "$top/by-ssh" --cpus 1 --no-service --timeout 1s
        local code=$?
        started=("$(process_of "$top/by-ssh/up" supervisor)" "${started[@]}")
        [ "$code" = 0 ] && said out "near  1 cpu · " && said out "joined as $(hostname -s)" &&
                said out 'bare  FAILED  plexus: it is not installed there' &&
                said out 'cut  FAILED  tcp: 127.0.0.1 port 1: Connection refused   try: plexus doctor --from cut' &&
                said out 'far  FAILED  ssh: Permission denied (publickey).' && same "$(wc -l <"$top/out")" 4 &&
                expect 0 node show "$(hostname -s)" && same "$(grep -c ' join ' "$top/ssh.calls")" 4 &&
                ! grep -q 'px[a-z]_' "$top/ssh.calls" && expect 0 token ls --no-header &&
                same "$(grep -c 'ssh-.* yes' "$top/out")" 3 &&
                expect 2 join --ssh '-oProxyCommand=x' && said err 'not for the shell' &&
                expect 0 down --dir "$top/by-ssh"
}

what_init_and_join_started_is_started_again() {
        local broker node id
        id=$(plexus submit --cwd / "${as[@]}" -- sh -c "until [ -e $top/go-on ]; do sleep 0.05; done; exit 6")
        until_true 10 sh -c "'$program' status | grep -q '1 running'" || return 1
        broker=$(process_of "$top/broker/up" broker) node=$(process_of "$top/joined/up" node)
        kill -9 "$broker" "$node"
        until_true 10 sh -c "! grep -qE ' ($broker|$node) ' '$top/broker/up/mesh' '$top/joined/up/mesh'" &&
                touch "$top/go-on" && expect 1 wait "$id" && said err 'exit 6' &&
                said err "$id" && grep -q 'broker was killed by SIGKILL; starting it again' "$top/broker/up/up.log"
}

a_broker_out_of_memory_is_started_again_and_jobs_run_on() {
        local broker id much
        much=$(head -c 100000 /dev/zero | tr '\0' x)
        id=$(plexus submit --cwd / "${as[@]}" -- sh -c "until [ -e $top/enough ]; do sleep 0.05; done; exit 4")
        until_true 10 sh -c "'$program' status | grep -q '1 running'" || return 1
        broker=$(process_of "$top/broker/up" broker)
        prlimit --pid "$broker" --data=1048576 && until_true 20 another_broker "$broker" "$much" &&
                touch "$top/enough" && expect 1 wait "$id" && said err 'exit 4' && expect 0 show -o json "$id" &&
                said out '"attempt":1,'
}
# another_broker PROCESS MUCH: give the broker work until another one is there.
another_broker() {
        plexus submit --timeout 1s --hold -- echo "$2" "$2" "$2" "$2" "$2" >"$top/out" 2>"$top/err"
        [ "$(process_of "$top/broker/up" broker)" != "$1" ]
}

a_second_init_finds_the_first_and_a_second_join_is_refused() {
        local broker
        broker=$(process_of "$top/broker/up" broker)
        expect 0 init --dir "$top/broker" --listen 127.0.0.1 --port 0 --name far --no-service &&
                said out 'running  plexus-broker' && same "$(process_of "$top/broker/up" broker)" "$broker" &&
                expect 5 join "$line" --name joined --dir "$top/joined" --no-service &&
                said err "plexus down --dir $top/joined stops it"
}

a_port_in_use_is_named() {
        local port=${line##*:}
        expect 125 init --dir "$top/other" --listen 127.0.0.1 --port "$port" --no-service &&
                said err "127.0.0.1:$port" && said err 'in use' &&
                expect 2 init --dir "$top/other" --port 65533 && said err '--port 65533'
}

an_enrolment_for_people_makes_a_context() {
        local token
        token=$(plexus token create --enrol --role user) &&
                expect 0 join "$token@${line#*@}" --name guest && said out 'context "127"' &&
                expect 0 status && said out '(user)' && expect 0 context use far
}

down_stops_what_init_and_join_started() {
        expect 0 down --dir "$top/joined" && expect 0 down --dir "$top/broker" && expect 6 status --timeout 0.5s &&
                same "$(pgrep -fc "plexus-(broker|node) --dir $top/(broker|joined)")" 0 &&
                expect 0 context rm far
}

# ---- as services ---------------------------------------------------------------------------------

the_broker_is_a_service_of_its_own_account_with_limits() {
        expect 0 init --print-unit --dir '/srv/odd $name 50%' --listen '*' || return 1
        for setting in User=plexus Group=plexus Restart=always StartLimitBurst=5 StartLimitIntervalSec=60 \
                MemoryMax= LimitNOFILE=262144 NoNewPrivileges=yes ProtectSystem=strict CapabilityBoundingSet= \
                Type=notify '--dir "/srv/odd $$name 50%%"' '--port-cmd 7539 --port-node 7540'; do
                said out "$setting" || return 1
        done
        ! grep -qE '^User=(root|0)' "$top/out"
}

a_node_leaves_its_keepers_alone_and_limits_to_them() {
        expect 0 join --print-unit pxn_x@head:7539 --name n1 --cpus 2 || return 1
        for setting in KillMode=process Delegate=yes OOMPolicy=continue Restart=always StartLimitBurst=5 \
                LimitNOFILE= '--url "plexus://head:7539"' '--cpus "2"' 'node.token"'; do
                said out "$setting" || return 1
        done
        ! grep -q '^MemoryMax' "$top/out"
}

systemd_takes_the_units() {
        command -v systemd-analyze >/dev/null || skip 'systemd-analyze is not installed' || return 1
        mkdir -p "$top/units"
        plexus init --print-unit --dir /var/lib/plexus >"$top/units/plexus-broker.service" &&
                plexus join --print-unit pxn_x@head:7539 --dir /var/lib/plexus-node \
                        >"$top/units/plexus-node.service" || return 1
        systemd-analyze verify --man=no "$top"/units/plexus-*.service >"$top/verify" 2>&1
        same "$?: $(grep -F plexus- "$top/verify")" '0: '
}

# In a mount namespace with a manager of our own (fake_systemctl.py): nothing of this machine is changed.
make_services() {
        mkdir -p "$top/bin" "$top/fake" "$top/libexec" && chmod 711 "$top" "$top/libexec" &&
                cp "$build"/broker/plexus-broker "$build"/node/plexus-node "$build"/node/plexus-keeper "$top/libexec/" &&
                cp "$here/fake_systemctl.py" "$top/bin/systemctl" && cp /etc/passwd "$top/passwd" &&
                printf '#!/bin/sh\necho "plexus:x:64321:64321::/:/bin/false" >>/etc/passwd\necho "$@" >>%s\n' \
                        "$top/fake/sysusers" >"$top/bin/systemd-sysusers" && chmod +x "$top"/bin/*
        cat >"$top/services.sh" <<END
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mkdir -p /etc/systemd/system && mount -t tmpfs tmpfs /etc/systemd/system
mount --bind "$top/passwd" /etc/passwd
export PATH="$top/bin:\$PATH" FAKE_SYSTEMD="$top/fake" PLEXUS_LIBEXEC="$top/libexec"
"$program" init --dir "$top/served" --listen 127.0.0.1 --port "\$1" --name served >"$top/init.out"
"$program" join "\$(awk '\$1 == "plexus" && \$2 == "join" { print \$3 }' "$top/init.out")" --dir "$top/node" --name served >"$top/join.out"
cp /etc/systemd/system/* "$top/fake/"
"$program" nodes >"$top/nodes.out"
"$program" wait "\$("$program" submit --cwd / --as root -- true)"
END
}

root_gets_services_under_systemd() {
        local port code=0
        [ "$(id -u)" = 0 ] || skip 'needs root' || return 1
        port=$(python3 -c 'import random; print(random.randrange(20000, 30000, 4))')
        make_services
        timeout 60 unshare -m bash "$top/services.sh" "$port" >"$top/out" 2>"$top/err" || code=$?
        for pid in "$top"/fake/*.pid; do started+=("$(cat "$pid")"); done
        same "$code $(cat "$top/err")" '0 ' || return 1
        same "$(grep -v show "$top/fake/calls" | tr '\n' ';')" \
                'daemon-reload;enable plexus-broker;restart plexus-broker;daemon-reload;enable plexus-node;restart plexus-node;' &&
                grep -q 'a service of the account plexus' "$top/init.out" && grep -q 'served: joined' "$top/join.out" &&
                grep -q '1 up' "$top/nodes.out" && same "$(stat -c %u "$top/served/keys/admin.token")" 64321 &&
                same "$(awk '/^Uid:/ { print $2 }' "/proc/$(cat "$top/fake/plexus-broker.pid")/status")" 64321 &&
                same "$(stat -c %a "$top/served")" 700 && grep -q '^User=plexus' "$top/fake/plexus-broker.service"
}

run_all make_services make_ssh another_broker
