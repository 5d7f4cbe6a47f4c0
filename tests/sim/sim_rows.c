/* SPDX-License-Identifier: Apache-2.0 */
/* sim_rows.c - the write-sets, judged row by row as they are committed, against what was committed
 * before, what the events of the same batch say and what model processes did. It knows the shape of
 * rows and the rules of the README, and nothing of the core.
 *
 *   job, done  a job stands in one of them; its state moves along an edge and only with an event; its
 *              fence grows by one, in the epoch of the broker; retries are counted once
 *   attempt    one for each attempt, in their order, of the attempt that counts, and true: outcome and
 *              exit are what the process did, its output is stored or the shortfall stated
 *   answer     a request is answered once
 *   key        a key leads to one job until that is purged
 *   others     counters, sessions and time never go back, a revoked token stays so */
#include "rows.h"
#include "sim_inside.h"

#define ID(number) ((unsigned long long)(number))

static bool state_ended(int state)
{
        return state >= PX_JOB_STATE_OK;
}

static bool state_held(int state)
{
        return state == PX_JOB_STATE_ASSIGNED || state == PX_JOB_STATE_RUNNING ||
               state == PX_JOB_STATE_CANCELLING;
}

/* The life cycle, written down a second time: from a state (row) to those whose bits stand here. */
#define TO(state) (1u << PX_JOB_STATE_##state)
static const uint32_t edges[PX_JOB_STATE_COUNT] = {
        [PX_JOB_STATE_BLOCKED] = TO(OK) | TO(FAILED) | TO(QUEUED) | TO(CANCELLED) | TO(ASSIGNED) | TO(TIMEOUT),
        [PX_JOB_STATE_QUEUED] = TO(FAILED) | TO(BLOCKED) | TO(ASSIGNED) | TO(CANCELLED) | TO(TIMEOUT),
        [PX_JOB_STATE_ASSIGNED] = TO(RUNNING) | TO(QUEUED) | TO(BLOCKED) | TO(CANCELLING) | TO(OK) |
                                  TO(FAILED) | TO(TIMEOUT) | TO(LOST) | TO(CANCELLED),
        [PX_JOB_STATE_RUNNING] = TO(OK) | TO(FAILED) | TO(TIMEOUT) | TO(LOST) | TO(QUEUED) |
                                 TO(BLOCKED) | TO(CANCELLING) | TO(CANCELLED),
        [PX_JOB_STATE_CANCELLING] = TO(CANCELLED) | TO(OK) | TO(FAILED) | TO(TIMEOUT) | TO(LOST),
        [PX_JOB_STATE_OK] = TO(QUEUED),
        [PX_JOB_STATE_FAILED] = TO(QUEUED),
        [PX_JOB_STATE_CANCELLED] = TO(QUEUED),
        [PX_JOB_STATE_TIMEOUT] = TO(QUEUED),
        [PX_JOB_STATE_LOST] = TO(QUEUED),
};

/* ---- jobs -------------------------------------------------------------------------------------
 */

struct row_job *rows_job(struct sim *sim, uint64_t id)
{
        return px_map_find(&sim->judge.jobs, id);
}

static void touch(struct sim *sim, struct row_job *job)
{
        struct judge *judge = &sim->judge;

        if (job->touched == judge->index)
                return;
        job->touched = judge->index;
        if (judge->touched_count == judge->touched_capacity) {
                judge->touched_capacity = PX_MAX(judge->touched_capacity * 2, (size_t)64);
                judge->touched = px_realloc(judge->touched,
                                            judge->touched_capacity * sizeof(*judge->touched));
        }
        judge->touched[judge->touched_count++] = job->id;
}

static struct row_job *job_new(struct sim *sim, uint64_t id, const struct px_job_row *row)
{
        struct row_job *job = px_alloc(sizeof(*job));

        SIM_CHECK(sim, row->fence.attempt == 0 && row->failures == 0 && row->losses == 0,
                  "job %llu begins with attempts behind it", ID(id));
        SIM_CHECK(sim, row->state == PX_JOB_STATE_QUEUED || row->state == PX_JOB_STATE_BLOCKED,
                  "job %llu begins as %s", ID(id), px_job_state_name(row->state));
        job->id = id;
        job->owner = row->owner.value;
        job->on_lost = row->on_lost;
        job->retries = row->retries;
        job->submitted_wall_ms = row->submitted_wall_ms;
        job->state = row->state;
        px_map_put(&sim->judge.jobs, id, job);
        return job;
}

/* A task's row begins with its first attempt; what it is was said by its array. */
static struct row_job *task_new(struct sim *sim, uint64_t id, const struct px_job_row *row)
{
        const struct row_job *head = rows_job(sim, px_id_job(id));
        struct row_job *job = px_alloc(sizeof(*job));

        SIM_CHECK(sim, head != NULL && head->array.count > 0, "job %llu is a task of no array", ID(id));
        SIM_CHECK(sim, row->state == PX_JOB_STATE_ASSIGNED && row->fence.attempt == 1,
                  "task %llu begins as %s", ID(id), px_job_state_name(row->state));
        SIM_CHECK(sim, (px_id_task(id) - head->array.first) % head->array.step == 0 &&
                               (px_id_task(id) - head->array.first) / head->array.step <
                                       head->array.count,
                  "task %llu is not in its array", ID(id));
        job->id = id;
        job->owner = head->owner;
        job->on_lost = head->on_lost;
        job->retries = head->retries;
        job->submitted_wall_ms = head->submitted_wall_ms;
        job->state = PX_JOB_STATE_QUEUED;
        px_map_put(&sim->judge.jobs, id, job);
        return job;
}

/* The retry of a task makes its ended array go on. */
static bool array_goes_on(const struct row_job *job, const struct px_job_row *row)
{
        return row->array_count > 0 && state_ended(job->state) &&
               row->state == PX_JOB_STATE_BLOCKED;
}

/* The books of an array: what was asked for stays; no more tasks at work than its limit; it ends when
 * none is, and not ok unless all are. */
static void judge_array(struct sim *sim, struct row_job *job, const struct px_job_row *row)
{
        const struct px_array *set = row->array;
        uint32_t ended;

        if (job->state != row->state && row->array_count > 0)
                sim->stats->edges[job->state][row->state]++;
        if (row->array_count == 0)
                return;
        ended = set->ok + set->failed + set->cancelled + set->timeout + set->lost;
        SIM_CHECK(sim, job->array.count == 0 || (set->count == job->array.count &&
                                                  set->first == job->array.first &&
                                                  set->step == job->array.step &&
                                                  set->made >= job->array.made),
                  "array %llu is another now", ID(job->id));
        SIM_CHECK(sim, set->made <= set->count && ended <= set->made,
                  "array %llu made %u of %u tasks, and %u ended", ID(job->id), set->made, set->count,
                  ended);
        SIM_CHECK(sim, !state_ended(row->state) || ended == set->made,
                  "array %llu is %s with %u tasks at work", ID(job->id),
                  px_job_state_name(row->state), set->made - ended);
        SIM_CHECK(sim, row->state != PX_JOB_STATE_OK || set->ok == set->count,
                  "array %llu is ok, %u of its %u tasks are", ID(job->id), set->ok, set->count);
        job->array = *set;
}

/* Fences grow by one and never repeat; only a job that is ready gets a new one: queued, or
 * blocked by nothing but a resource of the mesh (I3, I4). */
static void judge_fence(struct sim *sim, const struct row_job *job, const struct px_job_row *row)
{
        if (row->fence.attempt == job->fence.attempt) {
                SIM_CHECK(sim, row->fence.epoch == job->fence.epoch,
                          "attempt %u of job %llu moves from epoch %llu to %llu",
                          row->fence.attempt, ID(job->id), ID(job->fence.epoch),
                          ID(row->fence.epoch));
                SIM_CHECK(sim, row->node.value == job->node, "attempt %u of job %llu moves to "
                                                             "another node",
                          row->fence.attempt, ID(job->id));
                return;
        }
        SIM_CHECK(sim, row->fence.attempt == job->fence.attempt + 1,
                  "after attempt %u of job %llu comes %u", job->fence.attempt, ID(job->id),
                  row->fence.attempt);
        SIM_CHECK(sim, row->fence.epoch == sim->broker.epoch && row->fence.epoch >= job->fence.epoch,
                  "attempt %u of job %llu is of epoch %llu, not %llu", row->fence.attempt,
                  ID(job->id), ID(row->fence.epoch), ID(sim->broker.epoch));
        SIM_CHECK(sim, (row->flags & 1) == 0, "job %llu is held and gets attempt %u", ID(job->id),
                  row->fence.attempt);
        SIM_CHECK(sim,
                  (job->state == PX_JOB_STATE_QUEUED ||
                   (job->state == PX_JOB_STATE_BLOCKED && job->reason == PX_REASON_SLOT)) &&
                          row->state == PX_JOB_STATE_ASSIGNED,
                  "job %llu gets attempt %u while it goes from %s to %s", ID(job->id),
                  row->fence.attempt, px_job_state_name(job->state),
                  px_job_state_name(row->state));
        SIM_CHECK(sim, job->attempts_ended == job->fence.attempt,
                  "job %llu gets attempt %u while %u has no end", ID(job->id), row->fence.attempt,
                  job->fence.attempt);
}

/* `outcome` of the attempt that ended with this row; 0 = none did. Failures are counted once, and
 * repeated as often as was asked for (RELIABILITY 4.4). */
static void judge_retries(struct sim *sim, const struct row_job *job, const struct px_job_row *row,
                          int outcome)
{
        bool failed = (outcome == PX_OUTCOME_FAILED || outcome == PX_OUTCOME_TIMEOUT) &&
                      job->state != PX_JOB_STATE_CANCELLING;
        uint32_t expected = job->failures + failed;

        if (state_ended(job->state) && !state_ended(row->state))
                expected = 0; /* a person runs it again */
        SIM_CHECK(sim, row->failures == expected, "job %llu has %u failures, not %u", ID(job->id),
                  row->failures, expected);
        if (outcome == PX_OUTCOME_OK)
                SIM_CHECK(sim, row->state == PX_JOB_STATE_OK, "job %llu ended well and is %s",
                          ID(job->id), px_job_state_name(row->state));
        if (failed)
                SIM_CHECK(sim, state_ended(row->state) == (expected > job->retries),
                          "job %llu is %s after failure %u, with %u retries", ID(job->id),
                          px_job_state_name(row->state), expected, job->retries);
        SIM_CHECK(sim, row->losses < PX_LIMIT_LOST_ATTEMPTS || state_ended(row->state),
                  "job %llu goes on after %u losses", ID(job->id), row->losses);
}

/* An active job's request stands in its shape, an ended one's in its row; it never changes. */
static void judge_request(struct sim *sim, struct row_job *job, const struct px_job_row *row)
{
        uint64_t request;

        if (state_ended(row->state)) {
                request = px_hash64(5, row->request.data, row->request.length);
        } else {
                const struct row_shape *shape = px_map_find(&sim->judge.shapes, row->shape);

                SIM_CHECK(sim, shape != NULL, "job %llu asks for shape %u, which isn't there",
                          ID(job->id), row->shape);
                request = shape->request;
        }
        SIM_CHECK(sim, job->request == 0 || job->request == request,
                  "what job %llu asked for changes", ID(job->id));
        job->request = request;
        job->shape = row->shape;
}

static void judge_job(struct sim *sim, uint8_t table, struct px_slice key, struct px_slice value)
{
        uint64_t id = px_get_be64(key.data);
        struct row_job *job = rows_job(sim, id);
        struct px_job_row row;
        int outcome;

        sim->about = id;
        SIM_CHECK(sim, px_job_row_decode(value, &sim->judge.arena, &row) == PX_WIRE_OK,
                  "the row of job %llu is malformed", ID(id));
        SIM_CHECK(sim, state_ended(row.state) == (table == PX_TABLE_DONE),
                  "job %llu, %s, stands in table %s", ID(id), px_job_state_name(row.state),
                  px_table_name(table));
        if (job == NULL)
                job = px_id_is_task(id) ? task_new(sim, id, &row) : job_new(sim, id, &row);
        outcome = job->outcome;
        job->outcome = 0;
        SIM_CHECK(sim,
                  row.owner.value == job->owner && row.on_lost == job->on_lost && row.retries == job->retries &&
                          row.submitted_wall_ms == job->submitted_wall_ms,
                  "what was submitted as job %llu changes", ID(id));
        SIM_CHECK(sim, row.state == job->state || (edges[job->state] & 1u << row.state) != 0 ||
                               array_goes_on(job, &row),
                  "job %llu goes from %s to %s", ID(id), px_job_state_name(job->state),
                  px_job_state_name(row.state));
        judge_array(sim, job, &row);
        judge_fence(sim, job, &row);
        SIM_CHECK(sim, (state_held(job->state) && !state_held(row.state)) == (outcome != 0),
                  "job %llu goes from %s to %s with%s an end of attempt %u", ID(id),
                  px_job_state_name(job->state), px_job_state_name(row.state),
                  outcome != 0 ? "" : "out", job->fence.attempt);
        judge_retries(sim, job, &row, outcome);
        SIM_CHECK(sim,
                  row.state != PX_JOB_STATE_RUNNING || job->state == row.state ||
                          oracle_entered(sim, (struct px_job_id){id}, row.fence),
                  "attempt %u of job %llu runs, and no node has heard of it", row.fence.attempt,
                  ID(id));
        job->fence = row.fence;
        job->node = row.node.value;
        job->state = row.state;
        job->failures = row.failures;
        job->priority = row.priority;
        job->reason = row.reason;
        job->expires_wall_ms = row.expires_wall_ms;
        judge_request(sim, job, &row);
        job->stored[table == PX_TABLE_DONE] = true;
        touch(sim, job);
}

static void judge_job_gone(struct sim *sim, uint8_t table, struct px_slice key)
{
        struct row_job *job = rows_job(sim, px_get_be64(key.data));

        SIM_CHECK(sim, job != NULL && job->stored[table == PX_TABLE_DONE],
                  "job %llu is deleted from table %s, where it isn't", ID(px_get_be64(key.data)),
                  px_table_name(table));
        job->stored[table == PX_TABLE_DONE] = false;
        touch(sim, job);
}

/* ---- attempts ---------------------------------------------------------------------------------
 */

static uint64_t truth_key(struct px_job_id job, struct px_fence fence)
{
        uint64_t parts[3] = {job.value, fence.epoch, fence.attempt};

        return px_hash64(3, parts, sizeof(parts));
}

void rows_truth(struct sim *sim, const struct entry *entry)
{
        uint64_t key = truth_key(entry->job, entry->fence);
        struct px_result *truth = px_map_take(&sim->judge.truths, key);

        if (truth == NULL)
                truth = px_alloc(sizeof(*truth));
        spool_result(entry, truth);
        px_map_put(&sim->judge.truths, key, truth);
}

static bool outcome_is_seen(int outcome)
{
        return outcome == PX_OUTCOME_OK || outcome == PX_OUTCOME_FAILED ||
               outcome == PX_OUTCOME_TIMEOUT || outcome == PX_OUTCOME_KEEPER_DIED ||
               outcome == PX_OUTCOME_GAVE_UP;
}

/* What the row says of the process is what its keeper saw. */
static void judge_truth(struct sim *sim, const struct row_job *job, const struct px_attempt_row *row)
{
        const struct px_result *truth =
                px_map_find(&sim->judge.truths, truth_key((struct px_job_id){job->id}, row->fence));

        if (!outcome_is_seen(row->outcome))
                return;
        if (truth == NULL) {
                /* The node gave up before it began. */
                SIM_CHECK(sim, row->outcome == PX_OUTCOME_GAVE_UP,
                          "attempt %u of job %llu ended (%s), says its node; it never ran",
                          row->fence.attempt, ID(job->id), px_outcome_name(row->outcome));
                return;
        }
        SIM_CHECK(sim, row->outcome == truth->outcome,
                  "attempt %u of job %llu ended as %s, but stands as %s", row->fence.attempt,
                  ID(job->id), px_outcome_name(truth->outcome), px_outcome_name(row->outcome));
        SIM_CHECK(sim, row->exit_code == truth->exit_code && row->signal == truth->signal,
                  "attempt %u of job %llu ended with exit %d, signal %u, but stands with %d, %u",
                  row->fence.attempt, ID(job->id), truth->exit_code, truth->signal,
                  row->exit_code, row->signal);
        SIM_CHECK(sim,
                  row->use.out_bytes == truth->use.out_bytes &&
                          row->use.err_bytes == truth->use.err_bytes,
                  "attempt %u of job %llu has another length of output than it wrote",
                  row->fence.attempt, ID(job->id));
}

/* Nothing is shown as ended before its output is stored, or the shortfall stated (RELIABILITY 4.10). */
static void judge_output(struct sim *sim, const struct row_job *job, const struct px_attempt_row *row)
{
        const struct egress_log *log =
                egress_find(sim, (struct px_job_id){job->id}, row->fence);
        uint64_t wrote = row->use.out_bytes + row->use.err_bytes;
        uint64_t stored = log == NULL ? 0 : log->stored[PX_STREAM_OUT] + log->stored[PX_STREAM_ERR];

        if (!outcome_is_seen(row->outcome) || (log != NULL && log->lost))
                return;
        SIM_CHECK(sim, stored + row->log_pending_bytes >= wrote,
                  "attempt %u of job %llu is over with %llu of %llu bytes stored and %llu stated "
                  "as pending",
                  row->fence.attempt, ID(job->id), ID(stored), ID(wrote),
                  ID(row->log_pending_bytes));
}

static void judge_attempt(struct sim *sim, struct px_slice key, struct px_slice value)
{
        uint64_t id = px_get_be64(key.data);
        uint32_t attempt = px_get_be32(key.data + 8);
        struct row_job *job = rows_job(sim, id);
        struct px_attempt_row row;

        sim->about = id;
        SIM_CHECK(sim, px_attempt_row_decode(value, &sim->judge.arena, &row) == PX_WIRE_OK,
                  "the row of attempt %u of job %llu is malformed", attempt, ID(id));
        SIM_CHECK(sim, job != NULL && state_held(job->state),
                  "attempt %u of job %llu ends, which nobody holds", attempt, ID(id));
        SIM_CHECK(sim, attempt == job->attempts_ended + 1,
                  "attempt %u of job %llu ends after attempt %u", attempt, ID(id),
                  job->attempts_ended);
        SIM_CHECK(sim,
                  attempt == row.fence.attempt && px_fence_equal(row.fence, job->fence) &&
                          row.node.value == job->node,
                  "attempt %u of job %llu ends, but %u counts", row.fence.attempt, ID(id),
                  job->fence.attempt);
        judge_truth(sim, job, &row);
        judge_output(sim, job, &row);
        job->attempts_ended = attempt;
        job->outcome = row.outcome;
}

/* ---- what is written once, or only grows --------------------------------------------------------
 */

static uint64_t key_hash(const struct row *row)
{
        return px_hash64(row->table, row->key.data, row->key.length);
}

static void judge_answer(struct sim *sim, const struct row *row)
{
        uint64_t hash = key_hash(row);
        uint64_t session = px_get_be64(row->key.data);
        uint64_t number = px_get_be64(row->key.data + 8);

        if (row->operation == ROWS_DELETE) {
                px_map_take(&sim->judge.once, hash);
                return;
        }
        SIM_CHECK(sim, px_map_find(&sim->judge.once, hash) == NULL,
                  "request %llu of session %llx is answered twice", ID(number), ID(session));
        px_map_put(&sim->judge.once, hash, sim);
}

static void judge_key(struct sim *sim, const struct row *row)
{
        uint64_t hash = key_hash(row);
        struct row_job *job = px_map_take(&sim->judge.once, hash);
        struct px_key_row key;

        if (row->operation == ROWS_DELETE) {
                SIM_CHECK(sim, job == NULL || (!job->stored[0] && !job->stored[1]),
                          "the key of job %llu is forgotten before it", ID(job->id));
                return;
        }
        SIM_CHECK(sim, job == NULL, "the key of job %llu is given to another", ID(job->id));
        SIM_CHECK(sim, px_key_row_decode(row->value, &sim->judge.arena, &key) == PX_WIRE_OK,
                  "the row of a key is malformed");
        /* Its job follows in the same write-set. */
        job = rows_job(sim, key.job.value);
        if (job == NULL) {
                sim->judge.key_of_job = key.job.value;
                sim->judge.key_hash = hash;
        } else {
                px_map_put(&sim->judge.once, hash, job);
        }
}

struct row_principal *rows_principal(struct sim *sim, uint32_t id)
{
        return px_map_find(&sim->judge.principals, id);
}

static void judge_principal(struct sim *sim, const struct row *row)
{
        uint32_t id = px_get_be32(row->key.data);
        struct row_principal *principal = rows_principal(sim, id);
        struct px_principal_row decoded;

        SIM_CHECK(sim,
                  row->operation == ROWS_PUT && px_principal_row_decode(row->value, &sim->judge.arena,
                                                                        &decoded) == PX_WIRE_OK,
                  "the row of principal %u is gone or malformed", id);
        if (principal == NULL) {
                principal = px_alloc(sizeof(*principal));
                px_map_put(&sim->judge.principals, id, principal);
                principal->role = decoded.role;
        }
        SIM_CHECK(sim, principal->role == decoded.role, "principal %u gets another role", id);
        SIM_CHECK(sim, principal->revoked_index == 0 || decoded.revoked,
                  "principal %u was revoked and is not any more", id);
        if (decoded.revoked && principal->revoked_index == 0)
                principal->revoked_index = sim->judge.index;
        principal->expires_wall_ms = decoded.expires_wall_ms;
}

/* Numbers that never go back: the counters of the core, sessions of nodes, done_below of clients. */
static void judge_counter(struct sim *sim, uint8_t table, uint64_t key, const char *what,
                          uint64_t value)
{
        uint64_t parts[2] = {table, key};
        uint64_t hash = px_hash64(px_hash64(4, what, strlen(what)), parts, sizeof(parts));
        uint64_t *last = px_map_find(&sim->judge.counters, hash);

        if (last == NULL) {
                last = px_alloc(sizeof(*last));
                px_map_put(&sim->judge.counters, hash, last);
        }
        SIM_CHECK(sim, value >= *last, "%s goes back from %llu to %llu", what, ID(*last), ID(value));
        *last = value;
}

static void judge_meta(struct sim *sim, const struct row *row)
{
        struct px_core_row core;

        SIM_CHECK(sim, px_core_row_decode(row->value, &sim->judge.arena, &core) == PX_WIRE_OK,
                  "the row of the core is malformed");
        judge_counter(sim, PX_TABLE_META, 0, "core time", (uint64_t)core.core_ms);
        judge_counter(sim, PX_TABLE_META, 0, "the next job", core.next_job);
        judge_counter(sim, PX_TABLE_META, 0, "the next principal", core.next_principal);
        judge_counter(sim, PX_TABLE_META, 0, "the next node", core.next_node);
        judge_counter(sim, PX_TABLE_META, 0, "the next shape", core.next_shape);
}

static void judge_node(struct sim *sim, const struct row *row)
{
        struct px_node_row node;

        if (row->operation == ROWS_DELETE)
                return;
        SIM_CHECK(sim, px_node_row_decode(row->value, &sim->judge.arena, &node) == PX_WIRE_OK,
                  "the row of a node is malformed");
        judge_counter(sim, PX_TABLE_NODE, px_get_be32(row->key.data), "the session of a node",
                      node.session);
}

static void judge_session(struct sim *sim, const struct row *row)
{
        struct px_session_row session;

        if (row->operation == ROWS_DELETE)
                return;
        SIM_CHECK(sim, px_session_row_decode(row->value, &sim->judge.arena, &session) == PX_WIRE_OK,
                  "the row of a session is malformed");
        judge_counter(sim, PX_TABLE_SESSION, px_get_be64(row->key.data), "done_below of a session",
                      session.done_below);
}

/* What a shape needs, for the recount of nodes. */
static void judge_shape(struct sim *sim, const struct row *row)
{
        uint32_t id = px_get_be32(row->key.data);
        struct px_shape_row shape;
        struct row_shape *known = px_map_take(&sim->judge.shapes, id);

        if (row->operation == ROWS_DELETE) {
                px_free(known);
                return;
        }
        SIM_CHECK(sim, px_shape_row_decode(row->value, &sim->judge.arena, &shape) == PX_WIRE_OK,
                  "the row of shape %u is malformed", id);
        SIM_CHECK(sim, known == NULL, "shape %u is written twice", id);
        known = px_alloc(sizeof(*known));
        known->cpus_milli = shape.cpus_milli;
        known->request = px_hash64(5, row->value.data, row->value.length);
        px_map_put(&sim->judge.shapes, id, known);
}

/* ---- a batch ----------------------------------------------------------------------------------
 */

static void judge_row(struct sim *sim, const struct row *row)
{
        bool put = row->operation == ROWS_PUT;

        SIM_CHECK(sim, put || row->operation == ROWS_DELETE, "a row is neither put nor deleted");
        switch (row->table) {
        case PX_TABLE_JOB:
        case PX_TABLE_DONE:
                if (put)
                        judge_job(sim, row->table, row->key, row->value);
                else
                        judge_job_gone(sim, row->table, row->key);
                break;
        case PX_TABLE_ATTEMPT:
                if (put)
                        judge_attempt(sim, row->key, row->value);
                break;
        case PX_TABLE_ANSWER:
                judge_answer(sim, row);
                break;
        case PX_TABLE_KEY:
                judge_key(sim, row);
                break;
        case PX_TABLE_PRINCIPAL:
                judge_principal(sim, row);
                break;
        case PX_TABLE_META:
                judge_meta(sim, row);
                break;
        case PX_TABLE_NODE:
                judge_node(sim, row);
                break;
        case PX_TABLE_SESSION:
                judge_session(sim, row);
                break;
        case PX_TABLE_SHAPE:
                judge_shape(sim, row);
                break;
        default:
                break; /* spec, name, result and owner are compared where they are used */
        }
        if (sim->judge.key_of_job != 0 && rows_job(sim, sim->judge.key_of_job) != NULL) {
                px_map_put(&sim->judge.once, sim->judge.key_hash,
                           rows_job(sim, sim->judge.key_of_job));
                sim->judge.key_of_job = 0;
        }
}

void rows_judge(struct sim *sim, uint64_t index, struct px_slice rows)
{
        size_t offset = 0;
        struct row row;

        sim->judge.index = index;
        sim->judge.touched_count = 0;
        while (rows_next(rows, &offset, &row)) {
                judge_row(sim, &row);
                px_arena_reset(&sim->judge.arena);
        }
        SIM_CHECK(sim, offset == rows.length, "the write-set of batch %llu is malformed", ID(index));
        SIM_CHECK(sim, sim->judge.key_of_job == 0, "a key leads to job %llu, which isn't there",
                  ID(sim->judge.key_of_job));
}

/* After the events of the batch: rows and events say the same of every job (I1, I7). */
void rows_compare(struct sim *sim)
{
        for (size_t i = 0; i < sim->judge.touched_count; i++) {
                const struct row_job *job = rows_job(sim, sim->judge.touched[i]);
                const struct oracle_job *told = oracle_job(sim, job->id);

                sim->about = job->id;
                SIM_CHECK(sim, told != NULL, "job %llu is stored, and no event told of it",
                          ID(job->id));
                SIM_CHECK(sim, job->outcome == 0, "attempt %u of job %llu ended, and its job "
                                                  "doesn't know",
                          job->fence.attempt, ID(job->id));
                SIM_CHECK(sim, job->stored[0] + job->stored[1] == !told->purged,
                          "job %llu stands in %d tables%s", ID(job->id),
                          job->stored[0] + job->stored[1], told->purged ? ", purged" : "");
                if (told->array && !state_ended(job->state) && !state_ended(told->state))
                        continue; /* in and out of line it goes without a word */
                SIM_CHECK(sim, job->state == told->state && job->fence.attempt == told->attempt,
                          "job %llu is stored as %s, attempt %u, and was told as %s, attempt %u",
                          ID(job->id), px_job_state_name(job->state), job->fence.attempt,
                          px_job_state_name(told->state), told->attempt);
        }
        sim->about = 0;
}

static void free_values(struct px_map *map)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(map, &cursor, &key, &value))
                px_free(value);
        px_map_fini(map);
}

void rows_fini(struct sim *sim)
{
        struct judge *judge = &sim->judge;

        free_values(&judge->jobs);
        free_values(&judge->truths);
        free_values(&judge->principals);
        free_values(&judge->counters);
        free_values(&judge->shapes);
        px_map_fini(&judge->once);
        px_arena_fini(&judge->arena);
        px_free(judge->touched);
}
