/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - getaddrinfo() on a thread of its own: it may take half a minute and cannot be
 * stopped. Layer: L4 (client/lib). */
#include "lib_resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct resolve {
        pthread_mutex_t lock;
        bool done;
        bool abandoned; /* the thread frees it */
        int wake_fd;
        char name[256];
        char port[8];
        struct resolve_answer answer;
};

static void resolve_free(struct resolve *resolve)
{
        pthread_mutex_destroy(&resolve->lock);
        close(resolve->wake_fd);
        px_free(resolve);
}

static void look_up(const struct resolve *resolve, int flags, struct resolve_answer *ret_answer)
{
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICSERV | flags};
        struct addrinfo *list = NULL;

        ret_answer->count = 0;
        ret_answer->fault = getaddrinfo(resolve->name, resolve->port, &hints, &list);
        if (ret_answer->fault != 0) {
                snprintf(ret_answer->why, sizeof(ret_answer->why), "%s",
                         gai_strerror(ret_answer->fault));
                return;
        }
        for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
                if (ret_answer->count == RESOLVE_ADDRESSES_MAX)
                        break;
                memcpy(&ret_answer->addresses[ret_answer->count], at->ai_addr, at->ai_addrlen);
                ret_answer->lengths[ret_answer->count++] = at->ai_addrlen;
        }
        freeaddrinfo(list);
}

static void *resolve_run(void *argument)
{
        struct resolve *resolve = argument;
        struct resolve_answer answer = {0};
        uint64_t one = 1;
        bool abandoned;

        look_up(resolve, AI_ADDRCONFIG, &answer);
        pthread_mutex_lock(&resolve->lock);
        resolve->answer = answer;
        resolve->done = true;
        abandoned = resolve->abandoned;
        /* Under the lock: the taker frees resolve as soon as it sees done. EAGAIN: readable already. */
        while (!abandoned && write(resolve->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
                continue;
        pthread_mutex_unlock(&resolve->lock);
        if (abandoned)
                resolve_free(resolve);
        return NULL;
}

static bool start_thread(struct resolve *resolve)
{
        pthread_attr_t attributes;
        pthread_t thread;
        sigset_t all, before;
        int fault;

        sigfillset(&all);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        fault = pthread_create(&thread, &attributes, resolve_run, resolve);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return fault == 0;
}

struct resolve *resolve_start(const char *name, uint16_t port, int wake_fd)
{
        struct resolve *resolve = px_alloc(sizeof(*resolve));

        pthread_mutex_init(&resolve->lock, NULL);
        snprintf(resolve->name, sizeof(resolve->name), "%s", name);
        snprintf(resolve->port, sizeof(resolve->port), "%u", port);
        resolve->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
        look_up(resolve, AI_NUMERICHOST, &resolve->answer);
        resolve->done = resolve->answer.fault == 0;
        if (resolve->wake_fd >= 0 && (resolve->done || start_thread(resolve)))
                return resolve;
        resolve_free(resolve);
        return NULL;
}

bool resolve_take(struct resolve *resolve, struct resolve_answer *ret_answer)
{
        bool done;

        pthread_mutex_lock(&resolve->lock);
        done = resolve->done;
        pthread_mutex_unlock(&resolve->lock);
        if (!done)
                return false;
        *ret_answer = resolve->answer;
        resolve_free(resolve);
        return true;
}

void resolve_abandon(struct resolve *resolve)
{
        bool done;

        if (resolve == NULL)
                return;
        pthread_mutex_lock(&resolve->lock);
        resolve->abandoned = true;
        done = resolve->done;
        pthread_mutex_unlock(&resolve->lock);
        if (done)
                resolve_free(resolve);
}
