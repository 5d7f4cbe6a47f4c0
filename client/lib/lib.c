/* SPDX-License-Identifier: Apache-2.0 */
/* lib.c - clock, lock, waiting: what every public call stands on. Layer: L4 (client/lib). */
#include "lib.h"

#include "lib_callback.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int64_t lib_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t lib_wall_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t lib_random(void)
{
        uint64_t value = 0;

        while (getrandom(&value, sizeof(value), 0) != sizeof(value))
                continue;
        return value;
}

bool lib_forked(const struct plexus *px)
{
        return px->fork_count != sockets_fork_count();
}

int lib_enter(struct plexus *px)
{
        if (px == NULL)
                return detail_refuse(PX_E_INVALID, "no connection was given");
        if (lib_forked(px))
                return detail_refuse(PX_E_INVALID, "this connection was opened before fork(); open "
                                                   "one in the child");
        detail_clear();
        pthread_mutex_lock(&px->lock);
        if (px->dead_code == 0)
                return PX_OK;
        detail_refuse(px->dead_code, "%s", px->dead_text);
        pthread_mutex_unlock(&px->lock);
        return px->dead_code;
}

void lib_leave(struct plexus *px)
{
        pthread_mutex_unlock(&px->lock);
}

int64_t lib_deadline_ms(const struct plexus *px, int64_t timeout_ms)
{
        if (timeout_ms < 0)
                return INT64_MAX;
        return lib_now_ms() + (timeout_ms == 0 ? px->timeout_ms : timeout_ms);
}

void lib_condition_init(pthread_cond_t *condition)
{
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(condition, &attributes);
        pthread_condattr_destroy(&attributes);
}

bool lib_wait(struct plexus *px, pthread_cond_t *condition, int64_t deadline_ms)
{
        struct timespec until;

        if (deadline_ms == INT64_MAX) {
                pthread_cond_wait(condition, &px->lock);
                return true;
        }
        until.tv_sec = (time_t)(deadline_ms / 1000);
        until.tv_nsec = (long)(deadline_ms % 1000) * 1000000;
        return pthread_cond_timedwait(condition, &px->lock, &until) != ETIMEDOUT;
}

static void fd_add(int fd)
{
        uint64_t one = 1;

        /* EAGAIN: it is readable already, far beyond any count of ours. */
        while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
                continue;
}

void lib_wake(struct plexus *px)
{
        if (px->polls && !px->woken)
                fd_add(px->wake_fd);
        px->woken = true;
}

void lib_ready(struct plexus *px, int change)
{
        uint64_t drained;

        if (change > 0 && px->ready_count++ == 0)
                fd_add(px->ready_fd);
        if (change >= 0)
                return;
        PX_ASSERT(px->ready_count > 0);
        if (--px->ready_count == 0) {
                while (read(px->ready_fd, &drained, sizeof(drained)) < 0 && errno == EINTR)
                        continue;
        }
}

int lib_refuse_late(struct plexus *px, int64_t timeout_ms)
{
        long long waited_ms = timeout_ms == 0 ? px->timeout_ms : timeout_ms;

        if (px->goodbye)
                return detail_refuse(PX_E_UNREACHABLE, "the broker was stopped, and none has taken its place "
                                     "within %lld ms", waited_ms);
        if (px->cmd.state != LINK_UP && link_trouble(&px->cmd)[0] != '\0')
                return detail_refuse(PX_E_UNREACHABLE, "no connection within %lld ms: %s", waited_ms,
                                     link_trouble(&px->cmd));
        if (px->hello_text[0] != '\0')
                return detail_refuse(PX_E_UNREACHABLE, "%s refuses the greeting: %s",
                                     px->cmd.current.words, px->hello_text);
        if (!px->welcomed || !px->greeter.up)
                return detail_refuse(PX_E_UNREACHABLE,
                                     "%s is connected but did not answer the greeting within %lld ms",
                                     px->cmd.current.words, waited_ms);
        return detail_refuse(PX_E_TIMED_OUT, "no answer of %s within %lld ms",
                             px->cmd.current.words, waited_ms);
}

void lib_call_later(struct plexus *px, void (*call)(void *context, int error, uint64_t job),
                    void *context, int error, uint64_t job)
{
        struct callback *callback = px_alloc(sizeof(*callback));

        *callback = (struct callback){.call = call, .context = context, .error = error, .job = job};
        px_list_append(&px->callbacks, &callback->link);
}

void callbacks_run(struct px_link *callbacks)
{
        while (!px_list_empty(callbacks)) {
                struct callback *callback =
                        PX_CONTAINER_OF(callbacks->next, struct callback, link);

                px_list_remove(&callback->link);
                callback->call(callback->context, callback->error, callback->job);
                px_free(callback);
        }
}

void callbacks_drop(struct px_link *callbacks)
{
        while (!px_list_empty(callbacks)) {
                struct callback *callback =
                        PX_CONTAINER_OF(callbacks->next, struct callback, link);

                px_list_remove(&callback->link);
                px_free(callback);
        }
}
