/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - the loop of plexus-node. Layer: L4 (node/link). */
#include "link.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

#define TURN_MESSAGES 256
#define TURN_EVENTS 64
#define SAMPLE_MS 1000
#define LOG_CREDIT_BYTES (4u * 1024 * 1024)
#define LOG_WAIT_MS 10000

/* ---- steps ---------------------------------------------------------------------------------- */

void link_follow(struct link *link, enum node_input_kind kind, struct spool_key key, int code,
                 const char *text)
{
        struct follow follow = {.kind = kind, .key = key, .code = code};

        snprintf(follow.text, sizeof(follow.text), "%s", text == NULL ? "" : text);
        px_buf_append(&link->follows, &follow, sizeof(follow));
}

static void step_once(struct link *link, const struct node_input *input)
{
        node_step(link->node, machine_now_ms(), input, &link->effects);
        for (size_t i = 0; i < link->effects.count; i++)
                effect_apply(link, &link->effects.items[i]);
}

/* One input, and what its effects bring about. Never called from within an effect: what they want
 * to say waits in `follows`. */
void link_step(struct link *link, const struct node_input *input)
{
        PX_ASSERT(!link->stepping);
        link->stepping = true;
        step_once(link, input);
        for (size_t at = 0; at < link->follows.length; at += sizeof(struct follow)) {
                struct follow follow;
                struct node_input next;

                memcpy(&follow, link->follows.data + at, sizeof(follow));
                next = (struct node_input){.kind = follow.kind,
                                           .job = follow.key.job,
                                           .fence = follow.key.fence,
                                           .code = follow.code,
                                           .text = px_slice_text(follow.text)};
                step_once(link, &next);
        }
        px_buf_reset(&link->follows);
        link->stepping = false;
}

static void step_time(struct link *link)
{
        struct node_input input = {.kind = NODE_IN_TIME};
        int64_t now_ms = machine_now_ms();

        if (now_ms >= link->sampled_ms + SAMPLE_MS) {
                link->sampled_ms = now_ms;
                input.load_milli = machine_load_milli();
                input.memory_free_bytes = machine_memory_free_bytes();
        }
        link_step(link, &input);
}

/* ---- being ready ---------------------------------------------------------------------------- */

static uint64_t session_of(struct px_slice frame)
{
        struct px_arena arena = {0};
        struct px_wire_header header;
        struct px_m_node_welcome welcome;
        struct px_slice body;
        uint64_t session = 0;

        if (px_wire_get_header(frame, &header, &body) == PX_WIRE_OK &&
            header.type == PX_M_NODE_WELCOME &&
            px_m_node_welcome_decode(body, &arena, &welcome) == PX_WIRE_OK)
                session = welcome.session;
        px_arena_fini(&arena);
        return session;
}

static void say_ready(struct link *link, struct px_slice frame)
{
        uint64_t session;

        if (link->up == node_connected(link->node))
                return;
        link->up = node_connected(link->node);
        if (!link->up) {
                note(NOTE_WARN, NULL, "the broker is out of reach; %zu attempts go on",
                     node_attempts_count(link->node));
                notify_manager("STATUS=the broker is out of reach\n");
                return;
        }
        session = session_of(frame);
        note(NOTE_INFO, NULL, "session %" PRIu64 " with the broker, %zu attempts held", session,
             node_attempts_count(link->node));
        notify_manager("STATUS=serves the broker\n");
        if (!link->ready && link->options->ready_fd >= 0) {
                dprintf(link->options->ready_fd, "READY node=%s session=%" PRIu64 "\n",
                        link->options->name, session);
                close(link->options->ready_fd);
        }
        link->ready = true;
}

/* ---- events --------------------------------------------------------------------------------- */

static void hear_socket(struct link *link, void **socket, enum node_input_kind kind)
{
        for (int i = 0; i < TURN_MESSAGES && wires_receive(*socket, &link->body); i++) {
                struct node_input input = {.kind = kind, .frame = px_buf_slice(&link->body)};

                if (input.frame.length == 0 ||
                    (kind == NODE_IN_DATA && fetch_take(link, input.frame)))
                        continue;
                link_step(link, &input);
                say_ready(link, input.frame);
        }
}

static void hear_cmd(struct link *link)
{
        while (link->wires.cmd != NULL && wires_receive(link->wires.cmd, &link->body))
                wires_take_cmd(&link->wires, px_buf_slice(&link->body));
}

static void hear_wire(struct link *link, const void *socket)
{
        if (socket == link->wires.ctl)
                hear_socket(link, &link->wires.ctl, NODE_IN_CTL);
        else if (socket == link->wires.data)
                hear_socket(link, &link->wires.data, NODE_IN_DATA);
        else if (socket == link->wires.cmd)
                hear_cmd(link);
}

static void hear_signals(struct link *link)
{
        struct node_input shutdown = {.kind = NODE_IN_SHUTDOWN};
        struct signalfd_siginfo info;

        while (read(link->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGCHLD) {
                        while (waitpid(-1, NULL, WNOHANG) > 0)
                                continue; /* a keeper's end shows on its socket */
                } else {
                        link_step(link, &shutdown);
                }
        }
}

void link_watch(struct link *link, int fd, void *watched)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};

        /* A pooled keeper's socket is watched already, for another reason. */
        if (epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
                PX_ASSERT(epoll_ctl(link->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0);
}

static void hear_keepers(struct link *link)
{
        struct epoll_event events[TURN_EVENTS];
        int count = epoll_wait(link->epoll_fd, events, TURN_EVENTS, 0);

        for (int i = 0; i < count; i++) {
                enum watched *watched = events[i].data.ptr;

                if (*watched == WATCHED_SIGNAL)
                        hear_signals(link);
                else if (*watched == WATCHED_HELD)
                        keep_hear(link, events[i].data.ptr);
                else
                        keep_idle_hear(link, events[i].data.ptr);
        }
        graves_empty(link);
}

static long turn_wait_ms(const struct link *link)
{
        int64_t until_ms = PX_MIN(node_deadline_ms(link->node), link->dying_ms);
        int64_t now_ms = machine_now_ms();

        until_ms = PX_MIN(PX_MIN(until_ms, link->wires.greet_ms), link->fetch_ms);
        if (until_ms == LINK_NEVER)
                return -1;
        return (long)PX_MIN(PX_MAX(until_ms - now_ms, (int64_t)0), (int64_t)60000);
}

static void link_turn(struct link *link)
{
        zmq_pollitem_t items[4] = {{.fd = link->epoll_fd, .events = ZMQ_POLLIN}};
        void *sockets[3] = {link->wires.ctl, link->wires.data, link->wires.cmd};
        int count = 1;
        int heard = 1;

        for (int i = 0; i < 3; i++)
                if (sockets[i] != NULL)
                        items[count++] = (zmq_pollitem_t){.socket = sockets[i],
                                                          .events = ZMQ_POLLIN};
        if (zmq_poll(items, count, turn_wait_ms(link)) < 0 && zmq_errno() != EINTR) {
                note(NOTE_ERROR, NULL, "zmq_poll: %s", zmq_strerror(zmq_errno()));
                _exit(EX_OSERR);
        }
        /* Asking a socket that has nothing costs half a dozen system calls. What is heard from one may
         * close another. */
        for (int i = 0; i < 3; i++)
                if (sockets[i] != NULL && items[heard++].revents != 0)
                        hear_wire(link, sockets[i]);
        if (items[0].revents != 0)
                hear_keepers(link);
        if (machine_now_ms() >= link->dying_ms)
                keep_after(link);
        if (machine_now_ms() >= link->fetch_ms)
                fetch_after(link);
        if (machine_now_ms() >= link->wires.greet_ms)
                wires_greet(&link->wires, machine_now_ms());
        if (machine_now_ms() >= node_deadline_ms(link->node) || link->follows.length > 0)
                step_time(link);
        say_ready(link, PX_SLICE_NONE);
}

/* ---- begin ---------------------------------------------------------------------------------- */

static int begin_signals(struct link *link)
{
        static enum watched watched = WATCHED_SIGNAL;
        struct rlimit files;
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGCHLD);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        link->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (link->epoll_fd < 0 || link->signal_fd < 0)
                return EX_OSERR;
        link_watch(link, link->signal_fd, &watched);
        return 0;
}

static int begin_spool(struct link *link)
{
        const char *dir = link->options->dir;
        char path[PATH_MAX];
        int fault;

        if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
                note(NOTE_ERROR, NULL, "%s: %s", dir, strerror(errno));
                return EX_CANTCREAT;
        }
        if (realpath(dir, path) == NULL || strlen(path) > 900) {
                note(NOTE_ERROR, NULL, "%s: no usable path", dir);
                return EX_CANTCREAT;
        }
        snprintf(link->spool_dir, sizeof(link->spool_dir), "%.900s/spool", path);
        snprintf(link->work_dir, sizeof(link->work_dir), "%.900s/work", path);
        fault = spool_open(link->spool_dir, &link->spool);
        if (fault == -EWOULDBLOCK)
                note(NOTE_ERROR, NULL, "another plexus-node works in %s", path);
        else if (fault == -EPERM)
                note(NOTE_ERROR, NULL, "%s belongs to another account or is open to others",
                     link->spool_dir);
        else if (fault != 0)
                note(NOTE_ERROR, NULL, "%s: %s", link->spool_dir, strerror(-fault));
        if (fault != 0)
                return fault == -EBADMSG ? EX_DATAERR : EX_CANTCREAT;
        /* Jobs of other accounts pass through to their own directory, and see nothing else. */
        if ((mkdir(link->work_dir, 0711) != 0 && errno != EEXIST) ||
            chmod(link->work_dir, link->map_accounts ? 0711 : 0700) != 0 ||
            (link->map_accounts && chmod(path, 0711) != 0)) {
                note(NOTE_ERROR, NULL, "%s: %s", link->work_dir, strerror(errno));
                return EX_CANTCREAT;
        }
        return spool_boot(link->boot) == 0 ? 0 : EX_OSERR;
}

static int begin_keeper(struct link *link)
{
        ssize_t length;
        char *slash;

        if (link->options->keeper != NULL) {
                snprintf(link->keeper, sizeof(link->keeper), "%s", link->options->keeper);
        } else {
                length = readlink("/proc/self/exe", link->keeper, sizeof(link->keeper) - 32);
                link->keeper[length < 0 ? 0 : length] = '\0';
                slash = strrchr(link->keeper, '/');
                strcpy(slash == NULL ? link->keeper : slash + 1, "plexus-keeper");
        }
        if (access(link->keeper, X_OK) == 0)
                return 0;
        note(NOTE_ERROR, NULL, "%s: %s; --keeper names it", link->keeper, strerror(errno));
        return EX_UNAVAILABLE;
}

static int begin_accounts(struct link *link)
{
        const char *accounts = link->options->accounts;

        if (accounts == NULL)
                link->map_accounts = geteuid() == 0;
        else
                link->map_accounts = strcmp(accounts, "map") == 0;
        if (!link->map_accounts || geteuid() == 0)
                return 0;
        note(NOTE_ERROR, NULL, "--accounts map needs root");
        return EX_NOPERM;
}

static void begin_node(struct link *link)
{
        const struct spool_identity *identity = spool_identity(link->spool);
        const struct link_options *options = link->options;
        char enforces[PX_LIMIT_REASON_BYTES + 1];
        char group_name[96];
        struct node_options core = {
                .name = options->name,
                .boot = px_slice_of(link->boot, SPOOL_ID_BYTES),
                .spool = px_slice_of(identity->spool, SPOOL_ID_BYTES),
                .cluster = px_slice_of(identity->cluster,
                                       identity->has_cluster ? SPOOL_ID_BYTES : 0),
                .epoch_seen = identity->epoch,
                .version = PX_PRODUCT_VERSION,
                .accounts = link->map_accounts ? "map" : "self",
                .log_credit_bytes = LOG_CREDIT_BYTES,
                .log_wait_ms = LOG_WAIT_MS,
                .slots = options->slots,
                .gpus = options->offer.gpus_given ? options->offer.gpus : offer_gpus_found(),
                .labels = options->offer.labels,
                .labels_count = options->offer.labels_count,
                .resources = options->offer.resources,
                .resources_count = options->offer.resources_count,
        };

        snprintf(group_name, sizeof(group_name), "plexus.%.64s-%02x%02x%02x%02x", options->name,
                 identity->spool[0], identity->spool[1], identity->spool[2], identity->spool[3]);
        group_tree_open(&link->tree, options->kill_mode, options->cgroup, group_name);
        group_tree_enforces(&link->tree, enforces, sizeof(enforces));
        core.kill_mode = group_mode_words(link->tree.mode);
        core.enforces = enforces;
        core.cpus_milli = options->cpus_milli == 0 ? machine_cpus_milli() : options->cpus_milli;
        core.memory_bytes =
                options->memory_bytes == 0 ? machine_memory_bytes() : options->memory_bytes;
        if (getrandom(&core.seed, sizeof(core.seed), 0) != sizeof(core.seed))
                core.seed = (uint64_t)machine_wall_ms();
        link->node = node_new(&core, machine_now_ms());
        note(NOTE_INFO, NULL, "%u.%03u cpus, %" PRIu64 " MiB, %u gpus, ends jobs by %s, enforces %s, accounts %s",
             core.cpus_milli / 1000, core.cpus_milli % 1000, core.memory_bytes >> 20, core.gpus,
             core.kill_mode, enforces, core.accounts);
}

static int link_begin(struct link *link)
{
        char text[512];
        int status = begin_accounts(link);

        if (status == 0)
                status = begin_keeper(link);
        if (status == 0)
                status = begin_signals(link);
        if (status == 0)
                status = begin_spool(link);
        if (status != 0)
                return status;
        status = wires_init(&link->wires, link->options->url, link->options->token_file, text,
                            sizeof(text));
        if (status != 0) {
                note(NOTE_ERROR, NULL, "%s", text);
                return status;
        }
        begin_node(link);
        return scan_spool(link) == 0 ? 0 : EX_IOERR;
}

static void link_end(struct link *link)
{
        /* Keepers and their jobs stay; so does what is in use of the groups. */
        group_tree_remove(&link->tree);
        wires_fini(&link->wires);
        while (!px_list_empty(&link->held))
                held_free(link, PX_CONTAINER_OF(link->held.next, struct held, link));
        while (!px_list_empty(&link->idle))
                keep_idle_hear(link,
                               PX_CONTAINER_OF(link->idle.next, struct idle_keeper, link));
        graves_empty(link);
        node_free(link->node);
        node_effects_fini(&link->effects);
        spool_close(link->spool);
        px_map_fini(&link->by_job);
        px_buf_fini(&link->slots);
        px_buf_fini(&link->follows);
        px_buf_fini(&link->body);
        px_buf_fini(&link->frame);
}

int link_run(const struct link_options *options)
{
        struct link *link = px_alloc(sizeof(*link));
        int status;

        link->options = options;
        link->dying_ms = LINK_NEVER;
        link->fetch_ms = LINK_NEVER;
        link->epoll_fd = link->signal_fd = -1;
        px_list_init(&link->held);
        px_list_init(&link->graves);
        px_list_init(&link->idle);
        px_list_init(&link->fetches);
        px_list_init(&link->graves_idle);
        note_name(options->name);
        status = link_begin(link);
        if (status == 0) {
                step_time(link);
                /* Ready without a broker, too: the two may be started in any order. */
                notify_manager("READY=1\nSTATUS=looks for the broker\n");
                while (!link->leaving)
                        link_turn(link);
                notify_manager("STOPPING=1\n");
                note(NOTE_INFO, NULL, "leaves; %zu attempts go on without it",
                     node_attempts_count(link->node));
        }
        link_end(link);
        px_free(link);
        return status;
}
