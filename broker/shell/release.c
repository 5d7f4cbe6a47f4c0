/* SPDX-License-Identifier: Apache-2.0 */
/* release.c - outputs wait here until their batch is durable; then, and only then, their effects
 * leave. Layer: L4 (broker/shell). Source: DESIGN 2.6. */
#include <inttypes.h>
#include <stdio.h>

#include "message.h"
#include "px_codec.h"
#include "px_tables.h"
#include "shell.h"

struct shell_output *release_spare(struct shell *shell)
{
        struct shell_output *output;

        if (px_list_empty(&shell->spare))
                return px_alloc(sizeof(*output));
        output = PX_CONTAINER_OF(shell->spare.next, struct shell_output, link);
        px_list_remove(&output->link);
        return output;
}

void release_queue(struct shell *shell, struct shell_output *output)
{
        px_list_append(&shell->waiting, &output->link);
}

void release_trace(const struct shell *shell, const char *direction, uint64_t peer,
                   struct px_slice frame)
{
        struct px_buf text = {0};

        if (!shell->trace)
                return;
        px_message_print(&text, frame);
        fprintf(stderr, "%s peer %" PRIu64 " %.*s\n", direction, peer, (int)text.length,
                (const char *)text.data);
        px_buf_fini(&text);
}

void release_send(struct shell *shell, uint64_t handle, struct px_slice frame,
                  struct px_slice payload)
{
        struct peer *peer = peers_find(shell->peers, handle);

        if (peer == NULL)
                return; /* it left meanwhile; it asks again when it is back */
        release_trace(shell, ">", handle, frame);
        shell->stale[peer->socket] = true;
        if (message_send(shell->sockets[peer->socket], peer->routing, frame, payload) != 0)
                inbox_lose_peer(shell, handle);
}

void release_assign(void *context, uint64_t peer, struct px_slice frame)
{
        release_send(context, peer, frame, PX_SLICE_NONE);
}

/* The core found a body malformed: that counts like a malformed header. */
static void notice_refusal(struct shell *shell, const struct core_effect *effect)
{
        struct peer *peer = peers_find(shell->peers, effect->peer);
        struct px_m_refused refused;
        struct px_wire_header header;
        struct px_arena arena = {0};
        struct px_slice body;

        if (peer == NULL || px_wire_get_header(effect->send.frame, &header, &body) != PX_WIRE_OK ||
            header.type != PX_M_REFUSED)
                return;
        if (px_m_refused_decode(body, &arena, &refused) == PX_WIRE_OK && refused.code == PX_E_PROTO)
                inbox_strike(shell, peer->principal, peer->socket);
        px_arena_fini(&arena);
}

/* A job whose specification is damaged can't be handed out: it ends, with the reason in words, as
 * if the node had found that. */
static void refuse_for_node(struct shell *shell, const struct core_effect *effect)
{
        struct peer *peer = peers_find(shell->peers, effect->peer);
        struct px_accept item = {
                .job = effect->assign.item.job,
                .fence = effect->assign.item.fence,
                .code = PX_E_NOT_RUNNABLE,
                .text = px_slice_text("the stored specification is damaged and was set aside"),
        };
        struct px_m_accept accept = {
                .session = effect->assign.node_session, .items = &item, .items_count = 1};
        struct px_buf frame = {0};

        if (peer == NULL || batch_own_full(shell->batch))
                return; /* the core assigns it again */
        px_m_accept_frame(&accept, 0, 0, &frame);
        batch_add_for(shell->batch, CORE_FROM_NODE, effect->peer, peer->principal,
                      px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void carry_out(struct shell *shell, const struct core_effect *effect)
{
        switch ((enum core_effect_kind)effect->kind) {
        case CORE_EFFECT_SEND:
                assigns_flush_peer(shell->assigns, effect->peer);
                notice_refusal(shell, effect);
                release_send(shell, effect->peer, effect->send.frame, effect->send.payload);
                return;
        case CORE_EFFECT_ASSIGN:
                if (assigns_add(shell->assigns, shell->log, effect->peer,
                                effect->assign.node_session, &effect->assign.item) == PX_E_DAMAGED)
                        refuse_for_node(shell, effect);
                return;
        case CORE_EFFECT_LOG_OPEN:
                egress_log_open(shell->egress, &effect->log_open);
                return;
        case CORE_EFFECT_LOG_CLOSE:
                egress_log_close(shell->egress, &effect->log_close);
                return;
        case CORE_EFFECT_JOB_END:
                egress_job_end(shell->egress, &effect->job_end);
                return;
        case CORE_EFFECT_JOB_PURGED:
                egress_job_purged(shell->egress, effect->job_purged);
                return;
        case CORE_EFFECT_PRINCIPALS:
                load_keys(shell);
                return;
        case CORE_EFFECT_PEER_DROP:
                peers_drop(shell->peers, effect->peer);
                return;
        }
        PX_UNREACHABLE();
}

static void release_one(struct shell *shell, struct shell_output *waiting)
{
        const struct core_output *output = &waiting->output;

        /* Before egress stands there are no subscribers; the feed has these events too. */
        if (output->events_count > 0 && shell->egress != NULL)
                egress_events(shell->egress, output->index, px_buf_slice(&output->events),
                              output->events_count);
        for (size_t i = 0; i < output->effects_count; i++)
                carry_out(shell, &output->effects[i]);
        assigns_flush(shell->assigns);
}

void release_durable(struct shell *shell, uint64_t durable)
{
        while (!px_list_empty(&shell->waiting)) {
                struct shell_output *first =
                        PX_CONTAINER_OF(shell->waiting.next, struct shell_output, link);

                if (first->wait_index > durable)
                        break;
                release_one(shell, first);
                px_list_remove(&first->link);
                core_output_reset(&first->output);
                px_list_append(&shell->spare, &first->link);
        }
}

static void fini_list(struct px_link *list)
{
        while (!px_list_empty(list)) {
                struct shell_output *output =
                        PX_CONTAINER_OF(list->next, struct shell_output, link);

                px_list_remove(&output->link);
                core_output_fini(&output->output);
                px_free(output);
        }
}

void release_fini(struct shell *shell)
{
        fini_list(&shell->waiting);
        fini_list(&shell->spare);
}
