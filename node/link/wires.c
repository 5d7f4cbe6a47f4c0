/* SPDX-License-Identifier: Apache-2.0 */
/* wires.c - the link's ZeroMQ sockets: where they lead, their options, one message at a time.
 * Layer: L4 (node/link). Source: DESIGN 5, 6; RELIABILITY 5 Transport.
 *
 * URL: local:RUNDIR, or plexus://HOST[:PORT][,HOST2[:PORT]] with the port of commands. Over TCP a
 * link greets on cmd first to learn the other two ports, each time it begins anew. */
#include "link.h"
#include "px_tables.h"
#include "px_token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

#define CMD_PORT 7539
#define PARTS_MAX 8
#define GREET_FIRST_MS 500
#define GREET_MAX_MS 3500
#define CONNECT_MS 3000 /* to be connected after opening */

/* ---- URL and token -------------------------------------------------------------------------- */

static bool url_hosts(struct wires *wires, const char *text)
{
        char copy[1024];
        char *save = NULL;

        if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
                return false;
        for (char *item = strtok_r(copy, ",", &save); item != NULL;
             item = strtok_r(NULL, ",", &save)) {
                char *colon = strrchr(item, ':');
                bool bracketed = item[0] == '[';
                uint32_t port = CMD_PORT;

                if (colon != NULL && (!bracketed || (colon > item && colon[-1] == ']'))) {
                        char *end;

                        port = (uint32_t)strtoul(colon + 1, &end, 10);
                        if (*end != '\0' || port == 0 || port > 65535)
                                return false;
                        *colon = '\0';
                }
                if (*item == '\0' || wires->hosts_count == WIRES_HOSTS_MAX ||
                    strlen(item) >= sizeof(wires->hosts[0]))
                        return false;
                memcpy(wires->hosts[wires->hosts_count], item, strlen(item) + 1);
                wires->ports[wires->hosts_count++] = port;
        }
        return wires->hosts_count > 0;
}

static bool url_read(struct wires *wires, const char *url)
{
        if (strncmp(url, "local:", 6) == 0) {
                wires->local = true;
                return snprintf(wires->run_dir, sizeof(wires->run_dir), "%s", url + 6) <
                               (int)sizeof(wires->run_dir) &&
                       wires->run_dir[0] != '\0';
        }
        return strncmp(url, "plexus://", 9) == 0 && url_hosts(wires, url + 9);
}

/* A key file is its owner's alone, or it is refused. */
static int token_load(const char *path, char *ret_text, size_t room, char token[512])
{
        struct stat status;
        ssize_t got;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0 || fstat(fd, &status) != 0) {
                snprintf(ret_text, room, "%s: %s", path, strerror(errno));
                if (fd >= 0)
                        close(fd);
                return EX_NOINPUT;
        }
        if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
                snprintf(ret_text, room, "%s: others may read it; chmod 600 helps", path);
                close(fd);
                return EX_NOPERM;
        }
        got = read(fd, token, 511);
        close(fd);
        token[got < 0 ? 0 : got] = '\0';
        return 0;
}

static int token_read(struct wires *wires, const char *token_file, char *ret_text, size_t room)
{
        char reason[PX_TOKEN_REASON_ROOM];
        char secret_text[41];
        char public_text[41];
        char text[512] = "";
        struct px_token token;
        const char *given = getenv("PLEXUS_TOKEN");
        int status = 0;

        if (token_file != NULL)
                status = token_load(token_file, ret_text, room, text);
        else if (given != NULL)
                snprintf(text, sizeof(text), "%s", given);
        if (status != 0)
                return status;
        if (text[0] == '\0') {
                snprintf(ret_text, room, "a token is needed over TCP: --token-file or PLEXUS_TOKEN");
                return EX_USAGE;
        }
        if (!px_token_decode(px_slice_text(text), &token, reason)) {
                snprintf(ret_text, room, "the token is none: %s", reason);
                return EX_DATAERR;
        }
        memcpy(wires->secret, token.secret, sizeof(wires->secret));
        memcpy(wires->broker_public, token.broker_public, sizeof(wires->broker_public));
        PX_ASSERT(zmq_z85_encode(secret_text, token.secret, 32) != NULL);
        PX_ASSERT(zmq_curve_public(public_text, secret_text) == 0);
        PX_ASSERT(zmq_z85_decode(wires->public_key, public_text) != NULL);
        explicit_bzero(secret_text, sizeof(secret_text));
        explicit_bzero(text, sizeof(text));
        px_token_wipe(&token);
        return 0;
}

/* ---- sockets -------------------------------------------------------------------------------- */

static void set_int(void *socket, int option, int value)
{
        PX_ASSERT(zmq_setsockopt(socket, option, &value, sizeof(value)) == 0);
}

static void *wire_open(struct wires *wires, const char *endpoint)
{
        static const struct {
                int option;
                int value;
        } options[] = {
                {ZMQ_LINGER, 500},           {ZMQ_IMMEDIATE, 1},
                {ZMQ_HANDSHAKE_IVL, 3000},   {ZMQ_HEARTBEAT_IVL, 2000},
                {ZMQ_HEARTBEAT_TIMEOUT, 6000}, {ZMQ_HEARTBEAT_TTL, 6000},
                {ZMQ_RECONNECT_IVL, 100},    {ZMQ_RECONNECT_IVL_MAX, GREET_MAX_MS},
                {ZMQ_SNDHWM, 4096},          {ZMQ_RCVHWM, 1024},
                {ZMQ_IPV6, 1},
        };
        int64_t message_bytes_max = PX_LIMIT_MESSAGE_BYTES;
        void *socket = zmq_socket(wires->zmq, ZMQ_DEALER);

        PX_ASSERT(socket != NULL);
        for (size_t i = 0; i < PX_COUNT_OF(options); i++)
                set_int(socket, options[i].option, options[i].value);
        PX_ASSERT(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_bytes_max,
                                 sizeof(message_bytes_max)) == 0);
        if (!wires->local) {
                PX_ASSERT(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, wires->broker_public, 32) ==
                          0);
                PX_ASSERT(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, wires->public_key, 32) == 0);
                PX_ASSERT(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, wires->secret, 32) == 0);
        }
        if (zmq_connect(socket, endpoint) != 0) {
                note(NOTE_ERROR, NULL, "can't connect to %s: %s", endpoint,
                     zmq_strerror(zmq_errno()));
                zmq_close(socket);
                return NULL;
        }
        return socket;
}

static void wire_close(void **socket)
{
        if (*socket != NULL)
                zmq_close(*socket);
        *socket = NULL;
}

static void *wire_open_tcp(struct wires *wires, uint32_t port)
{
        char endpoint[256];

        snprintf(endpoint, sizeof(endpoint), "tcp://%s:%u", wires->hosts[wires->host], port);
        return wire_open(wires, endpoint);
}

static void *wire_open_local(struct wires *wires, const char *name)
{
        char endpoint[320];

        snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", wires->run_dir, name);
        return wire_open(wires, endpoint);
}

static void wires_begin(struct wires *wires, int64_t now_ms)
{
        if (wires->local) {
                wires->ctl = wire_open_local(wires, "node");
                wires->data = wire_open_local(wires, "data");
                wires->greet_ms = LINK_NEVER;
        } else {
                wires->greet_ms = now_ms;
                wires->greeted = 0;
        }
}

int wires_init(struct wires *wires, const char *url, const char *token_file, char *ret_text,
               size_t room)
{
        int status;

        memset(wires, 0, sizeof(*wires));
        if (!url_read(wires, url)) {
                snprintf(ret_text, room,
                         "%s is no URL: local:DIR or plexus://HOST[:PORT][,HOST2[:PORT]]", url);
                return EX_USAGE;
        }
        wires->zmq = zmq_ctx_new();
        PX_ASSERT(wires->zmq != NULL);
        status = wires->local ? 0 : token_read(wires, token_file, ret_text, room);
        if (status != 0)
                return status;
        wires_begin(wires, 0);
        return 0;
}

void wires_fini(struct wires *wires)
{
        wire_close(&wires->cmd);
        wire_close(&wires->ctl);
        wire_close(&wires->data);
        if (wires->zmq != NULL)
                zmq_ctx_term(wires->zmq);
        explicit_bzero(wires->secret, sizeof(wires->secret));
        wires->zmq = NULL;
}

void wires_renew(struct wires *wires, int64_t now_ms)
{
        wire_close(&wires->cmd);
        wire_close(&wires->ctl);
        wire_close(&wires->data);
        if (wires->hosts_count > 0)
                wires->host = (wires->host + 1) % wires->hosts_count;
        wires_begin(wires, now_ms);
}

/* Ask for the ports, at the next host when the last one was silent for long. */
void wires_greet(struct wires *wires, int64_t now_ms)
{
        struct px_m_client_hello hello = {.session = wires->session,
                                          .version = px_slice_text(PX_PRODUCT_VERSION),
                                          .program = px_slice_text("plexus-node")};
        struct px_buf frame = {0};
        unsigned doublings = PX_MIN(wires->greeted, 3u);

        if (wires->cmd != NULL && wires->greeted % 4 == 0) {
                wire_close(&wires->cmd);
                wires->host = (wires->host + 1) % wires->hosts_count;
        }
        if (wires->cmd == NULL)
                wires->cmd = wire_open_tcp(wires, wires->ports[wires->host]);
        px_m_client_hello_frame(&hello, ++wires->greeted, 0, &frame);
        if (wires->cmd != NULL)
                wires_send(wires->cmd, px_buf_slice(&frame));
        px_buf_fini(&frame);
        wires->greet_ms = now_ms + PX_MIN((int64_t)GREET_FIRST_MS << doublings,
                                          (int64_t)GREET_MAX_MS);
}

void wires_take_cmd(struct wires *wires, struct px_slice frame)
{
        struct px_arena arena = {0};
        struct px_wire_header header;
        struct px_slice body;
        struct px_m_client_welcome welcome;
        struct px_m_refused refused;
        char text[PX_LIMIT_TEXT_BYTES + 1];

        if (px_wire_get_header(frame, &header, &body) == PX_WIRE_OK) {
                if (header.type == PX_M_CLIENT_WELCOME &&
                    px_m_client_welcome_decode(body, &arena, &welcome) == PX_WIRE_OK &&
                    welcome.node_port != 0 && welcome.data_port != 0) {
                        wire_close(&wires->cmd);
                        wire_close(&wires->ctl);
                        wire_close(&wires->data);
                        wires->ctl = wire_open_tcp(wires, welcome.node_port);
                        wires->data = wire_open_tcp(wires, welcome.data_port);
                        wires->session = welcome.session;
                        wires->opened_ms = machine_now_ms();
                        wires->greet_ms = LINK_NEVER;
                } else if (header.type == PX_M_REFUSED &&
                           px_m_refused_decode(body, &arena, &refused) == PX_WIRE_OK) {
                        note(NOTE_WARN, NULL, "the broker refuses this node: %s",
                             px_slice_to_text(refused.text, text, sizeof(text)));
                }
        }
        px_arena_fini(&arena);
}

/* ---- messages ------------------------------------------------------------------------------- */

void wires_trace(const char *way, struct px_slice frame)
{
        static int wanted = -1;
        struct px_buf line = {0};

        if (wanted < 0)
                wanted = getenv("PLEXUS_TRACE") != NULL;
        if (!wanted)
                return;
        px_buf_append_text(&line, way);
        px_message_print(&line, frame);
        px_buf_append_text(&line, "\n");
        if (write(STDERR_FILENO, line.data, line.length) < 0)
                wanted = 0;
        px_buf_fini(&line);
}

bool wires_send(void *socket, struct px_slice frame)
{
        wires_trace("> ", frame);
        return socket != NULL && zmq_send(socket, frame.data, frame.length, ZMQ_DONTWAIT) >= 0;
}

void wires_unsent(struct wires *wires, int64_t now_ms)
{
        if (wires->local || wires->greet_ms != LINK_NEVER ||
            now_ms < wires->opened_ms + CONNECT_MS)
                return;
        wires->greet_ms = now_ms;
        wires->greeted = 0;
}

bool wires_receive(void *socket, struct px_buf *body)
{
        zmq_msg_t part;
        unsigned count = 0;
        bool more = true;

        px_buf_reset(body);
        if (socket == NULL)
                return false;
        while (more) {
                zmq_msg_init(&part);
                if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&part);
                        return count > 0;
                }
                more = zmq_msg_more(&part) != 0;
                if (count == 0)
                        px_buf_append(body, zmq_msg_data(&part), zmq_msg_size(&part));
                zmq_msg_close(&part);
                count++;
        }
        if (count > PARTS_MAX)
                px_buf_reset(body);
        wires_trace("< ", px_buf_slice(body));
        return true;
}
