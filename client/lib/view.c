/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - see lib_view.h. Layer: L4 (client/lib). */
#include "lib_view.h"

#include <stdio.h>

#define TEXT(slice, place) px_slice_to_text((slice), (place), sizeof(place))

static const struct plexus_pair *copy_labels(const struct px_job_view *view, struct px_arena *arena)
{
        struct plexus_pair *labels;

        if (view->labels_count == 0)
                return NULL;
        labels = px_arena_alloc(arena, view->labels_count * sizeof(*labels));
        for (size_t i = 0; i < view->labels_count; i++) {
                labels[i].key = px_arena_text(arena, view->labels[i].key);
                labels[i].value = px_arena_text(arena, view->labels[i].value);
        }
        return labels;
}

static void view_array(const struct px_array *array, struct plexus_job *ret_job)
{
        ret_job->tasks = array->count;
        ret_job->tasks_made = array->made;
        ret_job->tasks_ok = array->ok;
        ret_job->tasks_bad = array->failed + array->timeout + array->lost;
        ret_job->tasks_cancelled = array->cancelled;
        ret_job->progress = (double)(array->ok + ret_job->tasks_bad + array->cancelled) / array->count;
}

void view_job(const struct px_job_view *view, struct px_arena *arena, struct plexus_job *ret_job)
{
        *ret_job = (struct plexus_job){
                .id = view->job.value,
                .state = view->state,
                .labels = copy_labels(view, arena),
                .labels_count = view->labels_count,
                .priority = view->priority,
                .cpus = view->cpus_milli / 1000.0,
                .memory_bytes = view->memory_bytes,
                .attempt = view->attempt,
                .failures = view->failures,
                .retries = view->retries,
                .on_lost_fail = view->on_lost == PX_ON_LOST_FAIL,
                .submitted_ms = view->submitted_wall_ms,
                .started_ms = view->started_wall_ms,
                .ended_ms = view->ended_wall_ms,
                .start_wall_ms = view->start_wall_ms,
                .exit_code = view->exit_code,
                .signal = (int)view->signal,
                .progress = view->progress_permille < 0 ? -1 : view->progress_permille / 1000.0,
                .memory_peak_bytes = view->memory_peak_bytes,
                .cpu_ms = view->cpu_ms,
                .has_result = view->has_result,
                .gpus = view->gpus_milli / 1000.0,
        };
        if (view->array_count > 0)
                view_array(&view->array[0], ret_job);
        snprintf(ret_job->state_name, sizeof(ret_job->state_name), "%s",
                 px_job_state_name(view->state));
        TEXT(view->text, ret_job->reason);
        TEXT(view->name, ret_job->name);
        TEXT(view->owner, ret_job->owner);
        TEXT(view->task_type, ret_job->task_type);
        TEXT(view->queue, ret_job->queue);
        TEXT(view->module, ret_job->module);
        TEXT(view->node, ret_job->node);
        TEXT(view->pinned_node, ret_job->pinned_node);
        TEXT(view->progress_text, ret_job->progress_text);
}

void view_attempt(const struct px_attempt_view *view, struct plexus_attempt *ret_attempt)
{
        *ret_attempt = (struct plexus_attempt){
                .attempt = view->attempt,
                .exit_code = view->exit_code,
                .signal = (int)view->signal,
                .started_ms = view->use.started_wall_ms,
                .ended_ms = view->use.ended_wall_ms,
                .cpu_ms = view->use.cpu_ms,
                .memory_peak_bytes = view->use.memory_peak_bytes,
                .out_bytes = view->use.out_bytes,
                .err_bytes = view->use.err_bytes,
                .out_dropped_bytes = view->use.out_dropped_bytes,
                .err_dropped_bytes = view->use.err_dropped_bytes,
                .log_pending_bytes = view->log_pending_bytes,
        };
        snprintf(ret_attempt->outcome, sizeof(ret_attempt->outcome), "%s",
                 px_outcome_name(view->outcome));
        TEXT(view->node, ret_attempt->node);
        TEXT(view->text, ret_attempt->reason);
}

/* Task types with commas between them, whole names only. */
static void join_types(const struct px_node_view *view, char *ret_text, size_t room)
{
        size_t used = 0;

        ret_text[0] = '\0';
        for (size_t i = 0; i < view->types_count; i++) {
                size_t length = view->types[i].length;

                if (used + length + 2 > room)
                        return;
                if (used > 0)
                        ret_text[used++] = ',';
                memcpy(ret_text + used, view->types[i].data, length);
                used += length;
                ret_text[used] = '\0';
        }
}

/* "zone=a,disk=ssd" and "scratch=2/10", whole items only. */
static void join_labels(const struct px_node_view *view, char *ret_text, size_t room)
{
        struct px_buf words = {0};

        for (size_t i = 0; i < view->labels_count; i++)
                px_buf_format(&words, "%s%.*s=%.*s", i > 0 ? "," : "",
                              (int)view->labels[i].key.length,
                              (const char *)view->labels[i].key.data,
                              (int)view->labels[i].value.length,
                              (const char *)view->labels[i].value.data);
        px_slice_to_text(px_buf_slice(&words), ret_text, room);
        px_buf_fini(&words);
}

static void join_resources(const struct px_node_view *view, char *ret_text, size_t room)
{
        struct px_buf words = {0};

        for (size_t i = 0; i < view->resources_count; i++)
                px_buf_format(&words, "%s%.*s=%llu/%llu", i > 0 ? "," : "",
                              (int)view->resources[i].name.length,
                              (const char *)view->resources[i].name.data,
                              (unsigned long long)(i < view->resources_used_count
                                                           ? view->resources_used[i].amount
                                                           : 0),
                              (unsigned long long)view->resources[i].amount);
        px_slice_to_text(px_buf_slice(&words), ret_text, room);
        px_buf_fini(&words);
}

void view_node(const struct px_node_view *view, struct plexus_node *ret_node)
{
        *ret_node = (struct plexus_node){
                .cpus = view->cpus_milli / 1000.0,
                .cpus_used = view->cpus_used_milli / 1000.0,
                .memory_bytes = view->memory_bytes,
                .memory_used_bytes = view->memory_used_bytes,
                .jobs = view->jobs,
                .seen_ms = view->seen_ms,
                .gpus = view->gpus,
                .gpus_used = view->gpus_used_milli / 1000.0,
                .reserved_for = view->reserved_for.value,
        };
        TEXT(view->name, ret_node->name);
        snprintf(ret_node->kind, sizeof(ret_node->kind), "%s", px_node_kind_name(view->kind));
        snprintf(ret_node->state, sizeof(ret_node->state), "%s", px_node_state_name(view->state));
        TEXT(view->version, ret_node->version);
        TEXT(view->kill_mode, ret_node->kill_mode);
        TEXT(view->enforces, ret_node->enforces);
        TEXT(view->accounts, ret_node->accounts);
        TEXT(view->principal, ret_node->principal);
        join_types(view, ret_node->types, sizeof(ret_node->types));
        join_labels(view, ret_node->labels, sizeof(ret_node->labels));
        join_resources(view, ret_node->resources, sizeof(ret_node->resources));
}

void view_token(const struct px_principal_view *view, struct plexus_token_info *ret_token)
{
        *ret_token = (struct plexus_token_info){
                .id = view->principal.value,
                .created_ms = view->created_wall_ms,
                .expires_ms = view->expires_wall_ms,
                .uses_left = view->uses_left,
                .revoked = view->revoked,
        };
        TEXT(view->name, ret_token->name);
        snprintf(ret_token->role, sizeof(ret_token->role), "%s", px_role_name(view->role));
        if (view->enrol_role != 0)
                snprintf(ret_token->enrol_role, sizeof(ret_token->enrol_role), "%s",
                         px_role_name(view->enrol_role));
}
