/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - the file that is a job's standard input: from the broker into the attempt's directory, before
 * its keeper starts. Layer: L4 (node/link). Source: DESIGN 4 (Artifacts), 5.
 *
 * The node asks for so many bytes as it wants to take; what doesn't come is asked for again, from the
 * next byte on, for as long as the attempt is wanted. What came is checked against the file's name. A
 * link that dies in between leaves an attempt that never ran: the broker assigns it again. */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "px_tables.h"

#define FETCH_CREDIT_BYTES (4u * PX_LIMIT_BLOB_CHUNK_BYTES)
#define FETCH_REPEAT_MS 2000
#define FETCH_FRESH_MS 1000
#define FETCH_TRIES 3

struct fetch {
        struct px_link link; /* in link->fetches */
        struct held *held;
        int fd;
        uint64_t offset;   /* next byte wanted */
        uint64_t asked;    /* up to here it was asked for */
        int64_t asked_ms;
        unsigned tries;
        bool confirming;   /* all is here; is the attempt still wanted? */
        bool killed;
        crypto_hash_sha256_state hash;
};

bool fetch_is_here(const struct held *held)
{
        return !held->has_blob || held->blob_here;
}

static void fetch_free(struct fetch *fetch)
{
        fetch->held->fetch = NULL;
        px_list_remove(&fetch->link);
        if (fetch->fd >= 0)
                close(fetch->fd);
        px_free(fetch);
}

void fetch_drop(struct held *held)
{
        if (held->fetch != NULL)
                fetch_free(held->fetch);
}

static void ask(struct link *link, struct fetch *fetch)
{
        struct px_m_blob_get get = {.job = fetch->held->key.job,
                                    .fence = fetch->held->key.fence,
                                    .offset = fetch->offset,
                                    .credit_bytes = FETCH_CREDIT_BYTES};

        if (fetch->confirming) {
                get.offset = fetch->held->blob_bytes - 1;
                get.credit_bytes = 1;
        }
        fetch->asked = get.offset + get.credit_bytes;
        fetch->asked_ms = machine_now_ms();
        link->fetch_ms = PX_MIN(link->fetch_ms, fetch->asked_ms + FETCH_REPEAT_MS);
        px_buf_reset(&link->frame);
        px_m_blob_get_frame(&get, 0, 0, &link->frame);
        (void)wires_send(link->wires.data, px_buf_slice(&link->frame));
}

static void refuse(struct link *link, struct fetch *fetch, const char *why)
{
        struct spool_key key = fetch->held->key;
        char text[256];

        snprintf(text, sizeof(text), "node %s can't have the job's standard input: %s",
                 link->options->name, why);
        note(NOTE_ERROR, &key, "%s", text);
        fetch->held->state = HELD_ENTERED;
        fetch_free(fetch);
        link_follow(link, NODE_IN_REFUSED, key, PX_E_NODE_FAULT, text);
}

static bool rewind_all(struct fetch *fetch)
{
        fetch->offset = 0;
        fetch->confirming = false;
        crypto_hash_sha256_init(&fetch->hash);
        return ftruncate(fetch->fd, 0) == 0;
}

void fetch_begin(struct link *link, struct held *held)
{
        struct fetch *fetch = px_alloc(sizeof(*fetch));

        PX_ASSERT(held->fetch == NULL && held->blob_bytes > 0);
        held->state = HELD_FETCHING;
        held->fetch = fetch;
        fetch->held = held;
        fetch->fd = -1;
        px_list_append(&link->fetches, &fetch->link);
        if (held_dir(link, held))
                fetch->fd = openat(held->dir_fd, SPOOL_INPUT,
                                   O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fetch->fd < 0 || !rewind_all(fetch)) {
                refuse(link, fetch, strerror(errno));
                return;
        }
        ask(link, fetch);
}

static void all_here(struct link *link, struct fetch *fetch)
{
        uint8_t hash[sizeof(fetch->held->blob)];
        struct held *held = fetch->held;

        crypto_hash_sha256_final(&fetch->hash, hash);
        if (memcmp(hash, held->blob, sizeof(hash)) != 0) {
                if (++fetch->tries == FETCH_TRIES || !rewind_all(fetch))
                        refuse(link, fetch, "what came is not what its name says");
                else
                        ask(link, fetch);
                return;
        }
        held->blob_here = true;
        if (held->on_lost == PX_ON_LOST_FAIL) {
                fetch->confirming = true;
                ask(link, fetch);
                return;
        }
        fetch_free(fetch);
        held->state = HELD_ENTERED;
        keep_start(link, held);
}

/* An attempt that runs at most once begins only soon after the broker said that it is wanted. */
static void confirmed(struct link *link, struct fetch *fetch)
{
        struct held *held = fetch->held;

        if (machine_now_ms() - fetch->asked_ms > FETCH_FRESH_MS) {
                ask(link, fetch);
                return;
        }
        fetch_free(fetch);
        held->state = HELD_ENTERED;
        keep_start(link, held);
}

static void take_data(struct link *link, struct fetch *fetch, struct px_slice data)
{
        size_t written = 0;

        if (data.length > fetch->held->blob_bytes - fetch->offset)
                data.length = (size_t)(fetch->held->blob_bytes - fetch->offset);
        while (written < data.length) {
                ssize_t part = pwrite(fetch->fd, data.data + written, data.length - written,
                                      (off_t)(fetch->offset + written));

                if (part < 0 && errno == EINTR)
                        continue;
                if (part <= 0) {
                        refuse(link, fetch, strerror(errno));
                        return;
                }
                written += (size_t)part;
        }
        crypto_hash_sha256_update(&fetch->hash, data.data, data.length);
        fetch->offset += data.length;
        if (fetch->offset == fetch->held->blob_bytes)
                all_here(link, fetch);
        else if (fetch->offset >= fetch->asked)
                ask(link, fetch);
}

static const char *error_words(int code)
{
        const struct px_error_info *info = px_error_find(code);

        return info == NULL ? "an unknown error" : info->text;
}

static void take_part(struct link *link, const struct px_m_blob_part *part)
{
        struct spool_key key = {.job = part->job, .fence = part->fence};
        struct held *held = held_find(link, key);
        struct fetch *fetch = held == NULL ? NULL : held->fetch;

        if (fetch == NULL || fetch->killed)
                return;
        if (part->code != 0)
                refuse(link, fetch, error_words(part->code));
        else if (fetch->confirming && part->offset == held->blob_bytes - 1)
                confirmed(link, fetch);
        else if (!fetch->confirming && part->offset == fetch->offset)
                take_data(link, fetch, part->data);
}

bool fetch_take(struct link *link, struct px_slice frame)
{
        struct px_arena arena = {0};
        struct px_wire_header header;
        struct px_m_blob_part part;
        struct px_slice body;

        if (px_wire_get_header(frame, &header, &body) != PX_WIRE_OK ||
            header.type != PX_M_BLOB_PART)
                return false;
        if (px_m_blob_part_decode(body, &arena, &part) == PX_WIRE_OK)
                take_part(link, &part);
        px_arena_fini(&arena);
        return true;
}

void fetch_kill(struct link *link, struct held *held)
{
        PX_ASSERT(held->fetch != NULL);
        held->fetch->killed = true;
        link->fetch_ms = 0;
}

/* Nothing of it ever lived. */
static void end_killed(struct link *link, struct held *held)
{
        struct px_result result = {
                .job = held->key.job,
                .fence = held->key.fence,
                .outcome = PX_OUTCOME_CANCELLED,
                .reason = PX_REASON_CANCELLED,
                .exit_code = -1,
                .progress_permille = -1,
                .text = px_slice_text("ended before its standard input had come"),
        };

        result.use.ended_wall_ms = machine_wall_ms();
        fetch_free(held->fetch);
        held_ended(link, held, &result);
}

void fetch_after(struct link *link)
{
        struct px_link *at = link->fetches.next;
        int64_t now_ms = machine_now_ms();

        link->fetch_ms = LINK_NEVER;
        while (at != &link->fetches) {
                struct fetch *fetch = PX_CONTAINER_OF(at, struct fetch, link);

                at = at->next;
                if (fetch->killed)
                        end_killed(link, fetch->held);
                else if (now_ms >= fetch->asked_ms + FETCH_REPEAT_MS)
                        ask(link, fetch);
                else
                        link->fetch_ms = PX_MIN(link->fetch_ms, fetch->asked_ms + FETCH_REPEAT_MS);
        }
}
