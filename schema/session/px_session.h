/* SPDX-License-Identifier: Apache-2.0 */
/* px_session.h - the talk between two peers over a transport that drops messages without a word.
 * Three small state machines without sockets or clocks: the caller passes times in and sends what they
 * say. Layer: L1 (schema/session). Source: DESIGN 5.
 *
 *   greeter   who greets (client, node): HELLO until WELCOME, pings, silence, AGAIN
 *   outbox    who asks (client): each request is kept until answered and repeated, same number
 *   answers   who answers (broker): what was answered is remembered, so that a repeat runs nothing */
#ifndef PX_SESSION_H
#define PX_SESSION_H

#include "px_base.h"
#include "px_wire.h"

/* ---- greeter -------------------------------------------------------------------------------------- */

enum px_greeter_action {
        PX_GREETER_NOTHING = 0,
        PX_GREETER_HELLO,  /* send HELLO */
        PX_GREETER_PING,   /* send a ping */
        PX_GREETER_RENEW,  /* silent too long: close and reopen the connection; HELLO follows soon */
};

struct px_greeter {
        bool up;               /* WELCOME arrived and the peer isn't silent */
        int64_t next_ms;       /* when to act next */
        int64_t heard_ms;      /* last word of the peer; 0 = never */
        int64_t since_ms;      /* silence counts from here: last word, or last RENEW */
        uint64_t heartbeat_ms; /* between pings */
        uint64_t silence_ms;   /* no word for so long = RENEW */
        uint64_t backoff_ms;   /* between HELLOs: 100 ms doubling to backoff_max_ms, with jitter */
        uint64_t backoff_max_ms;
        struct px_rand rand;
};

/* Begin: the first HELLO is due at now_ms. Units: any monotonic ms. backoff_max_ms: DESIGN 5.5,
 * min(5 s, lease / 4). */
void px_greeter_init(struct px_greeter *greeter, int64_t now_ms, uint64_t backoff_max_ms, uint64_t seed);
/* What is due at now_ms; call until PX_GREETER_NOTHING. Each action given counts as done. */
enum px_greeter_action px_greeter_step(struct px_greeter *greeter, int64_t now_ms);
void px_greeter_welcomed(struct px_greeter *greeter, int64_t now_ms, uint64_t heartbeat_ms,
                         uint64_t silence_ms);
void px_greeter_again(struct px_greeter *greeter, int64_t now_ms); /* AGAIN came: greet anew */
void px_greeter_heard(struct px_greeter *greeter, int64_t now_ms); /* any message came */
int64_t px_greeter_deadline_ms(const struct px_greeter *greeter);

/* ---- outbox --------------------------------------------------------------------------------------------
 * Requests whose bodies begin with [session, done_below, ...] (schema/plexus.toml). */

struct px_outbox; /* opaque */

struct px_outbox_options {
        uint32_t window;      /* unanswered requests in flight; PX_LIMIT_SESSION_WINDOW */
        uint64_t repeat_ms;   /* unanswered for so long: sent again; 3000, doubling to 15000 */
        uint64_t expire_ms;   /* a request first sent longer ago than this isn't run in a new session: 24 h */
};

struct px_outbox *px_outbox_new(const struct px_outbox_options *options);
void px_outbox_free(struct px_outbox *outbox);
/* Keep a request. `frame` is a whole body frame whose session, done_below and correlation fields are
 * rewritten at each sending; recorded = it changes something (the broker remembers its answer).
 * Returns its number (1, 2, 3, ...; another one in a new session, none ever twice): `token` is the
 * caller's lasting name for it, not 0 and not in use. Owns: frame is copied. */
uint64_t px_outbox_add(struct px_outbox *outbox, uint64_t token, bool recorded, struct px_slice frame);
/* The next frame to send at now_ms, or false. ret_frame is valid until the next call. */
bool px_outbox_next(struct px_outbox *outbox, int64_t now_ms, struct px_slice *ret_frame);
/* An answer with this number arrived: returns the request's token, 0 when it is unknown (a repeat). */
uint64_t px_outbox_answered(struct px_outbox *outbox, uint64_t number);
/* WELCOME: everything unanswered is sent again under `session`. `asked` is the session that the HELLO
 * named: a HELLO carries it as its correlation too and WELCOME repeats that; `session` may differ from
 * the one we have only in an answer to a HELLO that named the one we have. Otherwise false: ignore this
 * WELCOME, nothing has changed. In a new session requests are renumbered; recorded ones first sent
 * more than expire_ms ago are given up: their tokens are appended to ret_expired as u64 big endian
 * (answer them with PX_E_EXPIRED). */
bool px_outbox_welcomed(struct px_outbox *outbox, uint64_t asked, uint64_t session, int64_t now_ms,
                        struct px_buf *ret_expired);
uint64_t px_outbox_session(const struct px_outbox *outbox);
uint64_t px_outbox_done_below(const struct px_outbox *outbox); /* every answer below has arrived */
/* Forget a request nobody waits for any more; a recorded one is still sent until answered, and
 * its answer is not reported. */
void px_outbox_forget(struct px_outbox *outbox, uint64_t token);
size_t px_outbox_count(const struct px_outbox *outbox);
int64_t px_outbox_deadline_ms(const struct px_outbox *outbox);

/* ---- answers --------------------------------------------------------------------------------------------- */

enum px_answers_result {
        PX_ANSWERS_NEW = 0,    /* run it, then px_answers_put() */
        PX_ANSWERS_KNOWN = 1,  /* ret_answer is what was answered */
        PX_ANSWERS_OLD = 2,    /* below done_below: its answer had arrived */
        PX_ANSWERS_BEYOND = 3, /* further ahead than the window */
};
struct px_answers {
        uint64_t done_below; /* numbers below are finished; starts at 1; a session that continues
                              * an older one begins anywhere, so: px_answers_done(), then find() */
        struct px_map kept;  /* number -> answer */
};
void px_answers_init(struct px_answers *answers);
void px_answers_fini(struct px_answers *answers);
int px_answers_find(const struct px_answers *answers, uint64_t number, uint32_t window,
                    uint16_t *ret_type, struct px_slice *ret_body);
void px_answers_put(struct px_answers *answers, uint64_t number, uint16_t type, struct px_slice body);
/* The peer has every answer below `number`: forget them. Appends the forgotten numbers (u64 big
 * endian), so that their rows can be deleted. */
void px_answers_done(struct px_answers *answers, uint64_t number, struct px_buf *ret_forgotten);

#endif
