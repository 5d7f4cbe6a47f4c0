/* SPDX-License-Identifier: Apache-2.0 */
/* shell.c - brings the broker up in order, and down again. Layer: L4 (broker/shell).
 *
 * Order: directories, log (its new epoch is on disk), core, first batch, keys, ZAP handler and its
 * test, egress, sockets, READY. Nobody is let in before the handler stands; nothing is answered
 * before all of the state is there. */
#include "shell.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <zmq.h>

#include "notify.h"
#include "px_schema.h"

#define SELF_TEST_MS 5000
#define FILES_MAX 262144
#define LARGE_BYTES (256 << 10)
#define TEXT_ROOM (PRIVATE_TEXT_ROOM + 256)
#define ENDPOINTS_MAX 3 /* local, tcp, NULL */

/* ---- words of a failed assertion
 * ------------------------------------------------------------------ */

static struct shell *hooked;

static void print_commands(const struct shell *shell)
{
        uint64_t first;

        fprintf(stderr, "epoch %" PRIu64 ", index %" PRIu64 ", core_ms %" PRId64 "\n",
                shell->start.epoch, shell->index, core_now_ms(shell->core));
        first = shell->last_count > SHELL_LAST_COMMANDS ? shell->last_count - SHELL_LAST_COMMANDS
                                                        : 0;
        for (uint64_t i = first; i < shell->last_count; i++) {
                const struct shell_trace *trace = &shell->last[i % SHELL_LAST_COMMANDS];

                fprintf(stderr,
                        "command %" PRIu64 ": type %u, origin %u, principal %" PRIu32
                        ", peer %" PRIu64 ", number %" PRIu64 "\n",
                        i, trace->type, trace->origin, trace->principal, trace->peer,
                        trace->correlation);
        }
        fprintf(stderr, "digest %016" PRIx64 "\n", core_digest(shell->core));
}

/* Ends the process like a failed write does: nothing more is acknowledged, nothing is tidied up. */
static void print_state(void)
{
        const struct shell *shell = hooked;

        if (shell != NULL && shell->core != NULL)
                print_commands(shell);
        fflush(stderr);
        _exit(BROKER_EXIT_IO);
}

/* ---- the process
 * ------------------------------------------------------------------------------------ */

/* SIGTERM and SIGINT arrive through a descriptor; threads inherit the mask. */
static int block_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        PX_ASSERT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit fails instead */
        return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Memory of our own: LMDB's map is shared and doesn't count. Who needs more is broken or attacked; it
 * ends, and the one that takes its place has all that was acknowledged. */
static void limit_memory(uint64_t bytes)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        (void)bytes; /* a sanitizer's shadow is terabytes of it */
#else
        struct rlimit memory;

        if (bytes == 0 || getrlimit(RLIMIT_DATA, &memory) != 0)
                return;
        memory.rlim_cur = PX_MIN((rlim_t)bytes, memory.rlim_max);
        PX_ASSERT(setrlimit(RLIMIT_DATA, &memory) == 0);
#endif
}

/* Large buffers (groups of batches, messages) have pages of their own and give them back at once;
 * left to itself the allocator soon takes them from the heap, where they stay among small things. */
static void separate_large_buffers(void)
{
        (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* a sanitizer has an allocator of its own */
}

static void harden_process(const struct broker_options *options)
{
        struct rlimit files;

        limit_memory(options->memory_bytes);

        umask(077);
        PX_ASSERT(prctl(PR_SET_DUMPABLE, 0) == 0);
        PX_ASSERT(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_MAX) {
                files.rlim_cur = PX_MIN((rlim_t)FILES_MAX, files.rlim_max);
                setrlimit(RLIMIT_NOFILE, &files);
        }
}

/* One context for the process: czmq's. Routing ids come from the C library's generator, which is
 * seeded from the kernel before the first socket. */
static void open_context(struct shell *shell)
{
        uint32_t seed;

        zsys_handler_set(NULL);
        shell->zmq_context = zsys_init();
        PX_ASSERT(shell->zmq_context != NULL);
        clock_random(&seed, sizeof(seed));
        srand(seed);
}

/* ---- directories
 * ------------------------------------------------------------------------------------- */

static int refuse(int status, const char *text)
{
        fprintf(stderr, "plexus-broker: %s\n", text);
        return status;
}

static bool make_directory(const char *path, const char *name, char *ret_text)
{
        char whole[PATH_MAX];

        if (snprintf(whole, sizeof(whole), "%s%s%s", path, name[0] == '\0' ? "" : "/", name) >=
            (int)sizeof(whole)) {
                snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s: the path is too long", path);
                return false;
        }
        return private_directory(whole, ret_text) == 0;
}

static void run_directory(const struct shell *shell, char *ret_path)
{
        if (shell->options->run != NULL)
                snprintf(ret_path, PATH_MAX, "%s", shell->options->run);
        else
                snprintf(ret_path, PATH_MAX, "%s/run", shell->options->dir);
}

/* Two brokers on one directory of sockets would take each other's place. */
static bool lock_run_directory(struct shell *shell, const char *run, char *ret_text)
{
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/lock", run) >= (int)sizeof(path))
                return false;
        shell->run_lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (shell->run_lock_fd >= 0 && flock(shell->run_lock_fd, LOCK_EX | LOCK_NB) == 0)
                return true;
        snprintf(ret_text, PRIVATE_TEXT_ROOM, "%s: %s", run,
                 errno == EWOULDBLOCK ? "another broker has its sockets here" : strerror(errno));
        return false;
}

static int prepare_directories(struct shell *shell)
{
        char text[PRIVATE_TEXT_ROOM] = "";
        char run[PATH_MAX];

        run_directory(shell, run);
        if (!make_directory(shell->options->dir, "", text) ||
            !make_directory(shell->options->dir, "keys", text) ||
            !make_directory(shell->options->dir, "logs", text) || !make_directory(run, "", text) ||
            !lock_run_directory(shell, run, text))
                return refuse(BROKER_EXIT_DIRECTORY, text);
        return BROKER_EXIT_OK;
}

/* ---- state
 * --------------------------------------------------------------------------------------------- */

static int status_of_open(int result)
{
        if (result == PX_E_DAMAGED || result == PX_E_VERSION)
                return BROKER_EXIT_DAMAGED;
        if (result > 0 || result == -EACCES || result == -EPERM || result == -ENOENT ||
            result == -ENOTDIR || result == -EROFS)
                return BROKER_EXIT_DIRECTORY;
        return BROKER_EXIT_IO;
}

static int open_log(struct shell *shell)
{
        struct px_log_options options = {
                .dir = shell->options->dir,
                .map_bytes = shell->options->map_bytes,
                .feed_keep_ms = shell->options->keep_event_ms,
                .any_filesystem = shell->options->any_filesystem,
        };
        char text[TEXT_ROOM];
        int result = px_log_open_local(&options, clock_wall_ms(), &shell->log, &shell->start);

        if (result == PX_OK)
                return BROKER_EXIT_OK;
        if (shell->start.refusal[0] == '\0')
                snprintf(text, sizeof(text), "%s: %s", shell->options->dir,
                         result < 0 ? strerror(-result) : px_error_find(result)->text);
        else
                snprintf(text, sizeof(text), "%s: %s", shell->options->dir, shell->start.refusal);
        return refuse(status_of_open(result), text);
}

static int load_state(struct shell *shell)
{
        char text[PRIVATE_TEXT_ROOM] = "";
        int fault;

        if (load_identity(shell, text) != 0)
                return refuse(BROKER_EXIT_DIRECTORY, text);
        fault = load_core(shell);
        if (fault != 0)
                return refuse(BROKER_EXIT_IO, strerror(-fault));
        if (shell->start.index == 0 && load_bootstrap(shell, text) != 0)
                return refuse(BROKER_EXIT_IO, text);
        load_keys(shell);
        return BROKER_EXIT_OK;
}

/* ---- sockets
 * --------------------------------------------------------------------------------------------- */

static void local_endpoint(const struct shell *shell, const char *service, char *ret_endpoint)
{
        char run[PATH_MAX];

        run_directory(shell, run);
        /* One that is cut is longer than a socket's path may be and is refused at bind. */
        snprintf(ret_endpoint, SOCKET_ENDPOINT_ROOM, "ipc://%s/%s", run, service);
}

static void tcp_endpoint(const struct shell *shell, uint32_t port, char *ret_endpoint)
{
        const char *host = shell->options->listen;
        bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
        char number[16];

        snprintf(number, sizeof(number), "%" PRIu32, port);
        snprintf(ret_endpoint, SOCKET_ENDPOINT_ROOM, "tcp://%s%s%s:%s", bare_ipv6 ? "[" : "", host,
                 bare_ipv6 ? "]" : "", port == 0 ? "*" : number);
}

static int status_of_bind(int fault)
{
        return fault == -EADDRINUSE || fault == -EADDRNOTAVAIL || fault == -ENODEV ||
                               fault == -EACCES
                       ? BROKER_EXIT_PORT
                       : BROKER_EXIT_DIRECTORY;
}

static void secure_egress(void *context, void *socket, const char *endpoint)
{
        int type = 0;
        size_t length = sizeof(type);

        PX_ASSERT(zmq_getsockopt(socket, ZMQ_TYPE, &type, &length) == 0);
        socket_secure(context, socket, endpoint,
                      type == ZMQ_ROUTER ? SOCKET_SERVICE_DATA : SOCKET_SERVICE_EVENTS);
}

static int start_zap(struct shell *shell)
{
        char endpoint[SOCKET_ENDPOINT_ROOM];
        char text[TEXT_ROOM];
        int fault = zap_start(shell->keys, &shell->zap);

        if (fault == 0) {
                local_endpoint(shell, "self-test", endpoint);
                fault = zap_self_test(shell->zmq_context, endpoint, SELF_TEST_MS);
        }
        if (fault == 0)
                return BROKER_EXIT_OK;
        if (fault == -EACCES)
                return refuse(BROKER_EXIT_SYSTEM, "the self-test failed: a stranger was let in");
        snprintf(text, sizeof(text), "the self-test of authentication at %s failed: %s%s", endpoint,
                 zmq_strerror(-fault),
                 fault == -ENAMETOOLONG ? "; --run with a shorter directory helps" : "");
        return refuse(BROKER_EXIT_DIRECTORY, text);
}

static int start_egress(struct shell *shell)
{
        char data[2][SOCKET_ENDPOINT_ROOM];
        char events[2][SOCKET_ENDPOINT_ROOM];
        char logs_dir[PATH_MAX];
        char blobs_dir[PATH_MAX];
        char text[TEXT_ROOM] = "";
        const char *data_endpoints[ENDPOINTS_MAX] = {data[0]};
        const char *events_endpoints[ENDPOINTS_MAX] = {events[0]};
        struct egress_options options = {
                .zmq_context = shell->zmq_context,
                .log = shell->log,
                .keys = shell->keys,
                .logs_dir = logs_dir,
                .data_endpoints = data_endpoints,
                .events_endpoints = events_endpoints,
                .secure = secure_egress,
                .secure_context = &shell->identity,
                .epoch = shell->start.epoch,
                .log_keep_ms = shell->options->keep_log_ms,
                .log_keep_bytes = shell->options->keep_log_bytes,
        };
        int fault;

        local_endpoint(shell, SOCKET_SERVICE_DATA, data[0]);
        local_endpoint(shell, SOCKET_SERVICE_EVENTS, events[0]);
        if (shell->options->listen != NULL) {
                tcp_endpoint(shell, shell->options->port_data, data[1]);
                tcp_endpoint(shell, shell->options->port_events, events[1]);
                data_endpoints[1] = data[1];
                events_endpoints[1] = events[1];
        }
        if (snprintf(logs_dir, sizeof(logs_dir), "%s/logs", shell->options->dir) >=
            (int)sizeof(logs_dir))
                return refuse(BROKER_EXIT_DIRECTORY, "the path of the logs is too long");
        if (snprintf(blobs_dir, sizeof(blobs_dir), "%s/blobs", shell->options->dir) >=
            (int)sizeof(blobs_dir))
                return refuse(BROKER_EXIT_DIRECTORY, "the path of the files is too long");
        fault = blobs_open(blobs_dir, 0, &shell->blobs);
        if (fault != 0) {
                snprintf(text, sizeof(text), "%s: %s", blobs_dir, strerror(-fault));
                return refuse(BROKER_EXIT_DIRECTORY, text);
        }
        options.blobs = shell->blobs;
        fault = egress_start(&options, &shell->egress, text, sizeof(text));
        return fault == 0 ? BROKER_EXIT_OK : refuse(status_of_bind(fault), text);
}

static int bind_one(struct shell *shell, size_t socket, const char *endpoint, const char *service)
{
        char text[TEXT_ROOM] = "";
        int fault = socket_open_router(shell->zmq_context, &shell->identity, endpoint, service,
                                       &shell->sockets[socket], &shell->ports[socket], text,
                                       sizeof(text));

        if (fault != 0)
                return refuse(status_of_bind(fault), text);
        shell->fds[socket] = socket_fd(shell->sockets[socket]);
        shell->stale[socket] = true;
        return BROKER_EXIT_OK;
}

static int bind_sockets(struct shell *shell)
{
        char endpoint[SOCKET_ENDPOINT_ROOM];
        int status;

        local_endpoint(shell, SOCKET_SERVICE_NODE, endpoint);
        status = bind_one(shell, SHELL_NODE_LOCAL, endpoint, SOCKET_SERVICE_NODE);
        local_endpoint(shell, SOCKET_SERVICE_CMD, endpoint);
        if (status == BROKER_EXIT_OK)
                status = bind_one(shell, SHELL_CMD_LOCAL, endpoint, SOCKET_SERVICE_CMD);
        if (status != BROKER_EXIT_OK || shell->options->listen == NULL)
                return status;
        tcp_endpoint(shell, shell->options->port_node, endpoint);
        status = bind_one(shell, SHELL_NODE_TCP, endpoint, SOCKET_SERVICE_NODE);
        tcp_endpoint(shell, shell->options->port_cmd, endpoint);
        if (status == BROKER_EXIT_OK)
                status = bind_one(shell, SHELL_CMD_TCP, endpoint, SOCKET_SERVICE_CMD);
        core_set_ports(shell->core, shell->ports[SHELL_NODE_TCP], egress_data_port(shell->egress),
                       egress_events_port(shell->egress));
        record_ports(shell->record, shell->ports[SHELL_NODE_TCP], egress_data_port(shell->egress),
                     egress_events_port(shell->egress));
        return status;
}

/* ---- up and down
 * ------------------------------------------------------------------------------------------- */

static void tell_ready(const struct shell *shell, int64_t begun_ms)
{
        char line[256];
        int length =
                snprintf(line, sizeof(line),
                         "READY cmd=%" PRIu32 " node=%" PRIu32 " data=%" PRIu32 " events=%" PRIu32
                         " epoch=%" PRIu64 " index=%" PRIu64 " jobs=%" PRIu64 " ms=%" PRId64 "\n",
                         shell->ports[SHELL_CMD_TCP], shell->ports[SHELL_NODE_TCP],
                         egress_data_port(shell->egress), egress_events_port(shell->egress),
                         shell->start.epoch, shell->index, core_jobs_count(shell->core),
                         clock_steady_ms() - begun_ms);

        notify_manager("READY=1\nSTATUS=serves\n");
        if (shell->options->ready_fd < 0)
                return;
        if (write((int)shell->options->ready_fd, line, (size_t)length) != length)
                perror("plexus-broker: --ready-fd");
        close((int)shell->options->ready_fd);
}

static int bring_up(struct shell *shell)
{
        int status = prepare_directories(shell);

        if (status == BROKER_EXIT_OK)
                status = open_log(shell);
        if (status == BROKER_EXIT_OK)
                status = load_state(shell);
        if (status == BROKER_EXIT_OK)
                status = start_zap(shell);
        if (status == BROKER_EXIT_OK)
                status = start_egress(shell);
        if (status == BROKER_EXIT_OK)
                status = bind_sockets(shell);
        return status;
}

static void init(struct shell *shell, const struct broker_options *options)
{
        shell->options = options;
        shell->run_lock_fd = -1;
        shell->keys = keys_new();
        shell->peers = peers_new();
        shell->batch = batch_new();
        shell->assigns = assigns_new(release_assign, shell);
        shell->trace = getenv("PLEXUS_TRACE") != NULL;
        px_list_init(&shell->waiting);
        px_list_init(&shell->spare);
        retention_init(&shell->retention, options->keep_done_ms, options->keep_done_count,
                       clock_steady_ms());
        hooked = shell;
        px_assert_hook = print_state;
}

/* Sockets first, so that nobody new is heard; the log last, so that all is stored. */
static void bring_down(struct shell *shell)
{
        for (size_t i = 0; i < SHELL_SOCKETS; i++)
                socket_close(shell->sockets[i]);
        egress_stop(shell->egress);
        blobs_close(shell->blobs);
        zap_stop(shell->zap);
        if (shell->zmq_context != NULL)
                zsys_shutdown();
        px_log_close(shell->log);
        px_assert_hook = NULL;
        record_close(shell->record);
        release_fini(shell);
        assigns_free(shell->assigns);
        batch_free(shell->batch);
        peers_free(shell->peers);
        strikes_fini(&shell->strikes);
        keys_free(shell->keys);
        if (shell->core != NULL)
                core_free(shell->core);
        px_buf_fini(&shell->gone);
        sodium_munlock(&shell->identity, sizeof(shell->identity)); /* wipes */
        close(shell->run_lock_fd);
        close(shell->signal_fd);
        px_free(shell);
}

int shell_run(const struct broker_options *options)
{
        struct shell *shell = px_alloc(sizeof(*shell));
        int64_t begun_ms = clock_steady_ms();
        int status;

        separate_large_buffers();
        harden_process(options);
        init(shell, options);
        shell->signal_fd = block_signals();
        PX_ASSERT(shell->signal_fd >= 0);
        open_context(shell);
        status = bring_up(shell);
        if (status == BROKER_EXIT_OK) {
                tell_ready(shell, begun_ms);
                status = loop_run(shell);
                notify_manager("STOPPING=1\n");
                if (status == BROKER_EXIT_OK)
                        status = loop_flush(shell);
                if (status == BROKER_EXIT_OK)
                        loop_say_goodbye(shell);
        }
        /* A failed write leaves nothing that may be tidied up: whoever waits must not be answered.
         */
        if (status == BROKER_EXIT_IO)
                _exit(status);
        bring_down(shell);
        return status;
}
