/* SPDX-License-Identifier: Apache-2.0 */
/* egress_posts.h - what the core thread tells egress: a queue of copies, woken by an eventfd.
 * Layer: L4 (broker/shell), private to egress. */
#ifndef PX_EGRESS_POSTS_H
#define PX_EGRESS_POSTS_H

#include "core.h"

enum egress_post_kind {
        EGRESS_POST_LOG_OPEN = 1,
        EGRESS_POST_LOG_CLOSE = 2,
        EGRESS_POST_JOB_END = 3,
        EGRESS_POST_JOB_PURGED = 4,
        EGRESS_POST_EVENTS = 5,
        EGRESS_POST_STOP = 6, /* the last one */
};

struct egress_post {
        struct px_link link;
        enum egress_post_kind kind;
        union {
                struct core_log_open log_open;
                struct core_log_close log_close;
                struct core_job_end job_end;
                struct px_job_id job_purged;
                struct {
                        uint64_t index;
                        uint32_t count;
                        struct px_slice encoded;
                } events;
        };
        struct px_buf bytes; /* what the slices above point into */
};

struct egress_posts; /* opaque; one thread puts, one takes */

struct egress_posts *egress_posts_new(void);
void egress_posts_free(struct egress_posts *posts);
/* Readable while posts wait. */
int egress_posts_fd(const struct egress_posts *posts);
/* Owns: post is given; make it with egress_post_new(). */
void egress_posts_put(struct egress_posts *posts, struct egress_post *post);
/* Of the slices in the posts that wait. */
size_t egress_posts_bytes(struct egress_posts *posts);
/* The oldest post, or NULL. Owns: taken; end it with egress_post_free(). */
struct egress_post *egress_posts_take(struct egress_posts *posts);

/* Copies `bytes` (may be empty) into post->bytes. */
struct egress_post *egress_post_new(enum egress_post_kind kind, struct px_slice bytes);
void egress_post_free(struct egress_post *post);

#endif
