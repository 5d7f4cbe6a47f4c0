/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - open and close a connection. Layer: L4 (client/lib). */
#include "lib_callback.h"
#include "lib_config.h"
#include "lib.h"
#include "lib_worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONNECT_PATIENCE_MS 2500 /* nothing listens: a broker that restarts is back by then */
#define CONNECT_DEFAULT_MS 10000
#define CONNECT_EXPIRE_MS (24LL * 3600 * 1000)
#define CONNECT_REPEAT_MS 3000

static int take_token(struct plexus *px, const char *text)
{
        struct px_token token;
        char reason[PX_TOKEN_REASON_ROOM];

        if (px->url.local)
                return PX_OK;
        if (text[0] == '\0')
                return detail_refuse(PX_E_INVALID, "%s needs a token: set PLEXUS_TOKEN, or name a "
                                                   "context that has one", px->url.text);
        if (!px_token_decode(px_slice_text(text), &token, reason))
                return detail_refuse(PX_E_INVALID, "%s", reason);
        socket_keys_init(&px->keys, &token);
        px_token_wipe(&token);
        return PX_OK;
}

static int take_options(struct plexus *px, const struct plexus_options *options)
{
        char url[URL_ROOM], token[CONFIG_TOKEN_ROOM];
        const char *program = options->program != NULL ? options->program
                                                       : program_invocation_short_name;
        const char *trace = getenv("PLEXUS_TRACE");
        int code = config_resolve(options, url, token);

        if (code == PX_OK)
                code = url_parse(url, &px->url);
        if (code == PX_OK)
                code = take_token(px, token);
        explicit_bzero(token, sizeof(token));
        if (!px_slice_is_text(px_slice_text(program)))
                program = "?";
        snprintf(px->program, sizeof(px->program), "%.128s", program);
        if (!px_slice_is_text(px_slice_text(px->program))) /* cut within a character */
                px->program[0] = '\0';
        px->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : LIB_TIMEOUT_MS;
        px->trace = trace != NULL && strcmp(trace, "1") == 0;
        return code;
}

static int open_fds(struct plexus *px)
{
        px->context = sockets_take_context();
        px->fork_count = sockets_fork_count();
        px->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        px->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (px->context == NULL || px->wake_fd < 0 || px->ready_fd < 0)
                return detail_refuse(PX_E_LIMIT, "this process has too many open files");
        return PX_OK;
}

static void init_state(struct plexus *px)
{
        const struct socket_keys *keys = px->url.local ? NULL : &px->keys;

        pthread_mutex_init(&px->lock, NULL);
        lib_condition_init(&px->changed);
        lib_condition_init(&px->ended);
        px_list_init(&px->submits);
        px_list_init(&px->submits_uploading);
        px_list_init(&px->queries);
        px_list_init(&px->streams);
        px_list_init(&px->watches_due);
        px_list_init(&px->ends);
        px_list_init(&px->callbacks);
        px->outbox = px_outbox_new(&(struct px_outbox_options){
                .window = PX_LIMIT_SESSION_WINDOW, .repeat_ms = CONNECT_REPEAT_MS,
                .expire_ms = CONNECT_EXPIRE_MS});
        link_init(&px->cmd, "cmd", px->context, keys, px->wake_fd, lib_random());
        link_init(&px->data, "data", px->context, keys, px->wake_fd, lib_random());
        link_init(&px->node, "node", px->context, keys, px->wake_fd, lib_random());
        link_start(&px->cmd, &px->url, lib_now_ms());
}

static int start_thread(struct plexus *px)
{
        sigset_t all, before;
        int fault;

        /* Signals belong to the program's own threads. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        fault = pthread_create(&px->thread, NULL, loop_run, px);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (fault != 0)
                return detail_refuse(PX_E_LIMIT, "no thread can be started");
        px->thread_runs = true;
        return PX_OK;
}

int connect_start(const struct plexus_options *options, bool enrols, struct plexus **ret)
{
        struct plexus *px = px_alloc(sizeof(*px));
        int code;

        px->enrols = enrols;
        px->wake_fd = -1;
        px->ready_fd = -1;
        code = take_options(px, options);
        if (code != PX_OK) {
                socket_keys_fini(&px->keys);
                px_free(px);
                return code;
        }
        code = open_fds(px);
        init_state(px);
        if (code == PX_OK)
                code = start_thread(px);
        *ret = px;
        return code;
}

/* Whether waiting longer is of no use: a whole round over all addresses failed for lasting reasons. */
static bool hopeless(const struct plexus *px, int64_t begun_ms)
{
        if (px->cmd.rounds == 0 || px->cmd.passing || px->cmd.state == LINK_UP)
                return false;
        if (px->cmd.absent && px->url.local)
                return true;
        return lib_now_ms() - begun_ms >= CONNECT_PATIENCE_MS;
}

static int wait_welcome(struct plexus *px, int64_t timeout_ms)
{
        int64_t begun_ms = lib_now_ms();
        int64_t deadline_ms = begun_ms + (timeout_ms > 0 ? timeout_ms : CONNECT_DEFAULT_MS);

        while (!px->welcomed && px->dead_code == 0) {
                int64_t now_ms = lib_now_ms();

                if (now_ms >= deadline_ms || hopeless(px, begun_ms))
                        return lib_refuse_late(px, PX_MAX(now_ms - begun_ms, 1));
                /* Look at the link now and then: it says nothing when it fails. */
                lib_wait(px, &px->changed, PX_MIN(deadline_ms, now_ms + 50));
        }
        return px->dead_code == 0 ? PX_OK : detail_refuse(px->dead_code, "%s", px->dead_text);
}

int plexus_connect(const struct plexus_options *options, struct plexus **ret)
{
        static const struct plexus_options defaults;
        struct plexus *px = NULL;
        int code;

        detail_clear();
        *ret = NULL;
        options = options != NULL ? options : &defaults;
        code = connect_start(options, false, &px);
        if (px == NULL)
                return code;
        *ret = px;
        if (code != PX_OK)
                return code;
        pthread_mutex_lock(&px->lock);
        code = wait_welcome(px, options->timeout_ms);
        pthread_mutex_unlock(&px->lock);
        return code;
}

static void stop_thread(struct plexus *px)
{
        if (!px->thread_runs)
                return;
        pthread_mutex_lock(&px->lock);
        px->stopping = true;
        lib_wake(px);
        pthread_mutex_unlock(&px->lock);
        pthread_join(px->thread, NULL);
        px->thread_runs = false;
}

/* Requests of the library's own (watches, queued submits) end here; nobody waits for them. */
static void drop_requests(struct plexus *px)
{
        submit_fail_all(px, PX_E_CANCELLED, "the connection was closed");
        session_die(px, PX_E_CANCELLED, px_slice_text("the connection was closed"));
        callbacks_drop(&px->callbacks);
        watch_fini(px);
        px_map_fini(&px->requests);
        px_map_fini(&px->streams_by_number);
        px_buf_fini(&px->enrol_frame);
        px_buf_fini(&px->closes);
        px_outbox_free(px->outbox);
}

void plexus_close(struct plexus *px)
{
        if (px == NULL)
                return;
        if (lib_forked(px)) /* all of it belongs to the parent */
                return;
        PX_ASSERT(px_list_empty(&px->streams)); /* plexus_stream_close() comes first */
        PX_ASSERT(px->worker == NULL);          /* and plexus_worker_free() */
        stop_thread(px);
        link_fini(&px->cmd);
        link_fini(&px->data);
        link_fini(&px->node);
        drop_requests(px);
        if (px->context != NULL)
                sockets_give_context(px->context);
        if (px->wake_fd >= 0)
                close(px->wake_fd);
        if (px->ready_fd >= 0)
                close(px->ready_fd);
        pthread_cond_destroy(&px->changed);
        pthread_cond_destroy(&px->ended);
        pthread_mutex_destroy(&px->lock);
        socket_keys_fini(&px->keys);
        px_free(px);
}

int plexus_fd(struct plexus *px)
{
        return px->ready_fd;
}

bool plexus_connected(struct plexus *px)
{
        bool connected;

        if (lib_enter(px) != PX_OK)
                return false;
        connected = px->greeter.up && px->cmd.state == LINK_UP;
        lib_leave(px);
        return connected;
}
