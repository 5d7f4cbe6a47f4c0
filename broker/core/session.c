/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - client sessions: who speaks, what was answered. Layer: L2 (broker/core).
 * Source: DESIGN 5.1, 5.4.
 *
 * A session gets its row with its first change, in the same batch: an unknown session never changed
 * anything. The answer to a change is a row too, until the client says that it has it. */
#include "access.h"
#include "state.h"

#define WORD_STORED_MS 3600000        /* the stored time of the last word is this exact */
#define QUIET_MS 60000 /* a client that lives says something far more often */
#define ANSWERS_BYTES_MAX (16u << 20) /* remembered for one session */

/* ---- rows ------------------------------------------------------------------------------------------ */

void session_row_of(const struct session *session, struct px_session_row *ret_row)
{
        *ret_row = (struct px_session_row){
                .principal = {session->principal},
                .done_below = session->answers.done_below,
                .word_ms = session->stored_word_ms,
        };
}

static void session_put(struct core *core, struct session *session)
{
        struct row_key key = row_key_u64(session->id);
        struct px_session_row row;

        session->stored = true;
        session->stored_word_ms = session->word_ms;
        session_row_of(session, &row);
        px_buf_reset(&core->bytes);
        px_session_row_encode(&row, &core->bytes);
        put_row(core, PX_TABLE_SESSION, &key, px_buf_slice(&core->bytes));
}

static struct row_key answer_key(uint64_t session, uint64_t number, uint16_t chunk)
{
        struct row_key key = row_key_u64(session);

        row_key_add_u64(&key, number);
        row_key_add_u16(&key, chunk);
        return key;
}

#define ANSWER_CHUNK_BYTES (ROWS_VALUE_BYTES_MAX - 16)

static size_t answer_chunks(size_t bytes)
{
        return (bytes + ANSWER_CHUNK_BYTES - 1) / ANSWER_CHUNK_BYTES;
}

static void answer_put(struct core *core, const struct session *session, uint64_t number,
                       uint16_t type, struct px_slice frame)
{
        for (size_t i = 0; i < answer_chunks(frame.length); i++) {
                struct row_key key = answer_key(session->id, number, (uint16_t)i);
                size_t offset = i * ANSWER_CHUNK_BYTES;
                struct px_answer_row row = {
                        .type = type,
                        .body = px_slice_of(frame.data + offset,
                                            PX_MIN(frame.length - offset,
                                                   (size_t)ANSWER_CHUNK_BYTES)),
                };

                px_buf_reset(&core->bytes);
                px_answer_row_encode(&row, &core->bytes);
                put_row(core, PX_TABLE_ANSWER, &key, px_buf_slice(&core->bytes));
        }
}

static void answer_delete(struct core *core, struct session *session, uint64_t number)
{
        uint16_t type;
        struct px_slice frame;
        int found = px_answers_find(&session->answers, number, PX_LIMIT_SESSION_WINDOW, &type,
                                    &frame);

        if (found != PX_ANSWERS_KNOWN)
                return;
        PX_ASSERT(session->answers_bytes >= frame.length);
        session->answers_bytes -= frame.length;
        for (size_t i = 0; i < answer_chunks(frame.length); i++) {
                struct row_key key = answer_key(session->id, number, (uint16_t)i);

                delete_row(core, PX_TABLE_ANSWER, &key);
        }
}

/* ---- making and forgetting ---------------------------------------------------------------------------- */

static struct session *session_new(struct core *core, uint64_t id, uint32_t principal)
{
        struct session *session = px_alloc(sizeof(*session));

        session->id = id;
        session->principal = principal;
        session->word_ms = core->core_ms;
        px_answers_init(&session->answers);
        px_list_init(&session->watches);
        px_list_append(&core->session_list, &session->link);
        px_map_put(&core->sessions, id, session);
        return session;
}

static void session_peer(struct core *core, struct session *session, uint64_t peer)
{
        if (session->peer == peer)
                return;
        if (session->peer != 0 &&
            px_map_find(&core->sessions_by_peer, session->peer) == session)
                px_map_take(&core->sessions_by_peer, session->peer);
        session->peer = peer;
        if (peer != 0)
                px_map_put(&core->sessions_by_peer, peer, session);
}

void session_free(struct core *core, struct session *session)
{
        watches_drop(core, session);
        session_peer(core, session, 0);
        timer_disarm(core, &session->timer);
        if (session->dirty)
                px_list_remove(&session->dirty_link);
        px_list_remove(&session->link);
        px_map_take(&core->sessions, session->id);
        px_answers_fini(&session->answers);
        px_buf_fini(&session->ends);
        px_free(session);
}

static void session_done(struct core *core, struct session *session, uint64_t done_below)
{
        uint64_t from = session->answers.done_below;
        uint64_t end = PX_MIN(done_below, from + PX_LIMIT_SESSION_WINDOW);
        struct px_buf forgotten = {0};

        if (done_below <= from)
                return;
        for (uint64_t number = from; number < end && session->answers.kept.count > 0; number++)
                answer_delete(core, session, number);
        px_answers_done(&session->answers, done_below, &forgotten);
        px_buf_fini(&forgotten);
        PX_ASSERT(session->answers.done_below == done_below);
        if (session->stored)
                session_put(core, session);
}

static void session_forget(struct core *core, struct session *session)
{
        struct row_key key = row_key_u64(session->id);
        uint64_t from = session->answers.done_below;

        for (uint64_t i = 0; i < PX_LIMIT_SESSION_WINDOW && session->answers_bytes > 0; i++)
                answer_delete(core, session, from + i);
        if (session->stored)
                delete_row(core, PX_TABLE_SESSION, &key);
        session_free(core, session);
}

static void session_arm(struct core *core, struct session *session)
{
        timer_arm(core, &session->timer, TIMER_SESSION, session->id,
                  session->word_ms + (int64_t)core->options.session_ms);
}

void session_fired(struct core *core, uint64_t id)
{
        struct session *session = px_map_find(&core->sessions, id);

        PX_ASSERT(session != NULL);
        if (session->word_ms + (int64_t)core->options.session_ms > core->core_ms)
                session_arm(core, session);
        else
                session_forget(core, session);
}

void sessions_peer_gone(struct core *core, uint64_t peer)
{
        struct session *session = px_map_find(&core->sessions_by_peer, peer);

        if (session != NULL)
                session_peer(core, session, 0);
}

/* ---- requests ---------------------------------------------------------------------------------------------- */

static void session_word(struct core *core, struct session *session)
{
        session->word_ms = core->core_ms;
        session_peer(core, session, core->command->peer);
        if (session->stored && session->word_ms - session->stored_word_ms >= WORD_STORED_MS)
                session_put(core, session);
}

static struct session *session_of(struct core *core, struct px_session_id id)
{
        struct session *session = px_map_find(&core->sessions, id.value);

        if (session == NULL || session->principal != core->command->principal.value)
                return NULL;
        return session;
}

/* true: the request has not run yet. */
static bool session_is_new(struct core *core, struct session *session, uint64_t number)
{
        uint16_t type;
        struct px_slice frame;

        switch (px_answers_find(&session->answers, number, PX_LIMIT_SESSION_WINDOW, &type,
                                &frame)) {
        case PX_ANSWERS_NEW:
                break;
        case PX_ANSWERS_KNOWN:
                px_buf_reset(&core->frame);
                px_buf_append_slice(&core->frame, frame);
                put_frame(core, core->command->peer);
                return false;
        case PX_ANSWERS_OLD:
                refuse(core, PX_E_EXPIRED, "request %llu was answered before",
                       (unsigned long long)number);
                return false;
        default:
                refuse(core, PX_E_LIMIT, "at most %d requests of a session in flight",
                       PX_LIMIT_SESSION_WINDOW);
                return false;
        }
        /* Without an answer it is repeated until there is room: the answers are on their way. */
        return session->answers_bytes < ANSWERS_BYTES_MAX;
}

struct session *session_begin(struct core *core, struct px_session_id id, uint64_t done_below,
                              bool changes)
{
        struct session *session = session_of(core, id);
        uint64_t number = core->command->header.correlation;

        if (session == NULL) {
                say_again(core);
                return NULL;
        }
        session_word(core, session);
        session_done(core, session, done_below);
        if (!changes)
                return session;
        if (number == 0) {
                refuse(core, PX_E_PROTO, "a request needs a number");
                return NULL;
        }
        if (!session_is_new(core, session, number))
                return NULL;
        core->request = session;
        return session;
}

void session_answer(struct core *core, struct session *session)
{
        uint64_t number = core->command->header.correlation;
        struct px_slice frame = px_buf_slice(&core->frame);
        struct px_wire_header header;
        struct px_slice body;

        PX_ASSERT(px_wire_get_header(frame, &header, &body) == PX_WIRE_OK);
        PX_ASSERT(header.correlation == number);
        px_answers_put(&session->answers, number, header.type, frame);
        session->answers_bytes += frame.length;
        answer_put(core, session, number, header.type, frame);
        if (!session->stored)
                session_put(core, session);
        put_frame(core, core->command->peer);
}

/* ---- HELLO --------------------------------------------------------------------------------------------------- */

static void session_welcome(struct core *core, const struct session *session)
{
        int role = principal_role(core->principal, core->wall_ms);
        struct px_m_client_welcome welcome = {
                .session = {session->id},
                .epoch = core->options.epoch,
                .cluster = px_slice_of(core->cluster, CORE_ID_BYTES),
                .version = px_slice_text(PX_PRODUCT_VERSION),
                .principal = core->principal->name,
                .role = role,
                .sees_all = access_sees_all(role),
                .heartbeat_ms = core->options.heartbeat_ms,
                .window = PX_LIMIT_SESSION_WINDOW,
                .node_port = core->options.node_port,
                .data_port = core->options.data_port,
                .events_port = core->options.events_port,
                .broker_public = core->options.broker_public,
                .wall_ms = core->wall_ms,
        };

        FRAME(core, client_welcome, &welcome, core->command->header.correlation);
        put_frame(core, core->command->peer);
}

/* Forget one that has gone quiet and has received every answer: were its client to come back, it
 * has nothing that could run twice. */
static bool session_make_room(struct core *core)
{
        PX_LIST_EACH(&core->session_list, at)
        {
                struct session *session = PX_CONTAINER_OF(at, struct session, link);

                if (session->answers.kept.count > 0 ||
                    session->word_ms + QUIET_MS > core->core_ms)
                        continue;
                session_forget(core, session);
                return true;
        }
        return false;
}

void session_hello(struct core *core, const struct px_m_client_hello *hello)
{
        struct session *session = session_of(core, hello->session);

        if (session == NULL) {
                if (core->sessions.count >= PX_LIMIT_SESSIONS && !session_make_room(core)) {
                        refuse(core, PX_E_BUSY, "%d client sessions are open",
                               PX_LIMIT_SESSIONS);
                        return;
                }
                core->next_session++;
                session = session_new(core, (core->options.epoch << 28) + core->next_session,
                                      core->command->principal.value);
                session_arm(core, session);
        }
        session_word(core, session);
        session_welcome(core, session);
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

int session_load(struct core *core, uint64_t id, const struct px_session_row *row)
{
        struct session *session;
        struct px_buf forgotten = {0};

        if (id == 0 || px_map_find(&core->sessions, id) != NULL || row->done_below == 0 ||
            principal_find(core, row->principal.value) == NULL)
                return PX_E_DAMAGED;
        session = session_new(core, id, row->principal.value);
        session->stored = true;
        session->word_ms = row->word_ms;
        session->stored_word_ms = row->word_ms;
        px_answers_done(&session->answers, row->done_below, &forgotten);
        px_buf_fini(&forgotten);
        return PX_OK;
}

/* Chunks of one answer follow each other: they are joined when the last has come. */
static void loading_finish(struct core *core)
{
        struct session *session = px_map_find(&core->sessions, core->loading_session);

        if (session != NULL && core->frame.length > 0) {
                px_answers_put(&session->answers, core->loading_number, core->loading_type,
                               px_buf_slice(&core->frame));
                session->answers_bytes += core->frame.length;
        }
        core->loading_session = 0;
        px_buf_reset(&core->frame);
}

int session_load_answer(struct core *core, struct px_slice key, const struct px_answer_row *row)
{
        uint64_t id = px_get_be64(key.data);
        uint64_t number = px_get_be64(key.data + 8);
        uint16_t chunk = px_get_be16(key.data + 16);
        struct session *session = px_map_find(&core->sessions, id);
        struct px_slice known;
        uint16_t type;

        if (id != core->loading_session || number != core->loading_number)
                loading_finish(core);
        if (session == NULL ||
            px_answers_find(&session->answers, number, PX_LIMIT_SESSION_WINDOW, &type, &known) !=
                    PX_ANSWERS_NEW)
                return PX_E_DAMAGED;
        if (chunk * (uint64_t)ANSWER_CHUNK_BYTES != core->frame.length) {
                /* A chunk before it is missing: the answer is unknown as a whole. */
                px_buf_reset(&core->frame);
                return PX_E_DAMAGED;
        }
        core->loading_session = id;
        core->loading_number = number;
        core->loading_type = row->type;
        px_buf_append_slice(&core->frame, row->body);
        return PX_OK;
}

void session_loads_end(struct core *core)
{
        loading_finish(core);
        PX_LIST_EACH(&core->session_list, at)
        session_arm(core, PX_CONTAINER_OF(at, struct session, link));
}

/* Core time passed with the wall clock while no broker ran, and that may have jumped: a session
 * forgotten too early would run again what it has answered. */
void sessions_word_anew(struct core *core)
{
        PX_LIST_EACH(&core->session_list, at)
        {
                struct session *session = PX_CONTAINER_OF(at, struct session, link);

                session->word_ms = core->core_ms;
                session_arm(core, session);
        }
}
