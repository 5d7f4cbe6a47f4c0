/* SPDX-License-Identifier: Apache-2.0 */
/* egress_peer.c - who is at the other end of `data`: receiving, judging, sending, forgetting.
 * Layer: L4 (broker/shell). Source: DESIGN 6; RELIABILITY 5. */
#include "egress_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "px_tables.h"

#define ROUND_MAX 256       /* messages of one socket in one turn */
#define SILENCE_MS 120000   /* a peer without streams that says nothing so long is forgotten */
#define BLOCKED_MS 10000    /* one that takes nothing for so long loses its streams */
#define PROBE_MS 10000      /* followers are told something so often, to learn that they are gone */

/* ---- peers ----------------------------------------------------------------------------------------- */

struct egress_peer *peer_find(const struct egress *egress, uint64_t handle)
{
        return px_map_find(&egress->peers, handle);
}

static struct egress_peer *peer_of(struct egress *egress, size_t socket, uint32_t routing)
{
        uint64_t handle = (uint64_t)(socket + 1) << 32 | routing;
        struct egress_peer *peer = peer_find(egress, handle);

        if (peer != NULL)
                return peer;
        peer = px_alloc(sizeof *peer);
        peer->handle = handle;
        peer->socket = socket;
        peer->routing = routing;
        px_list_init(&peer->streams);
        px_map_put(&egress->peers, handle, peer);
        return peer;
}

static void peer_free(struct egress *egress, struct egress_peer *peer)
{
        stream_drop_all(egress, peer);
        if (px_list_linked(&peer->acking))
                px_list_remove(&peer->acking);
        px_map_take(&egress->peers, peer->handle);
        px_free(peer->acks);
        px_free(peer);
}

void peer_fini(struct egress *egress)
{
        size_t cursor = 0;
        uint64_t handle;
        void *value;

        while (px_map_next(&egress->peers, &cursor, &handle, &value)) {
                peer_free(egress, value);
                cursor = 0;
        }
        stream_free_ended(egress);
        px_map_fini(&egress->peers);
}

/* ---- send -------------------------------------------------------------------------------------------- */

static void trace(const struct egress *egress, const char *direction,
                  const struct egress_peer *peer, struct px_slice frame)
{
        struct px_buf text = {0};

        if (!egress->trace)
                return;
        px_message_print(&text, frame);
        fprintf(stderr, "%s data peer %" PRIx64 " %.*s\n", direction, peer->handle,
                (int)text.length, (const char *)text.data);
        px_buf_fini(&text);
}

bool peer_send(struct egress *egress, struct egress_peer *peer, struct px_slice frame,
               struct px_slice payload)
{
        int fault;

        if (peer->gone)
                return false;
        trace(egress, ">", peer, frame);
        fault = message_send(egress->data[peer->socket], peer->routing, frame, payload);
        if (fault == -EAGAIN && peer->blocked_ms == 0)
                peer->blocked_ms = egress->now_ms;
        else if (fault != 0 && fault != -EAGAIN)
                peer->gone = true;
        if (fault != 0)
                return false;
        peer->blocked_ms = 0;
        peer->told_ms = egress->now_ms;
        return true;
}

bool peer_send_frame(struct egress *egress, struct egress_peer *peer)
{
        return peer_send(egress, peer, px_buf_slice(&egress->frame), PX_SLICE_NONE);
}

static void strike(struct egress *egress, struct px_principal_id principal)
{
        if (strikes_add(&egress->strikes, principal, CORE_FROM_CLIENT, egress->now_ms))
                strikes_say(principal, "on the data socket ");
}

void peer_refuse(struct egress *egress, struct egress_peer *peer, uint64_t correlation, int code,
                 const char *text)
{
        const struct px_error_info *info = px_error_find(code);
        struct px_m_refused refused = {.code = (uint16_t)code,
                                       .text = px_slice_text(text != NULL ? text : info->text)};

        px_buf_reset(&egress->frame);
        px_m_refused_frame(&refused, correlation, 0, &egress->frame);
        (void)peer_send_frame(egress, peer);
        if (code == PX_E_PROTO)
                strike(egress, peer->principal);
}

static void pong(struct egress *egress, struct egress_peer *peer, uint64_t correlation)
{
        struct px_m_pong message = {.epoch = egress->options.epoch};

        px_buf_reset(&egress->frame);
        px_m_pong_frame(&message, correlation, 0, &egress->frame);
        (void)peer_send_frame(egress, peer);
}

/* ---- dispatch ------------------------------------------------------------------------------------------ */

/* One message of a type, decoded. */
union message_body {
        struct px_m_log_data log_data;
        struct px_m_log_final log_final;
        struct px_m_progress progress;
        struct px_m_blob_get blob_get;
        struct px_m_blob_open blob_open;
        struct px_m_blob_data blob_data;
        struct px_m_list list;
        struct px_m_show show;
        struct px_m_log_at log_at;
        struct px_m_stream_open stream_open;
        struct px_m_stream_credit stream_credit;
        struct px_m_stream_close stream_close;
};

/* What nodes say. Returns enum px_wire_result. */
static int take_node_word(struct egress *egress, struct egress_peer *peer, uint16_t type,
                          struct px_slice body, struct px_slice payload)
{
        union message_body in;
        int result;

        switch (type) {
        case PX_M_LOG_DATA:
                result = px_m_log_data_decode(body, &egress->arena, &in.log_data);
                if (result == PX_WIRE_OK)
                        log_take_data(egress, peer, &in.log_data, payload);
                return result;
        case PX_M_LOG_FINAL:
                result = px_m_log_final_decode(body, &egress->arena, &in.log_final);
                if (result == PX_WIRE_OK)
                        log_take_final(egress, peer, &in.log_final);
                return result;
        case PX_M_PROGRESS:
                result = px_m_progress_decode(body, &egress->arena, &in.progress);
                if (result == PX_WIRE_OK)
                        progress_take(egress, peer, &in.progress);
                return result;
        case PX_M_BLOB_GET:
                result = px_m_blob_get_decode(body, &egress->arena, &in.blob_get);
                if (result == PX_WIRE_OK)
                        blob_take_get(egress, peer, &in.blob_get);
                return result;
        default:
                return PX_WIRE_BAD;
        }
}

/* What clients ask. Returns enum px_wire_result. */
static int take_question(struct egress *egress, struct egress_peer *peer,
                         const struct px_wire_header *header, struct px_slice body)
{
        union message_body in;
        int result;

        switch (header->type) {
        case PX_M_LIST:
                result = px_m_list_decode(body, &egress->arena, &in.list);
                if (result == PX_WIRE_OK)
                        query_list(egress, peer, header->correlation, &in.list);
                return result;
        case PX_M_SHOW:
                result = px_m_show_decode(body, &egress->arena, &in.show);
                if (result == PX_WIRE_OK)
                        query_show(egress, peer, header->correlation, &in.show);
                return result;
        case PX_M_LOG_AT:
                result = px_m_log_at_decode(body, &egress->arena, &in.log_at);
                if (result == PX_WIRE_OK)
                        query_log_at(egress, peer, header->correlation, &in.log_at);
                return result;
        case PX_M_STREAM_OPEN:
                result = px_m_stream_open_decode(body, &egress->arena, &in.stream_open);
                if (result == PX_WIRE_OK)
                        stream_open(egress, peer, &in.stream_open);
                return result;
        case PX_M_STREAM_CREDIT:
                result = px_m_stream_credit_decode(body, &egress->arena, &in.stream_credit);
                if (result == PX_WIRE_OK)
                        stream_credit(egress, peer, &in.stream_credit);
                return result;
        case PX_M_STREAM_CLOSE:
                result = px_m_stream_close_decode(body, &egress->arena, &in.stream_close);
                if (result == PX_WIRE_OK)
                        stream_close_number(egress, peer, in.stream_close.stream);
                return result;
        case PX_M_BLOB_OPEN:
                result = px_m_blob_open_decode(body, &egress->arena, &in.blob_open);
                if (result == PX_WIRE_OK)
                        blob_take_open(egress, peer, header->correlation, &in.blob_open);
                return result;
        case PX_M_BLOB_DATA:
                result = px_m_blob_data_decode(body, &egress->arena, &in.blob_data);
                if (result == PX_WIRE_OK)
                        blob_take_data(egress, peer, header->correlation, &in.blob_data);
                return result;
        default:
                return PX_WIRE_BAD;
        }
}

static void take(struct egress *egress, struct egress_peer *peer,
                 const struct px_wire_header *header, struct px_slice body,
                 struct px_slice payload)
{
        int result;

        if (header->type == PX_M_DATA_HELLO || header->type == PX_M_PING) {
                pong(egress, peer, header->correlation);
                return;
        }
        if ((header->type >= PX_M_LOG_DATA && header->type <= PX_M_PROGRESS) ||
            header->type == PX_M_BLOB_GET)
                result = take_node_word(egress, peer, header->type, body, payload);
        else
                result = take_question(egress, peer, header, body);
        if (result != PX_WIRE_OK)
                peer_refuse(egress, peer, header->correlation, PX_E_PROTO, NULL);
}

static void take_message(struct egress *egress, size_t socket, struct message *message)
{
        struct px_slice frame =
                px_slice_of(zmq_msg_data(&message->body), zmq_msg_size(&message->body));
        struct px_slice payload =
                px_slice_of(zmq_msg_data(&message->payload), zmq_msg_size(&message->payload));
        struct egress_peer *peer;
        struct keys_entry entry;
        struct px_wire_header header;
        struct px_slice body;
        int result;

        if (!keys_of_message(egress->options.keys, message->user_id, &entry) ||
            entry.role == PX_ROLE_DEAD || entry.role == PX_ROLE_ENROL ||
            strikes_muted(&egress->strikes, entry.id, CORE_FROM_CLIENT, egress->now_ms))
                return;
        peer = peer_of(egress, socket, message->routing);
        peer->principal = entry.id;
        peer->role = entry.role;
        peer->heard_ms = egress->now_ms;
        trace(egress, "<", peer, frame);
        result = px_wire_get_header(frame, &header, &body);
        if (result != PX_WIRE_OK) {
                peer_refuse(egress, peer, 0, result == PX_WIRE_NEWER ? PX_E_VERSION : PX_E_PROTO,
                            NULL);
                return;
        }
        take(egress, peer, &header, body, payload);
        px_arena_reset(&egress->arena);
}

void peer_drain(struct egress *egress, size_t socket)
{
        for (size_t i = 0; i < ROUND_MAX; i++) {
                struct message message;
                struct keys_entry entry;
                enum message_verdict verdict = message_receive(egress->data[socket], &message);

                if (verdict == MESSAGE_NONE)
                        return;
                if (verdict == MESSAGE_OK) {
                        take_message(egress, socket, &message);
                        message_close(&message);
                } else if (keys_of_message(egress->options.keys, message.user_id, &entry)) {
                        strike(egress, entry.id);
                }
        }
}

/* ---- forget ----------------------------------------------------------------------------------------------- */

static bool peer_is_over(const struct egress *egress, const struct egress_peer *peer)
{
        if (peer->gone)
                return true;
        return peer->streams_count == 0 && egress->now_ms - peer->heard_ms > SILENCE_MS;
}

/* Look at the key again: a revoked one hears nothing more. */
static void peer_recheck(struct egress *egress, struct egress_peer *peer)
{
        struct keys_entry entry;

        if (keys_find_id(egress->options.keys, peer->principal, &entry) &&
            entry.role == peer->role)
                return;
        while (!px_list_empty(&peer->streams))
                stream_end(egress, PX_CONTAINER_OF(peer->streams.next, struct stream, link),
                           PX_E_REVOKED, NULL);
}

void peer_reap(struct egress *egress)
{
        size_t cursor = 0;
        uint64_t handle;
        void *value;

        while (px_map_next(&egress->peers, &cursor, &handle, &value))
                if (peer_is_over(egress, value)) {
                        peer_free(egress, value);
                        cursor = 0;
                }
}

void peer_tick(struct egress *egress)
{
        size_t cursor = 0;
        uint64_t handle;
        void *value;

        while (px_map_next(&egress->peers, &cursor, &handle, &value)) {
                struct egress_peer *peer = value;

                if (peer->streams_count == 0)
                        continue;
                peer_recheck(egress, peer);
                if (peer->blocked_ms != 0 && egress->now_ms - peer->blocked_ms > BLOCKED_MS)
                        stream_drop_all(egress, peer);
                else if (egress->now_ms - peer->told_ms > PROBE_MS)
                        pong(egress, peer, 0);
        }
        peer_reap(egress);
}
