/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_doctor.c - plexus doctor against a played library behind a port that greets like ZeroMQ: which
 * hop it names for which trouble. The hops before the greeting stand in tests/system/test_doctor.sh. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli_played.h"

/* ---- what the broker says -------------------------------------------------------------------------- */

static struct plexus_who who;
static struct plexus_status status;
static int status_error;
static struct plexus_node node;

int plexus_whoami(plexus *px, struct plexus_who *ret_who)
{
        (void)px;
        *ret_who = who;
        return PLEXUS_OK;
}

int plexus_status(plexus *px, struct plexus_status *ret_status)
{
        (void)px;
        *ret_status = status;
        return status_error;
}

int plexus_nodes(plexus *px, struct plexus_node **ret_nodes, size_t *ret_count)
{
        (void)px;
        *ret_nodes = calloc(1, sizeof **ret_nodes);
        **ret_nodes = node;
        *ret_count = 1;
        return PLEXUS_OK;
}

void plexus_nodes_free(struct plexus_node *nodes)
{
        free(nodes);
}

/* A healthy mesh. */
static void begin(void)
{
        memset(&played, 0, sizeof played);
        who = (struct plexus_who){.principal = "ana", .role = "user"};
        snprintf(who.broker_version, sizeof who.broker_version, "%s", plexus_version());
        status = (struct plexus_status){.nodes_up = 1, .cpus = 4};
        status_error = PLEXUS_OK;
        node = (struct plexus_node){.name = "n1", .kind = "node", .state = "up", .kill_mode = "cgroup2",
                                    .enforces = "memory, processes"};
}

/* ---- a port that greets ------------------------------------------------------------------------------- */

static void *greet(void *context)
{
        static const unsigned char greeting[10] = {0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F};
        const int *listener = context;

        for (;;) {
                int fd = accept(*listener, NULL, NULL);

                if (fd < 0)
                        return NULL;
                EXPECT_INT(write(fd, greeting, sizeof greeting), sizeof greeting);
                close(fd);
        }
}

static const char *greeting_url(void)
{
        static int listener = -1;
        static char url[64];
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        pthread_t thread;

        if (listener >= 0)
                return url;
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_INT(bind(listener, (const struct sockaddr *)&address, length), 0);
        EXPECT_INT(listen(listener, 16), 0);
        EXPECT_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        snprintf(url, sizeof url, "plexus://127.0.0.1:%u", ntohs(address.sin_port));
        EXPECT_INT(pthread_create(&thread, NULL, greet, &listener), 0);
        pthread_detach(thread);
        return url;
}

static int doctor(void)
{
        return played_run("doctor", "--url", greeting_url(), NULL);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

TEST(a_healthy_mesh_has_no_warning)
{
        begin();
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "FAILED") == NULL);
        EXPECT(strstr(played_out(), "warning") == NULL);
        EXPECT(strstr(played_out(), "ok      token      you are ana (user)\n") != NULL);
        EXPECT(strstr(played_out(), "ok      nodes      1 up, 0 reconnecting, 0 draining, 0 lost; 0 of 4 cpus in use\n") != NULL);
}

TEST(a_refused_connection_is_the_hop_of_its_reason)
{
        static const struct {
                int error;
                const char *detail;
                const char *line;
        } rows[] = {
                {PLEXUS_REVOKED, "the token is revoked", "FAILED  token      the token is revoked\n"},
                {PLEXUS_EXPIRED, "", "FAILED  token      "},
                {PLEXUS_INVALID, "the token is cut short", "FAILED  token      the token is cut short\n"},
                {PLEXUS_VERSION, "", "FAILED  version    "},
                {PLEXUS_UNREACHABLE, "ended the handshake", "FAILED  key        ended the handshake\n"},
                {PLEXUS_TIMED_OUT, "no answer", "FAILED  key        no answer\n"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                begin();
                played.connect_error = rows[i].error;
                played.detail = rows[i].detail;
                EXPECT_INT(doctor(), plexus_error_exit(rows[i].error));
                EXPECT(strstr(played_out(), rows[i].line) != NULL);
                EXPECT(strstr(played_out(), "        try        ") != NULL);
        }
}

TEST(another_release_is_a_warning)
{
        begin();
        snprintf(who.broker_version, sizeof who.broker_version, "0.9.9");
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "warning version    the broker is 0.9.9, this is ") != NULL);
}

TEST(a_clock_that_is_off_is_a_warning_that_says_which_way)
{
        begin();
        who.clock_ahead_ms = 90000;
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "warning clock      the broker's is 1m30s ahead of ours") != NULL);
        who.clock_ahead_ms = -90000;
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "warning clock      the broker's is 1m30s behind ours") != NULL);
        who.clock_ahead_ms = 4000;
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "ok      clock      4.0s apart\n") != NULL);
}

TEST(a_closed_data_port_is_named)
{
        begin();
        who.data_port = 1;
        EXPECT_INT(doctor(), 6);
        EXPECT(strstr(played_out(), "FAILED  data port  127.0.0.1 port 1: Connection refused\n") != NULL);
}

TEST(a_full_disk_and_a_mesh_without_nodes_fail)
{
        begin();
        status.storage_full = true;
        EXPECT_INT(doctor(), 1);
        EXPECT(strstr(played_out(), "FAILED  disk       ") != NULL);
        begin();
        status.nodes_up = 0;
        status.nodes_unreachable = 2;
        EXPECT_INT(doctor(), 1);
        EXPECT(strstr(played_out(), "FAILED  nodes      0 up, 0 reconnecting, 0 draining, 2 lost\n") != NULL);
}

TEST(a_node_without_control_groups_is_a_warning)
{
        begin();
        snprintf(node.kill_mode, sizeof node.kill_mode, "subreaper");
        snprintf(node.enforces, sizeof node.enforces, "nothing: neither memory nor processes");
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "warning cgroups    n1 ends jobs by subreaper and enforces nothing") != NULL);
        snprintf(node.kind, sizeof node.kind, "worker"); /* runs no processes */
        EXPECT_INT(doctor(), 0);
        EXPECT(strstr(played_out(), "warning") == NULL);
}
