/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.c - from sockets into the batch: who sent it, is it a frame of ours, may it be heard.
 * Layer: L4 (broker/shell). */
#include <inttypes.h>
#include <stdio.h>

#include "message.h"
#include "px_codec.h"
#include "shell.h"

/* One round takes at most so much, so that replies and ticks don't wait. */
#define ROUND_MESSAGES_MAX 1000
#define ROUND_US_MAX 2000
#define CLOCK_EVERY 32 /* messages between looks at the clock */

void inbox_lose_peer(struct shell *shell, uint64_t handle)
{
        uint8_t bytes[8];

        if (!peers_drop(shell->peers, handle))
                return;
        px_put_be64(bytes, handle);
        px_buf_append(&shell->gone, bytes, sizeof(bytes));
}

static uint8_t origin_of(size_t socket)
{
        return socket == SHELL_CMD_LOCAL || socket == SHELL_CMD_TCP ? CORE_FROM_CLIENT
                                                                    : CORE_FROM_NODE;
}

void inbox_strike(struct shell *shell, struct px_principal_id principal, size_t socket)
{
        if (strikes_add(&shell->strikes, principal, origin_of(socket), clock_steady_ms()))
                strikes_say(principal, "");
}

/* Answer a frame whose header is of another wire version, so that its sender learns why. */
static void refuse_version(struct shell *shell, uint64_t peer)
{
        struct px_buf frame = {0};
        struct px_m_refused refused = {
                .code = PX_E_VERSION,
                .text = px_slice_text("this broker speaks wire version 1"),
        };

        px_m_refused_frame(&refused, 0, 0, &frame);
        release_send(shell, peer, px_buf_slice(&frame), PX_SLICE_NONE);
        px_buf_fini(&frame);
}

/* Put a whole message into the batch, or count it as malformed. */
static void take(struct shell *shell, size_t socket, struct message *message,
                 struct px_principal_id principal)
{
        struct px_slice frame =
                px_slice_of(zmq_msg_data(&message->body), zmq_msg_size(&message->body));
        struct px_wire_header header;
        struct px_slice body;
        struct peer *peer;
        uint64_t replaced;
        int result;

        peer = peers_hear(shell->peers, (uint8_t)socket, message->routing, principal,
                          clock_steady_ms(), &replaced);
        if (replaced != 0) {
                uint8_t bytes[8];

                px_put_be64(bytes, replaced);
                px_buf_append(&shell->gone, bytes, sizeof(bytes));
        }
        result = px_wire_get_header(frame, &header, &body);
        if (result != PX_WIRE_OK) {
                inbox_strike(shell, principal, socket);
                if (result == PX_WIRE_NEWER)
                        refuse_version(shell, peer->handle);
                return;
        }
        release_trace(shell, "<", peer->handle, frame);
        batch_add_message(shell->batch, origin_of(socket), peer->handle, principal, header,
                          &message->body);
}

/* Take one message of a socket. false = none waits. */
static bool take_one(struct shell *shell, size_t socket)
{
        struct message message;
        struct keys_entry entry;
        enum message_verdict verdict = message_receive(shell->sockets[socket], &message);
        bool known;

        if (verdict == MESSAGE_NONE)
                return false;
        /* Looked up with every message: a key that was revoked is dead from now on. */
        known = keys_of_message(shell->keys, message.user_id, &entry);
        if (known &&
            !strikes_muted(&shell->strikes, entry.id, origin_of(socket), clock_steady_ms())) {
                if (verdict == MESSAGE_OK)
                        take(shell, socket, &message, entry.id);
                else
                        inbox_strike(shell, entry.id, socket);
        }
        if (verdict == MESSAGE_OK)
                message_close(&message);
        return true;
}

/* Take up to `share` messages of a socket; false when the round's time is over. */
static bool drain_socket(struct shell *shell, size_t socket, size_t share, int64_t until_us)
{
        for (size_t i = 0; i < share && !batch_full(shell->batch); i++) {
                if (!take_one(shell, socket)) {
                        shell->filled[socket] = false;
                        shell->stale[socket] = false;
                        break;
                }
                if (i % CLOCK_EVERY == CLOCK_EVERY - 1 && clock_steady_us() >= until_us)
                        return false;
        }
        return true;
}

void inbox_drain(struct shell *shell)
{
        int64_t until_us = clock_steady_us() + ROUND_US_MAX;
        size_t sockets = 0;

        for (size_t socket = 0; socket < SHELL_SOCKETS; socket++)
                sockets += shell->filled[socket];
        /* Each socket gets its share of a round, so that none starves the others. */
        for (size_t socket = 0; socket < SHELL_SOCKETS; socket++) {
                if (shell->filled[socket] &&
                    !drain_socket(shell, socket, ROUND_MESSAGES_MAX / sockets, until_us))
                        return;
        }
}
