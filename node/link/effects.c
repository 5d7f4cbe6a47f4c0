/* SPDX-License-Identifier: Apache-2.0 */
/* effects.c - what the core wants done. Layer: L4 (node/link). */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

static void apply_enter(struct link *link, const struct node_effect *effect)
{
        const struct px_assign *assign = &effect->assign;
        struct spool_key key = {.job = effect->job, .fence = effect->fence};
        struct account *account = px_alloc(sizeof(*account));
        struct px_arena arena = {0};
        struct px_spec spec = {0};
        char text[PX_LIMIT_REASON_BYTES + 1] = "";
        struct held *held = held_find(link, key);
        int code = PX_OK;
        int dir_fd = -1;
        int fault;

        if (px_spec_decode(assign->spec, &arena, &spec) != PX_WIRE_OK) {
                code = PX_E_INVALID;
                snprintf(text, sizeof(text), "the specification can't be read");
        }
        if (code == PX_OK)
                code = account_find(link->map_accounts, assign, spec.as_root, account, text,
                                    sizeof(text));
        if (code == PX_OK && (fault = spool_enter(link->spool, assign, &dir_fd)) != 0) {
                code = PX_E_NODE_FAULT;
                snprintf(text, sizeof(text), "node %s can't write its spool: %s",
                         link->options->name, strerror(-fault));
        }
        if (code != PX_OK) {
                note(NOTE_WARN, &key, "refused: %s", text);
                px_free(account);
                px_arena_fini(&arena);
                link_follow(link, NODE_IN_REFUSED, key, code, text);
                return;
        }
        if (held == NULL)
                held = held_new(link, key);
        if (held->dir_fd >= 0)
                close(held->dir_fd);
        held->dir_fd = dir_fd;
        px_free(held->account);
        held->account = account;
        held->on_lost = assign->on_lost;
        held->memory_bytes = assign->memory_bytes;
        held->has_blob = spec.blob.length == sizeof(held->blob) && spec.blob_bytes > 0;
        held->blob_bytes = spec.blob_bytes;
        if (held->has_blob)
                memcpy(held->blob, spec.blob.data, sizeof(held->blob));
        px_arena_fini(&arena);
        link_follow(link, NODE_IN_ENTERED, key, 0, NULL);
}

/* Read straight into the message that carries it. */
static void apply_ship(struct link *link, const struct node_effect *effect)
{
        struct spool_key key = {.job = effect->job, .fence = effect->fence};
        struct px_m_log_data head = {.job = effect->job,
                                     .fence = effect->fence,
                                     .stream = effect->stream,
                                     .offset = effect->offset,
                                     .wall_ms = machine_wall_ms(),
                                     .sync = effect->sync};
        struct held *held = held_find(link, key);
        int fd = held == NULL ? -1 : held_stream(link, held, effect->stream, false);
        zmq_msg_t payload;
        ssize_t got;

        if (fd < 0 || link->wires.data == NULL || effect->length > PX_LIMIT_LOG_CHUNK_BYTES)
                return; /* the core ships it again */
        if (zmq_msg_init_size(&payload, effect->length) != 0)
                return;
        got = pread(fd, zmq_msg_data(&payload), effect->length, (off_t)effect->offset);
        if (got != (ssize_t)effect->length) {
                note(NOTE_ERROR, &key, "the spool gave %zd of %llu bytes at %llu", got,
                     (unsigned long long)effect->length, (unsigned long long)effect->offset);
                zmq_msg_close(&payload);
                return;
        }
        px_buf_reset(&link->frame);
        px_m_log_data_frame(&head, 0, PX_WIRE_FLAG_PAYLOAD, &link->frame);
        wires_trace("> ", px_buf_slice(&link->frame));
        if (zmq_send(link->wires.data, link->frame.data, link->frame.length,
                     ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
            zmq_msg_send(&payload, link->wires.data, ZMQ_DONTWAIT) < 0)
                zmq_msg_close(&payload);
}

static void apply_remove(struct link *link, struct spool_key key, struct held *held)
{
        int fault;

        if (held != NULL)
                held_free(link, held);
        fault = spool_remove(link->spool, key);
        if (fault != 0)
                note(NOTE_ERROR, &key, "its directory can't be removed: %s", strerror(-fault));
}

static void apply_contact(struct link *link, uint64_t ago_ms)
{
        PX_LIST_EACH(&link->held, at)
        {
                struct held *held = PX_CONTAINER_OF(at, struct held, link);

                if (held->state == HELD_WATCHED && held->on_lost == PX_ON_LOST_FAIL)
                        held_tell(held, CTL_CONTACT, ago_ms, 0);
        }
}

static void apply_denied(const struct node_effect *effect)
{
        char text[PX_LIMIT_TEXT_BYTES + 1];

        note(NOTE_WARN, NULL, "the broker refuses this node (%d): %s", effect->code,
             px_slice_to_text(effect->text, text, sizeof(text)));
}

static void apply_identity(struct link *link, const struct node_effect *effect)
{
        int fault = spool_remember(link->spool, effect->cluster, effect->epoch);

        if (fault != 0)
                note(NOTE_ERROR, NULL, "the spool's identity can't be written: %s",
                     strerror(-fault));
}

/* Effects that concern one attempt. */
static void apply_held(struct link *link, const struct node_effect *effect, struct held *held)
{
        if (held == NULL)
                return;
        switch (effect->kind) {
        case NODE_EFFECT_START:
                keep_start(link, held);
                break;
        case NODE_EFFECT_KILL:
                if (held->state == HELD_FETCHING)
                        fetch_kill(link, held);
                keep_kill(held, effect->grace_ms, effect->why);
                break;
        case NODE_EFFECT_SIGNAL:
                held_tell(held, CTL_SIGNAL, effect->signal, 0);
                break;
        case NODE_EFFECT_TRIM:
                held_trim(link, held, effect->stream, effect->offset);
                break;
        default:
                PX_UNREACHABLE();
        }
}

void effect_apply(struct link *link, const struct node_effect *effect)
{
        struct spool_key key = {.job = effect->job, .fence = effect->fence};

        switch (effect->kind) {
        case NODE_EFFECT_SEND_CTL:
                if (!wires_send(link->wires.ctl, effect->frame))
                        wires_unsent(&link->wires, machine_now_ms());
                break;
        case NODE_EFFECT_SEND_DATA:
                wires_send(link->wires.data, effect->frame);
                break;
        case NODE_EFFECT_SHIP:
                apply_ship(link, effect);
                break;
        case NODE_EFFECT_ENTER:
                apply_enter(link, effect);
                break;
        case NODE_EFFECT_REMOVE:
                apply_remove(link, key, held_find(link, key));
                break;
        case NODE_EFFECT_CONTACT:
                apply_contact(link, effect->ago_ms);
                break;
        case NODE_EFFECT_IDENTITY:
                apply_identity(link, effect);
                break;
        case NODE_EFFECT_RENEW:
                wires_renew(&link->wires, machine_now_ms());
                break;
        case NODE_EFFECT_EXIT:
                link->leaving = true;
                break;
        case NODE_EFFECT_DENIED:
                apply_denied(effect);
                break;
        default:
                apply_held(link, effect, held_find(link, key));
        }
}
