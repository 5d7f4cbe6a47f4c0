/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - the node: making it, the attempts it holds, one step, its timers and invariants.
 * Layer: L2 (node/core). */
#include "node_inside.h"

/* ---- attempts ---------------------------------------------------------------------------------
 */

static bool attempt_before(const struct px_heap_item *a, const struct px_heap_item *b)
{
        const struct attempt *left = PX_CONTAINER_OF(a, struct attempt, due);
        const struct attempt *right = PX_CONTAINER_OF(b, struct attempt, due);

        if (left->due_ms != right->due_ms)
                return left->due_ms < right->due_ms;
        if (left->job.value != right->job.value)
                return left->job.value < right->job.value;
        return px_fence_older(left->fence, right->fence);
}

struct attempt *attempt_of_link(struct px_link *link)
{
        return PX_CONTAINER_OF(link, struct attempt, link);
}

bool phase_in_inventory(enum phase phase)
{
        return phase == PHASE_ACCEPTED || phase == PHASE_STARTING || phase == PHASE_RUNNING ||
               phase == PHASE_ENDED;
}

bool phase_alive(enum phase phase)
{
        return phase == PHASE_STARTING || phase == PHASE_RUNNING;
}

struct attempt *attempt_newest(const struct node *node, struct px_job_id job)
{
        return px_map_find(&node->by_job, job.value);
}

struct attempt *attempt_find(const struct node *node, struct px_job_id job, struct px_fence fence)
{
        struct attempt *attempt = attempt_newest(node, job);

        while (attempt != NULL && !px_fence_equal(attempt->fence, fence))
                attempt = attempt->next;
        return attempt;
}

/* Into the chain of its job, newest first. */
static void attempt_chain(struct node *node, struct attempt *attempt)
{
        struct attempt *newer = attempt_newest(node, attempt->job);

        if (newer == NULL || px_fence_older(newer->fence, attempt->fence)) {
                attempt->next = newer;
                px_map_put(&node->by_job, attempt->job.value, attempt);
                return;
        }
        while (newer->next != NULL && px_fence_older(attempt->fence, newer->next->fence))
                newer = newer->next;
        attempt->next = newer->next;
        newer->next = attempt;
}

static void attempt_unchain(struct node *node, struct attempt *attempt)
{
        struct attempt *newer = attempt_newest(node, attempt->job);

        if (newer != attempt) {
                while (newer->next != attempt)
                        newer = newer->next;
                newer->next = attempt->next;
        } else if (attempt->next != NULL) {
                px_map_put(&node->by_job, attempt->job.value, attempt->next);
        } else {
                px_map_take(&node->by_job, attempt->job.value);
        }
}

struct attempt *attempt_new(struct node *node, struct px_job_id job, struct px_fence fence)
{
        struct attempt *attempt = px_alloc(sizeof(*attempt));

        PX_ASSERT(attempt_find(node, job, fence) == NULL);
        attempt->job = job;
        attempt->fence = fence;
        attempt->phase = PHASE_ENTERING;
        attempt->due_ms = NODE_NEVER;
        for (size_t i = 0; i < TIMER_COUNT; i++)
                attempt->at_ms[i] = NODE_NEVER;
        attempt->progress_permille = -1;
        log_init(attempt);
        px_list_append(&node->attempts, &attempt->link);
        px_heap_push(&node->due, &attempt->due);
        attempt_chain(node, attempt);
        node->attempts_count++;
        return attempt;
}

void attempt_free(struct node *node, struct attempt *attempt)
{
        attempt_set_phase(node, attempt, PHASE_ABANDONED);
        log_forget(node, attempt);
        attempt_unchain(node, attempt);
        px_heap_remove(&node->due, &attempt->due);
        px_list_remove(&attempt->link);
        PX_ASSERT(node->attempts_count > 0);
        node->attempts_count--;
        px_buf_fini(&attempt->progress_text);
        px_buf_fini(&attempt->result_bytes);
        px_free(attempt);
}

/* The only way to another phase: keeps the counts. */
void attempt_set_phase(struct node *node, struct attempt *attempt, enum phase phase)
{
        if (phase_in_inventory(attempt->phase))
                node->inventory_count--;
        if (phase_alive(attempt->phase))
                node->running_count--;
        attempt->phase = phase;
        if (phase_in_inventory(phase))
                node->inventory_count++;
        if (phase_alive(phase))
                node->running_count++;
}

void attempt_timer(struct node *node, struct attempt *attempt, enum attempt_timer timer,
                   int64_t at_ms)
{
        int64_t due_ms = NODE_NEVER;

        attempt->at_ms[timer] = at_ms;
        for (size_t i = 0; i < TIMER_COUNT; i++)
                due_ms = PX_MIN(due_ms, attempt->at_ms[i]);
        if (due_ms == attempt->due_ms)
                return;
        attempt->due_ms = due_ms;
        px_heap_update(&node->due, &attempt->due);
}

/* ---- the node ---------------------------------------------------------------------------------
 */

static void node_copy_id(uint8_t *ret_id, struct px_slice id)
{
        PX_ASSERT(id.length == NODE_ID_BYTES);
        memcpy(ret_id, id.data, NODE_ID_BYTES);
}

static struct px_slice node_copy_slice(struct px_slice slice)
{
        uint8_t *copy;

        if (slice.length == 0)
                return PX_SLICE_NONE;
        copy = px_alloc(slice.length);
        memcpy(copy, slice.data, slice.length);
        return px_slice_of(copy, slice.length);
}

/* Own what the options point to. */
static void node_take_options(struct node *node, const struct node_options *options)
{
        struct node_options *own = &node->options;
        struct px_slice *types = NULL;

        *own = *options;
        own->name = px_strdup(options->name);
        own->version = px_strdup(options->version);
        own->kill_mode = px_strdup(options->kill_mode);
        own->enforces = px_strdup(options->enforces);
        own->accounts = px_strdup(options->accounts);
        if (options->types_count > 0)
                types = px_alloc(options->types_count * sizeof(*types));
        for (size_t i = 0; i < options->types_count; i++)
                types[i] = node_copy_slice(options->types[i]);
        own->types = types;
        if (own->kind == 0)
                own->kind = PX_NODE_KIND_NODE;
        node_copy_id(node->boot, options->boot);
        node_copy_id(node->spool, options->spool);
        own->boot = px_slice_of(node->boot, NODE_ID_BYTES);
        own->spool = px_slice_of(node->spool, NODE_ID_BYTES);
        if (options->cluster.length > 0) {
                node_copy_id(node->cluster, options->cluster);
                own->cluster = px_slice_of(node->cluster, NODE_ID_BYTES);
        }
}

struct node *node_new(const struct node_options *options, int64_t now_ms)
{
        struct node *node = px_alloc(sizeof(*node));

        PX_ASSERT(now_ms > 0);
        PX_ASSERT(options->log_credit_bytes > 0);
        PX_ASSERT(options->types_count <= PX_LIMIT_WORKER_TYPES);
        node_take_options(node, options);
        node->now_ms = now_ms;
        node->epoch = options->epoch_seen;
        node->leave_by_ms = NODE_NEVER;
        node->heartbeat_ms = NODE_HEARTBEAT_FIRST_MS;
        node->lease_ms = NODE_HEARTBEAT_FIRST_MS * 7;
        node->gone = px_alloc(NODE_GONE_KEPT * sizeof(*node->gone));
        px_list_init(&node->attempts);
        px_list_init(&node->ready);
        px_heap_init(&node->due, attempt_before);
        px_greeter_init(&node->ctl, now_ms, NODE_BACKOFF_MAX_MS, options->seed);
        px_greeter_init(&node->data, now_ms, NODE_BACKOFF_MAX_MS, ~options->seed);
        return node;
}

static void node_free_options(struct node_options *options)
{
        px_free((char *)options->name);
        px_free((char *)options->version);
        px_free((char *)options->kill_mode);
        px_free((char *)options->enforces);
        px_free((char *)options->accounts);
        for (size_t i = 0; i < options->types_count; i++)
                px_free((uint8_t *)options->types[i].data);
        px_free((struct px_slice *)options->types);
}

void node_free(struct node *node)
{
        if (node == NULL)
                return;
        while (!px_list_empty(&node->attempts))
                attempt_free(node, attempt_of_link(node->attempts.next));
        px_map_fini(&node->by_job);
        px_map_fini(&node->gone_by_job);
        px_heap_fini(&node->due);
        px_free(node->gone);
        px_buf_fini(&node->frame);
        px_buf_fini(&node->accepts);
        px_buf_fini(&node->starteds);
        px_buf_fini(&node->results);
        px_buf_fini(&node->progresses);
        node_free_options(&node->options);
        px_free(node);
}

void node_adopt(struct node *node, const struct node_found *found)
{
        struct attempt *attempt = attempt_new(node, found->job, found->fence);

        PX_ASSERT(node->hello_number == 0);
        attempt->cpus_milli = found->cpus_milli;
        attempt->memory_bytes = found->memory_bytes;
        attempt->on_lost = found->on_lost;
        attempt->lost_after_ms = found->lost_after_ms;
        attempt->started_wall_ms = found->started_wall_ms;
        for (int stream = PX_STREAM_OUT; stream < PX_STREAM_COUNT; stream++) {
                PX_ASSERT(found->stored[stream] <= found->length[stream]);
                attempt->log[stream].stored = found->stored[stream];
                attempt->log[stream].received = found->stored[stream];
                attempt->log[stream].shipped = found->stored[stream];
                log_grew(node, attempt, stream, found->length[stream]);
        }
        if (found->ended != NULL)
                result_set(node, attempt, found->ended);
        else
                attempt_set_phase(node, attempt, found->running ? PHASE_RUNNING : PHASE_ABANDONED);
}

/* ---- one step ---------------------------------------------------------------------------------
 */

static void step_about_attempt(struct node *node, const struct node_input *input)
{
        struct attempt *attempt = attempt_find(node, input->job, input->fence);

        if (attempt == NULL)
                return; /* ended or was given up while the link was at it */
        switch (input->kind) {
        case NODE_IN_ENTERED:
                assign_entered(node, attempt);
                break;
        case NODE_IN_STARTED:
                assign_started(node, attempt, input->wall_ms);
                break;
        case NODE_IN_REFUSED:
                assign_refused(node, attempt, input->code, input->text);
                break;
        case NODE_IN_GREW:
                log_grew(node, attempt, input->stream, input->length);
                break;
        case NODE_IN_PROGRESS:
                progress_take(node, attempt, input->permille, input->text, input->wall_ms);
                break;
        case NODE_IN_ENDED:
                if (attempt->phase < PHASE_ENDED)
                        result_set(node, attempt, input->result);
                break;
        default:
                PX_UNREACHABLE();
        }
}

static void step_input(struct node *node, const struct node_input *input)
{
        switch (input->kind) {
        case NODE_IN_TIME:
                if (input->load_milli != 0 || input->memory_free_bytes != 0) {
                        node->load_milli = input->load_milli;
                        node->memory_free_bytes = input->memory_free_bytes;
                }
                break;
        case NODE_IN_CTL:
                session_take_ctl(node, input->frame);
                break;
        case NODE_IN_DATA:
                session_take_data(node, input->frame);
                break;
        case NODE_IN_SHUTDOWN:
                leave_begin(node, input->kill ? LEAVING_KILL : LEAVING_NOW);
                break;
        default:
                step_about_attempt(node, input);
        }
}

static void step_timers(struct node *node)
{
        struct px_heap_item *first;

        while ((first = px_heap_first(&node->due)) != NULL) {
                struct attempt *attempt = PX_CONTAINER_OF(first, struct attempt, due);

                if (attempt->due_ms > node->now_ms)
                        return;
                if (attempt->at_ms[TIMER_ACCEPT] <= node->now_ms)
                        assign_accept_fired(node, attempt);
                if (attempt->at_ms[TIMER_RESULT] <= node->now_ms)
                        result_fired(node, attempt);
                if (attempt->at_ms[TIMER_FINAL] <= node->now_ms)
                        log_final_fired(node, attempt);
                if (attempt->at_ms[TIMER_RESHIP] <= node->now_ms)
                        log_reship_fired(node, attempt);
                if (attempt->at_ms[TIMER_PROGRESS] <= node->now_ms)
                        progress_fired(node, attempt);
        }
}

/* Directories found in the spool of attempts that never ran: see node_adopt(). */
static void step_remove_found(struct node *node)
{
        struct px_link *link = node->attempts.next;

        while (link != &node->attempts) {
                struct attempt *attempt = attempt_of_link(link);

                link = link->next;
                if (attempt->phase != PHASE_ABANDONED)
                        continue;
                out_attempt(node, NODE_EFFECT_REMOVE, attempt);
                attempt_free(node, attempt);
        }
}

void node_step(struct node *node, int64_t now_ms, const struct node_input *input,
               struct node_effects *effects)
{
        PX_ASSERT(now_ms >= node->now_ms);
        node->now_ms = now_ms;
        node->effects = effects;
        effects->count = 0;
        px_arena_reset(&effects->arena);
        if (node->leaving == LEAVING_LEFT)
                return;
        if (node->hello_number == 0)
                step_remove_found(node);
        step_input(node, input);
        session_step(node);
        step_timers(node);
        log_ship(node);
        step_timers(node); /* what is all shipped may be asked for */
        out_flush(node);
        leave_step(node);
        node->effects = NULL;
}

int64_t node_deadline_ms(const struct node *node)
{
        int64_t deadline_ms = px_greeter_deadline_ms(&node->ctl);
        const struct px_heap_item *first = px_heap_first(&node->due);

        if (node->leaving == LEAVING_LEFT)
                return NODE_NEVER;
        if (node->session != 0)
                deadline_ms = PX_MIN(deadline_ms, px_greeter_deadline_ms(&node->data));
        if (first != NULL)
                deadline_ms =
                        PX_MIN(deadline_ms, PX_CONTAINER_OF(first, struct attempt, due)->due_ms);
        return PX_MIN(deadline_ms, node->leave_by_ms);
}

size_t node_attempts_count(const struct node *node)
{
        return node->inventory_count;
}

bool node_connected(const struct node *node)
{
        return node->session != 0;
}

/* ---- invariants -------------------------------------------------------------------------------
 */

static uint64_t check_stream(const struct attempt *attempt, const struct log_stream *log)
{
        PX_ASSERT(log->attempt == attempt);
        PX_ASSERT(log->stored <= log->received);
        PX_ASSERT(log->received <= log->shipped);
        PX_ASSERT(log->shipped <= log->length);
        PX_ASSERT(px_list_linked(&log->ready) == log_wanted(log));
        return log->shipped - log->received;
}

static void check_chain(const struct node *node, const struct attempt *attempt)
{
        PX_ASSERT(attempt_find(node, attempt->job, attempt->fence) == attempt);
        if (attempt->next != NULL) {
                PX_ASSERT(attempt->next->job.value == attempt->job.value);
                PX_ASSERT(px_fence_older(attempt->next->fence, attempt->fence));
        }
}

void node_check(const struct node *node)
{
        size_t count = 0;
        size_t inventory_count = 0;
        size_t running_count = 0;
        uint64_t in_flight_bytes = 0;

        PX_LIST_EACH(&node->attempts, link)
        {
                const struct attempt *attempt = attempt_of_link(link);

                count++;
                inventory_count += phase_in_inventory(attempt->phase);
                running_count += phase_alive(attempt->phase);
                in_flight_bytes += check_stream(attempt, &attempt->log[PX_STREAM_OUT]);
                in_flight_bytes += check_stream(attempt, &attempt->log[PX_STREAM_ERR]);
                check_chain(node, attempt);
                /* An ended attempt in a session is said, or will be. */
                if (attempt->phase == PHASE_ENDED)
                        PX_ASSERT((attempt->at_ms[TIMER_RESULT] != NODE_NEVER) ==
                                  (node->session != 0));
        }
        PX_ASSERT(count == node->attempts_count);
        PX_ASSERT(count == node->due.count);
        PX_ASSERT(inventory_count == node->inventory_count);
        PX_ASSERT(running_count == node->running_count);
        PX_ASSERT(in_flight_bytes == node->in_flight_bytes);
        PX_ASSERT(node->gone_by_job.count <= NODE_GONE_KEPT);
}
