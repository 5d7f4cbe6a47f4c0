/* SPDX-License-Identifier: Apache-2.0 */
/* egress_posts.c - a locked list and an eventfd. Layer: L4 (broker/shell). */
#include "egress_posts.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct egress_posts {
        pthread_mutex_t lock; /* guards waiting and bytes */
        struct px_link waiting;
        size_t bytes;
        int fd;
};

struct egress_posts *egress_posts_new(void)
{
        struct egress_posts *posts = px_alloc(sizeof(*posts));

        PX_ASSERT(pthread_mutex_init(&posts->lock, NULL) == 0);
        px_list_init(&posts->waiting);
        posts->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        PX_ASSERT(posts->fd >= 0);
        return posts;
}

void egress_posts_free(struct egress_posts *posts)
{
        struct egress_post *post;

        if (posts == NULL)
                return;
        while ((post = egress_posts_take(posts)) != NULL)
                egress_post_free(post);
        pthread_mutex_destroy(&posts->lock);
        close(posts->fd);
        px_free(posts);
}

int egress_posts_fd(const struct egress_posts *posts)
{
        return posts->fd;
}

void egress_posts_put(struct egress_posts *posts, struct egress_post *post)
{
        uint64_t one = 1;
        bool first;

        PX_ASSERT(pthread_mutex_lock(&posts->lock) == 0);
        first = px_list_empty(&posts->waiting);
        px_list_append(&posts->waiting, &post->link);
        posts->bytes += post->bytes.length;
        PX_ASSERT(pthread_mutex_unlock(&posts->lock) == 0);
        /* Whoever takes goes on until the list is empty, so one wake-up does for all. */
        if (first)
                PX_ASSERT(write(posts->fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

size_t egress_posts_bytes(struct egress_posts *posts)
{
        size_t bytes;

        PX_ASSERT(pthread_mutex_lock(&posts->lock) == 0);
        bytes = posts->bytes;
        PX_ASSERT(pthread_mutex_unlock(&posts->lock) == 0);
        return bytes;
}

struct egress_post *egress_posts_take(struct egress_posts *posts)
{
        struct egress_post *post = NULL;
        uint64_t count;

        PX_ASSERT(pthread_mutex_lock(&posts->lock) == 0);
        if (!px_list_empty(&posts->waiting)) {
                post = PX_CONTAINER_OF(posts->waiting.next, struct egress_post, link);
                px_list_remove(&post->link);
                posts->bytes -= post->bytes.length;
        }
        if (px_list_empty(&posts->waiting))
                PX_ASSERT(read(posts->fd, &count, sizeof(count)) >= 0 || errno == EAGAIN);
        PX_ASSERT(pthread_mutex_unlock(&posts->lock) == 0);
        return post;
}

struct egress_post *egress_post_new(enum egress_post_kind kind, struct px_slice bytes)
{
        struct egress_post *post = px_alloc(sizeof(*post));

        post->kind = kind;
        px_buf_append_slice(&post->bytes, bytes);
        return post;
}

void egress_post_free(struct egress_post *post)
{
        if (post == NULL)
                return;
        px_buf_fini(&post->bytes);
        px_free(post);
}
