/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - limits of users, queues, modules and resources; reasons of many jobs; dry runs.
 * Layer: L4 (client/lib). */
#include "lib_request.h"
#include "lib_spec.h"

#include <stdio.h>

#define TEXT(slice, place) px_slice_to_text((slice), (place), sizeof(place))

/* One question whose answer is decoded by the caller into the arena. */
static int ask(struct plexus *px, uint16_t expect, bool recorded, struct px_buf *frame,
               struct request *ret_request)
{
        *ret_request = (struct request){.expect = expect};
        return request_call(px, ret_request, recorded, px_buf_slice(frame), 0);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static int kind_of(const char *text, int *ret_kind)
{
        for (int kind = PX_GATE_KIND_USER; kind <= PX_GATE_KIND_RESOURCE; kind++) {
                *ret_kind = kind;
                if (px_slice_equal(px_slice_text(px_gate_kind_name(kind)), px_slice_text(text)))
                        return PX_OK;
        }
        return detail_refuse(PX_E_INVALID, "\"%.60s\" is not user, queue, module or resource", text);
}

static int gate_set(struct plexus *px, struct px_m_gate_set *set, const char *kind,
                    const char *name)
{
        struct px_buf frame = {0};
        struct request request = {0};
        int code = kind_of(kind, &set->gate.kind);

        set->gate.name = px_slice_text(name);
        if (code == PX_OK && (set->gate.name.length > PX_LIMIT_RESOURCE_BYTES ||
                              !px_slice_is_text(set->gate.name)))
                code = detail_refuse(PX_E_INVALID, "this is no name of a %s", kind);
        if (code != PX_OK)
                return code;
        px_m_gate_set_frame(set, 0, 0, &frame);
        code = ask(px, PX_M_GATE_IS, true, &frame, &request);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

int plexus_limit_set(struct plexus *px, const struct plexus_limit *limit, uint32_t what)
{
        struct px_m_gate_set set = {
                .what = what,
                .gate = {.running_max = limit->running_max,
                         .queued_max = limit->queued_max,
                         .rate_count = limit->rate_count,
                         .rate_ms = limit->rate_ms,
                         .paused = limit->paused,
                         .weight = limit->weight,
                         .priority_max = limit->priority_max,
                         .capacity = limit->capacity},
        };

        return gate_set(px, &set, limit->kind, limit->name);
}

int plexus_limit_remove(struct plexus *px, const char *kind, const char *name)
{
        struct px_m_gate_set set = {.remove = true};

        return gate_set(px, &set, kind, name);
}

static void view_limit(const struct px_gate_view *view, struct plexus_limit *ret_limit)
{
        *ret_limit = (struct plexus_limit){
                .running_max = view->gate.running_max,
                .queued_max = view->gate.queued_max,
                .rate_count = view->gate.rate_count,
                .rate_ms = view->gate.rate_ms,
                .paused = view->gate.paused,
                .weight = PX_MAX(view->gate.weight, 1u),
                .priority_max = view->gate.priority_max,
                .capacity = view->gate.capacity,
                .running = view->running,
                .queued = view->queued,
                .used = view->used,
                .usage = view->usage_permille / 1000.0,
        };
        snprintf(ret_limit->kind, sizeof(ret_limit->kind), "%s", px_gate_kind_name(view->gate.kind));
        TEXT(view->gate.name, ret_limit->name);
        for (size_t i = 0; i < view->holders_count && i < PX_COUNT_OF(ret_limit->holders); i++)
                ret_limit->holders[ret_limit->holders_count++] = view->holders[i].value;
}

static int take_limits(struct px_slice body, struct plexus_limit **ret_limits, size_t *ret_count)
{
        struct px_m_gate_list list;
        struct px_arena arena = {0};

        if (px_m_gate_list_decode(body, &arena, &list) != PX_WIRE_OK) {
                px_arena_fini(&arena);
                return request_malformed("GATE_LIST");
        }
        *ret_limits = px_alloc((list.gates_count + 1) * sizeof(**ret_limits));
        *ret_count = list.gates_count;
        for (size_t i = 0; i < list.gates_count; i++)
                view_limit(&list.gates[i], &(*ret_limits)[i]);
        px_arena_fini(&arena);
        return PX_OK;
}

int plexus_limits(struct plexus *px, const char *kind, struct plexus_limit **ret_limits,
                  size_t *ret_count)
{
        struct px_m_gates query = {0};
        struct px_buf frame = {0};
        struct request request = {0};
        int code = kind == NULL ? PX_OK : kind_of(kind, &query.kind);

        if (code != PX_OK)
                return code;
        px_m_gates_frame(&query, 0, 0, &frame);
        code = ask(px, PX_M_GATE_LIST, false, &frame, &request);
        if (code == PX_OK)
                code = take_limits(px_buf_slice(&request.body), ret_limits, ret_count);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

void plexus_limits_free(struct plexus_limit *limits)
{
        px_free(limits);
}

/* ---- reasons ---------------------------------------------------------------------------------------------- */

static char **copy_waits(const struct px_waits *waits, size_t count)
{
        char **lines = px_alloc((count + 1) * sizeof(*lines));

        for (size_t i = 0; i < count; i++) {
                lines[i] = px_alloc(waits[i].text.length + 1);
                px_slice_to_text(waits[i].text, lines[i], waits[i].text.length + 1);
        }
        return lines;
}

static int take_reasons(struct px_slice body, size_t count, char ***ret_reasons)
{
        struct px_m_reasons_are are;
        struct px_arena arena = {0};
        struct px_waits *waits;

        if (px_m_reasons_are_decode(body, &arena, &are) != PX_WIRE_OK || are.waits_count > count) {
                px_arena_fini(&arena);
                return request_malformed("REASONS_ARE");
        }
        /* The broker may cut a long answer: of the rest nothing is said. */
        waits = px_arena_alloc(&arena, (count + 1) * sizeof(*waits));
        for (size_t i = 0; i < are.waits_count; i++)
                waits[i] = are.waits[i];
        *ret_reasons = copy_waits(waits, count);
        px_arena_fini(&arena);
        return PX_OK;
}

int plexus_reasons(struct plexus *px, const uint64_t *jobs, size_t count, char ***ret_reasons)
{
        struct px_job_id ids[PX_LIMIT_LIST_ITEMS];
        struct px_m_reasons query = {.jobs = ids, .jobs_count = count};
        struct px_buf frame = {0};
        struct request request = {0};
        int code;

        if (count > PX_LIMIT_LIST_ITEMS)
                return detail_refuse(PX_E_LIMIT, "%zu jobs; the limit is %d (LIST_ITEMS)", count,
                                     PX_LIMIT_LIST_ITEMS);
        for (size_t i = 0; i < count; i++)
                ids[i].value = jobs[i];
        px_m_reasons_frame(&query, 0, 0, &frame);
        code = ask(px, PX_M_REASONS_ARE, false, &frame, &request);
        if (code == PX_OK)
                code = take_reasons(px_buf_slice(&request.body), count, ret_reasons);
        request_fini(&request);
        px_buf_fini(&frame);
        return code;
}

/* ---- dry runs ----------------------------------------------------------------------------------------------- */

static int take_tried(struct px_slice body, struct plexus_tried *ret_tried)
{
        struct px_m_tried tried;
        struct px_arena arena = {0};
        int code;

        if (px_m_tried_decode(body, &arena, &tried) != PX_WIRE_OK) {
                px_arena_fini(&arena);
                return request_malformed("TRIED");
        }
        code = tried.code;
        if (code != PX_OK) {
                detail_refuse(code, "%.*s", (int)tried.text.length, (const char *)tried.text.data);
        } else {
                *ret_tried = (struct plexus_tried){
                        .waits = copy_waits(tried.waits, tried.waits_count),
                        .nodes = tried.nodes,
                        .nodes_able = tried.nodes_able,
                        .position = tried.position,
                        .estimate_ms = tried.estimate_ms,
                };
                TEXT(tried.node, ret_tried->node);
        }
        px_arena_fini(&arena);
        return code;
}

int plexus_try(struct plexus *px, const struct plexus_job_spec *spec,
               struct plexus_tried *ret_tried)
{
        struct plexus_job_spec without = *spec;
        struct px_m_try query = {0};
        struct spec_blob blob = {0};
        struct px_arena arena = {0};
        struct px_buf encoded = {0};
        struct px_buf frame = {0};
        struct request request = {0};
        int code;

        without.has_input = false;
        without.input = NULL;
        without.input_bytes = 0;
        code = spec_encode_job(&without, &arena, &blob, &encoded, &query.job);
        if (code == PX_OK) {
                px_m_try_frame(&query, 0, 0, &frame);
                code = ask(px, PX_M_TRIED, false, &frame, &request);
        }
        if (code == PX_OK)
                code = take_tried(px_buf_slice(&request.body), ret_tried);
        request_fini(&request);
        px_buf_fini(&frame);
        px_buf_fini(&encoded);
        px_arena_fini(&arena);
        return code;
}
