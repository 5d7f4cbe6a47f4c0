/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - what a submission asks of nodes and limits: sound, possible, allowed.
 * Layer: L2 (broker/core). A refusal names what would be possible. */
#include "state.h"

/* Printed with "%.*s". */
#define WORDS(slice) (int)(slice).length, (const char *)(slice).data

static int no(struct core *core, struct px_slice *ret_text, int code, struct px_slice text)
{
        (void)core;
        *ret_text = text;
        return code;
}

/* ---- sound ------------------------------------------------------------------------------------------- */

static bool is_reserved(struct px_slice name)
{
        static const char *const words[] = {"cpu", "cpus", "mem", "memory", "gpu", "gpus"};

        for (size_t i = 0; i < PX_COUNT_OF(words); i++)
                if (px_slice_equal(name, px_slice_text(words[i])))
                        return true;
        return false;
}

static int check_amounts(struct core *core, const struct px_submit_job *item,
                         struct px_slice *ret_text)
{
        if (item->cpus_milli > PX_LIMIT_CPUS_MILLI)
                return no(core, ret_text, PX_E_LIMIT,
                          output_text(core, "a job asks for at most %d cpus",
                                      PX_LIMIT_CPUS_MILLI / 1000));
        if (item->gpus_milli > PX_LIMIT_GPUS * 1000u)
                return no(core, ret_text, PX_E_LIMIT,
                          output_text(core, "a job asks for at most %d gpus", PX_LIMIT_GPUS));
        if (item->gpus_milli > 1000 && item->gpus_milli % 1000 != 0)
                return no(core, ret_text, PX_E_INVALID,
                          px_slice_text("gpus are a share of one, or whole ones"));
        return PX_OK;
}

static int check_resources(struct core *core, const struct px_submit_job *item,
                           struct px_slice *ret_text)
{
        for (size_t i = 0; i < item->resources_count; i++) {
                const struct px_resource *resource = &item->resources[i];

                if (!name_is_valid(resource->name) || is_reserved(resource->name))
                        return no(core, ret_text, PX_E_INVALID,
                                  output_text(core, "%.*s is no name of a resource",
                                              WORDS(resource->name)));
                if (resource->amount == 0 || resource->amount > PX_LIMIT_RESOURCE_AMOUNT)
                        return no(core, ret_text, PX_E_LIMIT,
                                  output_text(core, "of resource %.*s 1 to %d can be asked for",
                                              WORDS(resource->name), PX_LIMIT_RESOURCE_AMOUNT));
                for (size_t j = 0; j < i; j++)
                        if (px_slice_equal(item->resources[j].name, resource->name))
                                return no(core, ret_text, PX_E_INVALID,
                                          output_text(core, "resource %.*s is asked for twice",
                                                      WORDS(resource->name)));
        }
        return PX_OK;
}

static bool constraint_is_sound(const struct px_constraint *constraint)
{
        if (constraint->key.length == 0)
                return false;
        switch (constraint->op) {
        case PX_CONSTRAINT_OP_EQUAL:
        case PX_CONSTRAINT_OP_NOT_EQUAL:
                return constraint->values_count == 1;
        case PX_CONSTRAINT_OP_IN:
                return constraint->values_count > 0;
        case PX_CONSTRAINT_OP_EXISTS:
        case PX_CONSTRAINT_OP_ABSENT:
                return constraint->values_count == 0;
        default:
                return false;
        }
}

static bool word_is_sound(struct px_slice word)
{
        return word.length == 0 || name_is_valid(word);
}

static int check_words(struct core *core, const struct px_submit_job *item,
                       struct px_slice *ret_text)
{
        for (size_t i = 0; i < item->constraints_count; i++)
                if (!constraint_is_sound(&item->constraints[i]))
                        return no(core, ret_text, PX_E_INVALID,
                                  output_text(core, "condition %zu on labels is malformed", i + 1));
        if (!word_is_sound(item->module) || !word_is_sound(item->apart) ||
            !word_is_sound(item->warm) || !word_is_sound(item->queue))
                return no(core, ret_text, PX_E_INVALID,
                          px_slice_text("a queue, module, apart or warm word is made of letters, "
                                        "digits, . _ -"));
        return PX_OK;
}

static int check_times(struct core *core, const struct px_submit_job *item,
                       struct px_slice *ret_text)
{
        if (item->wait_ms > (uint64_t)CORE_POLICY_MS_MAX)
                return no(core, ret_text, PX_E_LIMIT,
                          px_slice_text("a wait limit is at most 366 days"));
        if (item->expires_wall_ms < 0 || item->expires_wall_ms > INT64_MAX / 2)
                return no(core, ret_text, PX_E_INVALID,
                          px_slice_text("a deadline lies after 1970"));
        if (item->expires_wall_ms != 0 && item->start_wall_ms >= item->expires_wall_ms)
                return no(core, ret_text, PX_E_INVALID,
                          px_slice_text("its start time is not before its deadline"));
        return PX_OK;
}

int request_check(struct core *core, const struct px_submit_job *item,
                  struct px_shape_row *ret_request, struct px_slice *ret_text)
{
        int code = check_amounts(core, item, ret_text);

        if (code == 0)
                code = check_resources(core, item, ret_text);
        if (code == 0)
                code = check_words(core, item, ret_text);
        if (code == 0)
                code = check_times(core, item, ret_text);
        if (code != 0)
                return code;
        *ret_request = (struct px_shape_row){
                .kind = item->kind,
                .task_type = item->task_type,
                .cpus_milli = item->cpus_milli,
                .memory_bytes = item->memory_bytes,
                .node = item->node,
                .gpus_milli = item->gpus_milli,
                .resources = item->resources,
                .resources_count = item->resources_count,
                .constraints = item->constraints,
                .constraints_count = item->constraints_count,
                .queue = item->queue,
                .module = item->module,
                .apart = item->apart,
                .warm = item->warm,
        };
        if (px_slice_equal(item->queue, px_slice_text("default")))
                ret_request->queue = PX_SLICE_NONE;
        px_buf_reset(&core->bytes);
        px_shape_row_encode(ret_request, &core->bytes);
        if (core->bytes.length > PX_LIMIT_REQUEST_BYTES)
                return no(core, ret_text, PX_E_LIMIT,
                          output_text(core, "a request takes at most %d bytes, this one %zu",
                                      PX_LIMIT_REQUEST_BYTES, core->bytes.length));
        return PX_OK;
}

/* ---- possible ---------------------------------------------------------------------------------------- */

/* What the nodes could offer at best, each figure by itself. */
struct offer {
        uint32_t nodes;
        bool unknown; /* of some it isn't known since the start */
        uint32_t cpus_milli;
        uint64_t memory_bytes;
        uint32_t gpus;
        bool node_named;
};

static struct offer offer_of(const struct core *core, const struct px_shape_row *need)
{
        struct offer offer = {0};

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->kind != PX_NODE_KIND_NODE)
                        continue;
                offer.nodes++;
                offer.unknown = offer.unknown || !node->described;
                offer.cpus_milli = PX_MAX(offer.cpus_milli, node->cpus_milli);
                offer.memory_bytes = PX_MAX(offer.memory_bytes, node->memory_bytes == 0
                                                                        ? UINT64_MAX
                                                                        : node->memory_bytes);
                offer.gpus = PX_MAX(offer.gpus, node->gpus);
                offer.node_named = offer.node_named || px_slice_equal(node->name, need->node);
        }
        return offer;
}

static uint64_t best_of_resource(const struct core *core, struct px_slice name)
{
        uint64_t best = 0;

        PX_LIST_EACH(&core->node_list, at)
        best = PX_MAX(best, room_resource_total(PX_CONTAINER_OF(at, struct node, link), name));
        return best;
}

static struct px_slice words_of_resource(struct core *core, const struct shape *shape)
{
        for (size_t i = 0; i < shape->resources_count; i++) {
                const struct px_resource *need = &shape->resources[i];
                uint64_t best = best_of_resource(core, need->name);
                struct px_slice near;

                if (best >= need->amount)
                        continue;
                if (best > 0)
                        return output_text(core, "it needs %llu %.*s; the best node has %llu",
                                           (unsigned long long)need->amount, WORDS(need->name),
                                           (unsigned long long)best);
                near = nearest_resource(core, need->name);
                return output_text(core, "neither a node nor the mesh has a resource %.*s%.*s",
                                   WORDS(need->name), WORDS(near));
        }
        return PX_SLICE_NONE;
}

static struct px_slice words_of_labels(struct core *core, const struct px_shape_row *need)
{
        for (size_t i = 0; i < need->constraints_count; i++) {
                const struct px_constraint *constraint = &need->constraints[i];
                bool holds = false;
                bool known = false;
                struct px_slice near;

                PX_LIST_EACH(&core->node_list, at)
                {
                        const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                        holds = holds || room_constraint_holds(node, constraint);
                        known = known || room_label(node, constraint->key) != NULL;
                }
                if (holds)
                        continue;
                if (known)
                        return output_text(core, "no node's label %.*s is as wanted",
                                           WORDS(constraint->key));
                near = nearest_label(core, constraint->key);
                return output_text(core, "no node has a label %.*s%.*s", WORDS(constraint->key),
                                   WORDS(near));
        }
        return PX_SLICE_NONE;
}

static struct px_slice words_of_offer(struct core *core, const struct shape *shape,
                                      const struct offer *offer)
{
        const struct px_shape_row *need = &shape->need;
        struct px_slice words;

        if (need->cpus_milli > offer->cpus_milli)
                return output_text(core, "it needs %u.%03u cpus; the best node has %u.%03u",
                                   need->cpus_milli / 1000, need->cpus_milli % 1000,
                                   offer->cpus_milli / 1000, offer->cpus_milli % 1000);
        if (need->memory_bytes > offer->memory_bytes)
                return output_text(core, "it needs %llu bytes of memory; the best node has %llu",
                                   (unsigned long long)need->memory_bytes,
                                   (unsigned long long)offer->memory_bytes);
        if (need->gpus_milli > offer->gpus * 1000)
                return output_text(core, "it needs %u.%03u gpus; the best node has %u",
                                   need->gpus_milli / 1000, need->gpus_milli % 1000, offer->gpus);
        if (need->node.length > 0 && !offer->node_named)
                return output_text(core, "there is no node %.*s", WORDS(need->node));
        words = words_of_resource(core, shape);
        if (words.length == 0)
                words = words_of_labels(core, need);
        if (words.length == 0)
                words = px_slice_text("no node has all of what it needs together");
        return words;
}

static int gates_able(struct core *core, const struct shape *shape, struct px_slice *ret_text)
{
        for (size_t i = 0; i < shape->gates_count; i++) {
                const struct px_gate *set = &shape->gates[i].gate->set;

                if (set->kind == PX_GATE_KIND_RESOURCE && shape->gates[i].amount > set->capacity)
                        return no(core, ret_text, PX_E_INVALID,
                                  output_text(core, "it needs %llu %.*s; the mesh has %llu",
                                              (unsigned long long)shape->gates[i].amount,
                                              WORDS(set->name),
                                              (unsigned long long)set->capacity));
        }
        return PX_OK;
}

static bool some_could_fit(const struct core *core, const struct shape *shape)
{
        PX_LIST_EACH(&core->node_list, at)
        if (room_could_fit(PX_CONTAINER_OF(at, struct node, link), shape))
                return true;
        return false;
}

/* Workers come and go with their programs, and before any node is known nothing is impossible. */
int request_able(struct core *core, struct shape *shape, struct px_slice *ret_text)
{
        struct offer offer;

        if (shape->able && shape->able_version == core->nodes_version)
                return PX_OK;
        if (gates_able(core, shape, ret_text) != 0)
                return PX_E_INVALID;
        shape->able = shape->need.kind == PX_JOB_KIND_TASK || some_could_fit(core, shape);
        shape->able_version = core->nodes_version;
        if (shape->able)
                return PX_OK;
        offer = offer_of(core, &shape->need);
        if (offer.nodes == 0 || offer.unknown)
                return PX_OK;
        return no(core, ret_text, PX_E_INVALID, words_of_offer(core, shape, &offer));
}

/* ---- allowed ------------------------------------------------------------------------------------------- */

/* What a repeat under a key must not meet: it may have been right when it was said first. */
int request_now(struct core *core, const struct px_submit_job *item, struct px_slice *ret_text)
{
        int priority_max = share_priority_max(&core->principal->share);

        if (item->expires_wall_ms != 0 && item->expires_wall_ms <= core->wall_ms)
                return no(core, ret_text, PX_E_INVALID,
                          px_slice_text("its deadline has passed already"));
        if (item->priority > priority_max)
                return no(core, ret_text, PX_E_LIMIT,
                          output_text(core, "your priority is at most %d", priority_max));
        if (item->queue.length > 0 && !px_slice_equal(item->queue, px_slice_text("default")) &&
            gate_find(core, PX_GATE_KIND_QUEUE, item->queue) == NULL) {
                struct px_slice near = nearest_queue(core, item->queue);

                return no(core, ret_text, PX_E_ABSENT,
                          output_text(core, "there is no queue %.*s%.*s", WORDS(item->queue),
                                      WORDS(near)));
        }
        return PX_OK;
}

static int gate_waits(struct core *core, const struct gate *gate, uint64_t queued,
                      struct px_slice *ret_text)
{
        if (gate->set.queued_max == 0 || queued < gate->set.queued_max)
                return PX_OK;
        return no(core, ret_text, PX_E_LIMIT,
                  output_text(core, "%llu of %llu jobs of %s %.*s wait already",
                              (unsigned long long)queued,
                              (unsigned long long)gate->set.queued_max,
                              px_gate_kind_name(gate->set.kind), WORDS(gate->set.name)));
}

int request_waits(struct core *core, const struct shape *shape, const struct principal *owner,
                  struct px_slice *ret_text)
{
        int code = PX_OK;

        if (owner->share.gate != NULL)
                code = gate_waits(core, owner->share.gate,
                                  owner->jobs_count - owner->share.running, ret_text);
        for (size_t i = 0; i < shape->gates_count && code == 0; i++) {
                const struct gate *gate = shape->gates[i].gate;

                code = gate_waits(core, gate, gate->jobs - gate->running, ret_text);
        }
        return code;
}
