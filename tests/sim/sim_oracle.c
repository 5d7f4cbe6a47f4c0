/* SPDX-License-Identifier: Apache-2.0 */
/* sim_oracle.c - what must hold (RELIABILITY 2), judged from what clients saw, what model processes
 * did and what the log committed; it asks the core nothing.
 *
 *   I1  an acknowledged submit is a committed job, then and after every crash, until it is purged
 *   I2  a job is one that a client sent, and no submission becomes two jobs
 *   I3  one accepted end per attempt; attempts count up by one
 *   I4  a job has one attempt at a time that counts; states change along the declared edges
 *   I7  commits are numbered without gaps
 *   I9  an attempt that ended has no living process; at most once means at most once
 * Rows are judged in sim_rows.c (I3, I4, I7 again); sim_whole.c counts the queues anew (I8) and compares
 * digests (I10), as sim_broker.c does at crashes. I5 and I6: there are no dependencies and credits yet. */
#include "sim_inside.h"
#include "spec_read.h"

#define ID(job) ((unsigned long long)(job))

/* ---- records ----------------------------------------------------------------------------------
 */

static void free_values(struct px_map *map)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(map, &cursor, &key, &value))
                px_free(value);
        px_map_fini(map);
}

void oracle_fini(struct sim *sim)
{
        free_values(&sim->oracle.tags);
        free_values(&sim->oracle.jobs);
        px_map_fini(&sim->oracle.started);
        px_free(sim->oracle.job_ids);
        px_free(sim->oracle.events);
}

struct oracle_tag *oracle_tag_new(struct sim *sim, const struct client *client)
{
        struct oracle_tag *tag = px_alloc(sizeof(*tag));

        tag->tag = ++sim->oracle.next_tag;
        tag->client = client->number;
        tag->principal = client->principal;
        px_map_put(&sim->oracle.tags, tag->tag, tag);
        return tag;
}

struct oracle_tag *oracle_tag(struct sim *sim, uint64_t tag)
{
        return px_map_find(&sim->oracle.tags, tag);
}

struct oracle_job *oracle_job(struct sim *sim, uint64_t job)
{
        return px_map_find(&sim->oracle.jobs, job);
}

struct oracle_job *oracle_any(struct sim *sim)
{
        struct oracle *oracle = &sim->oracle;
        size_t recent;

        if (oracle->job_ids_count == 0)
                return NULL;
        /* Mostly a young one: the old ones have ended. */
        recent = sim_below(sim, 4) == 0 ? oracle->job_ids_count
                                        : PX_MIN(oracle->job_ids_count, (size_t)12);
        return oracle_job(sim, oracle->job_ids[oracle->job_ids_count - 1 - sim_below(sim, recent)]);
}

static bool state_ended(int state)
{
        return state >= PX_JOB_STATE_OK;
}

static bool state_on_node(int state)
{
        return state == PX_JOB_STATE_ASSIGNED || state == PX_JOB_STATE_RUNNING ||
               state == PX_JOB_STATE_CANCELLING;
}

/* ---- what the log committed -------------------------------------------------------------------
 */

/* The label "t" of a job is the number of the submission it came from. */
static uint64_t tag_of_job(struct sim *sim, uint64_t job)
{
        struct px_buf value = {0};
        struct px_name_row row;
        uint8_t key[8];
        uint64_t tag = 0;

        px_put_be64(key, job);
        px_arena_reset(&sim->arena);
        if (px_read_get(sim->broker.log, PX_TABLE_NAME, px_slice_of(key, 8), &value) == PX_OK &&
            px_name_row_decode(px_buf_slice(&value), &sim->arena, &row) == PX_WIRE_OK)
                for (size_t i = 0; i < row.labels_count; i++)
                        for (size_t at = 0; at < row.labels[i].value.length; at++)
                                tag = tag * 10 + (uint64_t)(row.labels[i].value.data[at] - '0');
        px_buf_fini(&value);
        return tag;
}

static uint64_t spec_of_job(struct sim *sim, uint64_t job)
{
        struct px_buf stored = {0};
        struct px_buf spec = {0};
        uint64_t hash = 0;

        if (spec_read(sim->broker.log, (struct px_job_id){job}, &stored, &spec) == PX_OK)
                hash = px_hash64(0, spec.data, spec.length);
        px_buf_fini(&stored);
        px_buf_fini(&spec);
        return hash;
}

/* A token that was revoked in an earlier batch, or had expired, submits nothing. */
static void owner_may(struct sim *sim, const struct px_event *event)
{
        const struct row_principal *owner = rows_principal(sim, event->owner.value);

        SIM_CHECK(sim, owner != NULL, "job %llu belongs to nobody", ID(event->job.value));
        SIM_CHECK(sim, owner->revoked_index == 0 || owner->revoked_index >= event->index,
                  "job %llu is submitted with a token that was revoked", ID(event->job.value));
        SIM_CHECK(sim, owner->expires_wall_ms == 0 || event->wall_ms < owner->expires_wall_ms,
                  "job %llu is submitted with a token that had expired", ID(event->job.value));
}

static void job_keep(struct sim *sim, struct oracle_job *job)
{
        struct oracle *oracle = &sim->oracle;

        px_map_put(&oracle->jobs, job->id, job);
        if (oracle->job_ids_count == oracle->job_ids_capacity) {
                oracle->job_ids_capacity = PX_MAX(oracle->job_ids_capacity * 2, (size_t)256);
                oracle->job_ids = px_realloc(oracle->job_ids,
                                             oracle->job_ids_capacity * sizeof(*oracle->job_ids));
        }
        oracle->job_ids[oracle->job_ids_count++] = job->id;
}

static void job_submitted(struct sim *sim, const struct px_event *event)
{
        struct oracle_job *job = px_alloc(sizeof(*job));
        uint64_t number = tag_of_job(sim, event->job.value);
        struct oracle_tag *tag = oracle_tag(sim, number);

        SIM_CHECK(sim, oracle_job(sim, event->job.value) == NULL, "job %llu is submitted twice",
                  ID(event->job.value));
        SIM_CHECK(sim, tag != NULL, "job %llu (submission %llu) was sent by no client",
                  ID(event->job.value), ID(number));
        /* A key of a purged job goes when it is old, then the same submission may become a new job. */
        SIM_CHECK(sim, tag->job == 0 || (tag->repeats > 0 && oracle_job(sim, tag->job)->purged),
                  "submission %llu became jobs %llu and %llu", ID(number), ID(tag->job),
                  ID(event->job.value));
        SIM_CHECK(sim, !tag->refused, "submission %llu was refused, yet is job %llu", ID(number),
                  ID(event->job.value));
        SIM_CHECK(sim, tag->principal == event->owner.value, "job %llu has a foreign owner",
                  ID(event->job.value));
        SIM_CHECK(sim, spec_of_job(sim, event->job.value) == tag->spec,
                  "the specification of job %llu is not the one that was sent",
                  ID(event->job.value));
        owner_may(sim, event);
        tag->job = event->job.value;
        job->id = event->job.value;
        job->tag = number;
        job->principal = tag->principal;
        job->on_lost = tag->on_lost;
        job->state = event->state;
        job->array = tag->array;
        job_keep(sim, job);
}

/* The first word of a task is that it was given to a node. */
static struct oracle_job *task_made(struct sim *sim, const struct px_event *event)
{
        struct oracle_job *head = oracle_job(sim, px_id_job(event->job.value));
        struct oracle_job *task = px_alloc(sizeof(*task));

        SIM_CHECK(sim, head != NULL && head->array && !state_ended(head->state),
                  "task %llu of an array that isn't there", ID(event->job.value));
        SIM_CHECK(sim, event->state == PX_JOB_STATE_ASSIGNED && event->attempt == 1,
                  "task %llu begins with event %u", ID(event->job.value), event->kind);
        task->id = event->job.value;
        task->tag = head->tag;
        task->principal = head->principal;
        task->on_lost = head->on_lost;
        task->state = PX_JOB_STATE_QUEUED;
        job_keep(sim, task);
        return task;
}

static const struct alive_process *process_alive(const struct oracle_job *job, uint32_t attempt)
{
        for (size_t i = 0; i < job->alive_count; i++)
                if (job->alive[i].fence.attempt == attempt)
                        return &job->alive[i];
        return NULL;
}

static bool reason_is_loss(int reason)
{
        return reason == PX_REASON_UNREACHABLE || reason == PX_REASON_NODE_LOST ||
               reason == PX_REASON_NODE_RESTARTED || reason == PX_REASON_KEEPER_DIED ||
               reason == PX_REASON_GAVE_UP;
}

static void job_repeats(struct sim *sim, struct oracle_job *job, const struct px_event *event)
{
        job->losses = reason_is_loss(event->reason) ? job->losses + 1 : 0;
        SIM_CHECK(sim, job->losses < PX_LIMIT_LOST_ATTEMPTS,
                  "job %llu goes on after %u attempts lost in a row", ID(job->id), job->losses);
        SIM_CHECK(sim, job->losses == 0 || job->on_lost == PX_ON_LOST_RERUN,
                  "job %llu may run once, was lost, and goes on", ID(job->id));
}

/* The attempt that counted is over. */
static void attempt_concluded(struct sim *sim, struct oracle_job *job, int to)
{
        SIM_CHECK(sim, job->attempt_ended < job->attempt,
                  "attempt %u of job %llu ends a second time", job->attempt, ID(job->id));
        job->attempt_ended = job->attempt;
        if (to != PX_JOB_STATE_LOST && state_ended(to))
                SIM_CHECK(sim, process_alive(job, job->attempt) == NULL,
                          "job %llu is %s while its attempt %u runs", ID(job->id),
                          px_job_state_name(to), job->attempt);
        if (job->on_lost != PX_ON_LOST_FAIL)
                return;
        for (size_t i = 0; i < job->alive_count; i++)
                SIM_CHECK(sim, job->alive[i].orphan,
                          "job %llu may run once, is %s, and its attempt %u runs", ID(job->id),
                          px_job_state_name(to), job->alive[i].fence.attempt);
}

static void job_moved(struct sim *sim, struct oracle_job *job, const struct px_event *event)
{
        int from = job->state;
        int to = event->state;

        SIM_CHECK(sim, px_job_edge(from, to) || job->array, "job %llu goes from %s to %s",
                  ID(job->id), px_job_state_name(from), px_job_state_name(to));
        if (!job->array)
                sim->stats->edges[from][to]++; /* of arrays sim_rows.c counts them */
        if (to == PX_JOB_STATE_ASSIGNED) {
                SIM_CHECK(sim, event->attempt == job->attempt + 1,
                          "after attempt %u of job %llu comes %u", job->attempt, ID(job->id),
                          event->attempt);
                job->attempt = event->attempt;
        }
        SIM_CHECK(sim, event->attempt == job->attempt, "an event of attempt %u of job %llu, not %u",
                  event->attempt, ID(job->id), job->attempt);
        if (state_on_node(from) && !state_on_node(to))
                attempt_concluded(sim, job, to);
        if (state_ended(to))
                job->ends |= 1u << to;
        job->state = to;
}

static void job_event(struct sim *sim, const struct px_event *event)
{
        struct oracle_job *job;

        if (event->kind == PX_EV_JOB_SUBMITTED) {
                job_submitted(sim, event);
                return;
        }
        job = oracle_job(sim, event->job.value);
        sim->about = event->job.value;
        if (job == NULL && px_id_is_task(event->job.value))
                job = task_made(sim, event);
        SIM_CHECK(sim, job != NULL, "an event of job %llu that was never submitted",
                  ID(event->job.value));
        SIM_CHECK(sim, !job->purged, "an event of job %llu, which was purged", ID(job->id));
        if (event->state != job->state)
                job_moved(sim, job, event);
        if (event->kind == PX_EV_JOB_RETRYING)
                job_repeats(sim, job, event);
        if (event->kind == PX_EV_JOB_PURGED) {
                SIM_CHECK(sim, job->purge_asked, "job %llu is purged though nobody asked",
                          ID(job->id));
                job->purged = true;
        }
}

/* A person removed a node: whatever still runs there is that person's word against ours. */
static void node_removed(struct sim *sim, struct px_slice name)
{
        struct oracle *oracle = &sim->oracle;

        for (size_t i = 0; i < oracle->job_ids_count; i++) {
                struct oracle_job *job = oracle_job(sim, oracle->job_ids[i]);

                for (size_t at = 0; at < job->alive_count; at++)
                        if (px_slice_equal(name,
                                           px_slice_text(sim->hosts[job->alive[at].host - 1].name)))
                                job->alive[at].orphan = true;
        }
}

/* Its event stands behind those of the attempts that are given up with it. */
static void nodes_removed(struct sim *sim, struct px_slice events, uint32_t count)
{
        struct px_arena arena = {0};
        size_t at = 0;

        for (uint32_t i = 0; i < count; i++) {
                struct px_event event;
                uint32_t length = px_get_be32(events.data + at);

                if (px_event_decode(px_slice_of(events.data + at + 4, length), &arena, &event) ==
                            PX_WIRE_OK &&
                    event.kind == PX_EV_NODE_REMOVED)
                        node_removed(sim, event.node);
                at += 4 + length;
        }
        px_arena_fini(&arena);
}

static void event_numbered(struct sim *sim, const struct px_event *event)
{
        struct oracle *oracle = &sim->oracle;

        if (oracle->events_count == oracle->events_capacity) {
                oracle->events_capacity = PX_MAX(oracle->events_capacity * 2, (size_t)256);
                oracle->events = px_realloc(oracle->events,
                                            oracle->events_capacity * sizeof(*oracle->events));
        }
        oracle->events[oracle->events_count++] =
                (struct px_event_number){event->index, event->position};
}

void oracle_events(struct sim *sim, uint64_t index, struct px_slice events, uint32_t count)
{
        struct px_arena arena = {0};
        size_t at = 0;

        SIM_CHECK(sim, index == sim->oracle.index + 1, "after batch %llu comes %llu",
                  ID(sim->oracle.index), ID(index));
        sim->oracle.index = index;
        nodes_removed(sim, events, count);
        for (uint32_t i = 0; i < count; i++) {
                struct px_event event;
                uint32_t length = px_get_be32(events.data + at);
                int result =
                        px_event_decode(px_slice_of(events.data + at + 4, length), &arena, &event);

                SIM_CHECK(sim, result == PX_WIRE_OK, "a malformed event");
                SIM_CHECK(sim, event.index == index && event.position == i,
                          "event %llu:%u is numbered %llu:%u", ID(index), i, ID(event.index),
                          event.position);
                event_numbered(sim, &event);
                at += 4 + length;
                SIM_TRACE_JOB(sim, event.job.value,
                              "event kind %llu: job %llu, attempt %llu, state %llu", event.kind,
                              event.job.value, event.attempt, event.state);
                decision_trace(sim, &event);
                if (event.kind == PX_EV_NODE_LOST)
                        sim_count(sim, MET_NODE_EXPIRED);
                if (event.job.value != 0)
                        job_event(sim, &event);
                px_arena_reset(&arena);
        }
        px_arena_fini(&arena);
        SIM_CHECK(sim, at == events.length, "bytes behind the events of batch %llu", ID(index));
}

/* ---- what clients saw -------------------------------------------------------------------------
 */

void oracle_acked(struct sim *sim, uint64_t number, uint64_t id)
{
        struct oracle_tag *tag = oracle_tag(sim, number);
        const struct oracle_job *job = oracle_job(sim, id);

        SIM_CHECK(sim, job != NULL,
                  "submission %llu was acknowledged as job %llu before that was "
                  "durable",
                  ID(number), ID(id));
        SIM_CHECK(sim, job->tag == number,
                  "submission %llu was acknowledged as job %llu, which came from %llu", ID(number),
                  ID(id), ID(job->tag));
        tag->acked = true;
}

void oracle_refused(struct sim *sim, uint64_t number)
{
        struct oracle_tag *tag = oracle_tag(sim, number);

        if (tag->repeats > 0)
                return; /* sent twice on purpose: the other one may be accepted */
        SIM_CHECK(sim, tag->job == 0, "submission %llu was refused, yet is job %llu", ID(number),
                  ID(tag->job));
        tag->refused = true;
}

void oracle_end_seen(struct sim *sim, const struct px_end *end)
{
        struct oracle_job *job = oracle_job(sim, end->job.value);

        SIM_CHECK(sim, job != NULL, "END of an unknown job %llu", ID(end->job.value));
        if (end->code != 0) {
                SIM_CHECK(sim, end->code == PX_E_ABSENT, "END with code %u", end->code);
                return;
        }
        SIM_CHECK(sim, state_ended(end->state) && (job->ends & 1u << end->state) != 0,
                  "END says that job %llu is %s, which is not durable", ID(job->id),
                  px_job_state_name(end->state));
        if (end->state == PX_JOB_STATE_OK)
                SIM_CHECK(sim, end->result.length == oracle_tag(sim, job->tag)->result_bytes,
                          "END of job %llu has a result of %zu bytes, not %u", ID(job->id),
                          end->result.length, oracle_tag(sim, job->tag)->result_bytes);
        if (end->state == job->state)
                job->end_seen = true;
}

/* ---- what processes did -----------------------------------------------------------------------
 */

static uint64_t fence_key(struct px_job_id job, struct px_fence fence)
{
        uint64_t parts[3] = {job.value, fence.epoch, fence.attempt};

        return px_hash64(2, parts, sizeof(parts));
}

bool oracle_entered(struct sim *sim, struct px_job_id job, struct px_fence fence)
{
        if (px_map_find(&sim->oracle.started, fence_key(job, fence)) != NULL)
                return true;
        for (size_t i = 0; i < sim->hosts_count; i++)
                if (spool_find(&sim->hosts[i], job, fence) != NULL)
                        return true;
        return false;
}

/* A job that may run once runs again only if a person asked, or its retries cover a known end. */
static void started_once(struct sim *sim, struct oracle_job *job, const struct entry *entry)
{
        for (size_t i = 0; i < job->alive_count; i++)
                SIM_CHECK(sim, job->alive[i].orphan,
                          "job %llu may run once: attempts %u and %u run together", ID(job->id),
                          job->alive[i].fence.attempt, entry->fence.attempt);
        if (!job->ran_to_no_result)
                return;
        SIM_CHECK(sim, job->retries_asked > 0,
                  "job %llu may run once, ran, and attempt %u begins unasked", ID(job->id),
                  entry->fence.attempt);
        job->ran_to_no_result = false;
}

void oracle_started(struct sim *sim, const struct entry *entry)
{
        struct oracle_job *job = oracle_job(sim, entry->job.value);
        uint64_t key = fence_key(entry->job, entry->fence);

        sim->about = entry->job.value;
        SIM_CHECK(sim, job != NULL, "a process of job %llu, which isn't durable",
                  ID(entry->job.value));
        SIM_CHECK(sim, entry->fence.attempt <= job->attempt,
                  "a process of attempt %u of job %llu before that was durable",
                  entry->fence.attempt, ID(job->id));
        SIM_CHECK(sim, px_map_find(&sim->oracle.started, key) == NULL,
                  "attempt %u of job %llu starts a second time", entry->fence.attempt, ID(job->id));
        px_map_put(&sim->oracle.started, key, job);
        if (job->on_lost == PX_ON_LOST_FAIL)
                started_once(sim, job, entry);
        for (size_t i = 0; i < job->alive_count; i++)
                SIM_CHECK(sim, job->alive[i].host != entry->host || job->alive[i].orphan,
                          "n%u runs attempts %u and %u of job %llu together", entry->host,
                          job->alive[i].fence.attempt, entry->fence.attempt, ID(job->id));
        SIM_CHECK(sim, job->alive_count < ALIVE_MAX, "%d processes of job %llu", ALIVE_MAX,
                  ID(job->id));
        job->alive[job->alive_count++] =
                (struct alive_process){.fence = entry->fence, .host = entry->host};
        sim->oracle.alive_count++;
}

void oracle_ended(struct sim *sim, const struct entry *entry, int outcome)
{
        struct oracle_job *job = oracle_job(sim, entry->job.value);

        PX_ASSERT(job != NULL);
        for (size_t i = 0; i < job->alive_count; i++) {
                if (!px_fence_equal(job->alive[i].fence, entry->fence))
                        continue;
                job->alive[i] = job->alive[--job->alive_count];
                sim->oracle.alive_count--;
                if (outcome != PX_OUTCOME_FAILED && outcome != PX_OUTCOME_TIMEOUT)
                        job->ran_to_no_result = true;
                return;
        }
        sim_broken(sim, "a process ends that never began");
}

void oracle_orphaned(struct sim *sim, const struct entry *entry)
{
        struct oracle_job *job = oracle_job(sim, entry->job.value);

        for (size_t i = 0; i < job->alive_count; i++)
                if (px_fence_equal(job->alive[i].fence, entry->fence))
                        job->alive[i].orphan = true;
}

/* What its log still lacks went with the machine. */
void oracle_spool_lost(struct sim *sim, const struct entry *entry)
{
        struct egress_log *log = egress_find(sim, entry->job, entry->fence);

        if (log != NULL)
                log->lost = true;
}

void oracle_assigned(struct sim *sim, const struct px_assign *assign)
{
        const struct oracle_job *job = oracle_job(sim, assign->job.value);

        SIM_CHECK(sim, job != NULL && assign->fence.attempt <= job->attempt,
                  "attempt %u of job %llu is given out before that is durable",
                  assign->fence.attempt, ID(assign->job.value));
}

/* ---- after a start, and at the end ------------------------------------------------------------
 */

/* A job that uses a file is known by it, so that the file stays. Returns 1 if it does. */
static size_t stored_blob_use(struct sim *sim, const struct px_job_row *row, uint64_t job)
{
        struct row_key key = row_key_u32(row->owner.value);
        struct px_buf value = {0};

        if (row->blob.length == 0)
                return 0;
        row_key_add_bytes(&key, row->blob);
        row_key_add_u64(&key, job);
        SIM_CHECK(sim, px_read_get(sim->broker.log, PX_TABLE_BLOB_USE, row_key_slice(&key), &value) ==
                               PX_OK,
                  "nothing keeps the file of job %llu", ID(job));
        px_buf_fini(&value);
        return 1;
}

static bool count_environment(void *context, struct px_slice key, struct px_slice value)
{
        struct px_arena arena = {0};
        struct px_environment_row row = {0};

        (void)key;
        PX_ASSERT(px_environment_row_decode(value, &arena, &row) == PX_WIRE_OK && row.jobs > 0);
        *(size_t *)context += row.jobs;
        px_arena_fini(&arena);
        return true;
}

static bool count_row(void *context, struct px_slice key, struct px_slice value)
{
        (void)key;
        (void)value;
        ++*(size_t *)context;
        return true;
}

static int stored_state(struct sim *sim, uint8_t table, uint64_t job, size_t *blobs,
                        size_t *progress, size_t *sharers)
{
        struct px_buf value = {0};
        struct px_job_row row;
        uint8_t key[8];
        int state = 0;

        px_put_be64(key, job);
        px_arena_reset(&sim->arena);
        if (px_read_get(sim->broker.log, table, px_slice_of(key, 8), &value) == PX_OK) {
                int result = px_job_row_decode(px_buf_slice(&value), &sim->arena, &row);

                SIM_CHECK(sim, result == PX_WIRE_OK, "the row of job %llu is malformed", ID(job));
                state = row.state;
                *blobs += stored_blob_use(sim, &row, job);
                *sharers += (row.flags & JOB_HAS_ENVIRONMENT) != 0;
                *progress += (row.flags & JOB_HAS_PROGRESS) != 0;
        }
        px_buf_fini(&value);
        return state;
}

void oracle_loaded(struct sim *sim)
{
        struct oracle *oracle = &sim->oracle;
        size_t blobs = 0, uses = 0, progress = 0, kept = 0, sharers = 0, counted = 0;

        for (size_t i = 0; i < oracle->job_ids_count; i++) {
                const struct oracle_job *job = oracle_job(sim, oracle->job_ids[i]);
                int active = stored_state(sim, PX_TABLE_JOB, job->id, &blobs, &progress, &sharers);
                int done = stored_state(sim, PX_TABLE_DONE, job->id, &blobs, &progress, &sharers);

                SIM_CHECK(sim, active == 0 || done == 0, "job %llu is active and ended",
                          ID(job->id));
                if (job->array && active != 0 && !state_ended(job->state))
                        continue; /* in and out of line without a word: see rows_compare() */
                SIM_CHECK(sim, active + done == (job->purged ? 0 : job->state),
                          "job %llu is stored as %s, was committed as %s%s", ID(job->id),
                          px_job_state_name(active + done), px_job_state_name(job->state),
                          job->purged ? " and purged" : "");
        }
        px_read_each(sim->broker.log, PX_TABLE_BLOB_USE, PX_SLICE_NONE, count_row, &uses, NULL);
        px_read_each(sim->broker.log, PX_TABLE_PROGRESS, PX_SLICE_NONE, count_row, &kept, NULL);
        px_read_each(sim->broker.log, PX_TABLE_ENVIRONMENT, PX_SLICE_NONE, count_environment,
                     &counted, NULL);
        SIM_CHECK(sim, counted == sharers, "environments count %zu jobs, %zu share one", counted,
                  sharers);
        SIM_CHECK(sim, kept == progress, "progress of %zu jobs is kept, %zu have some", kept,
                  progress);
        SIM_CHECK(sim, uses == blobs, "%zu files are kept for %zu jobs", uses, blobs);
}

static bool host_quiet(struct sim *sim, const struct host *host)
{
        if (!host->link_up)
                px_buf_format(&sim->why, "n%u has no link", host->number);
        else if (!node_connected(host->node))
                px_buf_format(&sim->why, "n%u is not connected", host->number);
        else if (!px_list_empty(&host->entries))
                px_buf_format(
                        &sim->why, "n%u keeps job %llu", host->number,
                        ID(PX_CONTAINER_OF(host->entries.next, struct entry, link)->job.value));
        return sim->why.length == 0;
}

static bool job_quiet(struct sim *sim, const struct oracle_job *job)
{
        if (job->purged)
                return true;
        sim->about = job->id;
        if (!state_ended(job->state))
                px_buf_format(&sim->why, "job %llu is %s", ID(job->id),
                              px_job_state_name(job->state));
        else if (!job->end_seen)
                px_buf_format(&sim->why, "nobody saw the END of job %llu", ID(job->id));
        return sim->why.length == 0;
}

const char *oracle_unquiet(struct sim *sim)
{
        struct oracle *oracle = &sim->oracle;

        px_buf_reset(&sim->why);
        for (size_t i = 0; i < oracle->job_ids_count; i++)
                if (!job_quiet(sim, oracle_job(sim, oracle->job_ids[i])))
                        break;
        for (size_t i = 0; i < sim->hosts_count && sim->why.length == 0; i++)
                host_quiet(sim, &sim->hosts[i]);
        for (size_t i = 0; i < sim->clients_count && sim->why.length == 0; i++)
                if (!sim->clients[i].up || px_outbox_count(sim->clients[i].outbox) > 0)
                        px_buf_format(&sim->why, "client %zu waits for an answer", i);
        if (sim->why.length == 0)
                sim->about = 0;
        if (sim->why.length == 0 && sim->oracle.alive_count > 0)
                px_buf_append_text(&sim->why, "a process is alive");
        if (sim->why.length == 0)
                return NULL;
        px_buf_append(&sim->why, "", 1);
        return (const char *)sim->why.data;
}

/* Every byte that a finished log announced is stored, unless its job was purged. */
static void final_logs(struct sim *sim)
{
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&sim->broker.logs, &cursor, &key, &value)) {
                const struct egress_log *log = value;

                if (!log->final || log->purged || log->lost)
                        continue;
                for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++)
                        SIM_CHECK(sim, log->stored[stream] == log->length[stream],
                                  "of the log of job %llu %llu bytes of %llu are stored",
                                  ID(log->job.value), ID(log->stored[stream]),
                                  ID(log->length[stream]));
        }
}

void oracle_final(struct sim *sim)
{
        struct oracle *oracle = &sim->oracle;
        size_t cursor = 0;
        uint64_t key;
        void *value;

        while (px_map_next(&oracle->tags, &cursor, &key, &value)) {
                const struct oracle_tag *tag = value;

                SIM_CHECK(sim, !tag->acked || oracle_job(sim, tag->job) != NULL,
                          "submission %llu was acknowledged and is lost", ID(tag->tag));
        }
        final_logs(sim);
        core_check(sim->broker.core);
}
