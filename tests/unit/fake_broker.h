/* SPDX-License-Identifier: Apache-2.0 */
/* fake_broker.h - the broker's side of libplexus played by a test: takes frames, says what the test
 * wants, drops connections. Pings are answered on the way. */
#ifndef TEST_FAKE_BROKER_H
#define TEST_FAKE_BROKER_H

#include <pthread.h>

#include "plexus.h"
#include "px_codec.h"
#include "test.h"

#define FAKE_MS 10000
#define FAKE_SESSION ((uint64_t)7 << 28)

struct fake_socket {
        const char *name;
        void *socket;
        uint8_t peer[64]; /* routing id of the last sender */
        size_t peer_bytes;
        uint64_t correlation; /* of the last frame taken */
        struct px_buf body;   /* of it */
};

struct fake {
        void *context;
        char dir[128];
        char url[160];
        struct fake_socket cmd, data;
        struct px_arena arena;
        plexus *px;
        int64_t timeout_ms; /* of its calls */
        pthread_t thread;
        int code;
        /* of a call made by fake_call() */
        void (*call)(struct fake *fake);
        uint64_t job;
        struct plexus_end end;
};

/* Bind, connect a library, greet it as `session` FAKE_SESSION. All ends with the test. */
void fake_start(struct fake *fake);
/* The same with this default for its blocking calls. */
void fake_start_timeout(struct fake *fake, int64_t timeout_ms);
/* Make a blocking call of the library on another thread; fake_join() waits for its code. */
void fake_call(struct fake *fake, void (*call)(struct fake *fake));
int fake_join(struct fake *fake);
/* Wait for the next frame of this type; others but pings fail the test. */
void fake_take(struct fake *fake, struct fake_socket *from, uint16_t type);
/* true when a frame (no ping) arrives within a moment. */
bool fake_hears(struct fake *fake, struct fake_socket *from, int within_ms);
void fake_send(struct fake_socket *to, const struct px_buf *frame, struct px_slice payload);
/* Answer HELLO. */
void fake_welcome(struct fake *fake, uint64_t session);
/* Break the connections of a socket and listen anew. */
void fake_reset(struct fake *fake, struct fake_socket *socket);

/* Send message NAME with fields, correlation and no payload. */
#define FAKE_SAY(to, name, correlation_number, ...)                                                \
        do {                                                                                       \
                struct px_m_##name say_message = {__VA_ARGS__};                                    \
                struct px_buf say_frame = {0};                                                     \
                px_m_##name##_frame(&say_message, (correlation_number), 0, &say_frame);            \
                fake_send((to), &say_frame, PX_SLICE_NONE);                                        \
                px_buf_fini(&say_frame);                                                           \
        } while (0)
/* Decode the frame that was taken. */
#define FAKE_READ(fake, from, name, message)                                                       \
        EXPECT_INT(px_m_##name##_decode(px_buf_slice(&(from)->body), &(fake)->arena, (message)),   \
                   PX_WIRE_OK)

#endif
