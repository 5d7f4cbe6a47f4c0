/* SPDX-License-Identifier: Apache-2.0 */
/* waits.c - see waits.h. Layer: L2 (broker/core).
 *
 * Each condition is counted over all nodes by itself, so that all that fail are named, not the first. */
#include "waits.h"

#define POSITION_WALK_MAX 200000 /* jobs looked at for a position; beyond, it is not told */
#define HOLDERS_NAMED 5

#define WORDS(slice) (int)(slice).length, (const char *)(slice).data

void waits_add(struct waits *waits, int reason, struct px_slice text)
{
        if (text.length > 0 && waits->count < PX_LIMIT_WHY_LINES)
                waits->items[waits->count++] = (struct px_waits){reason, text};
}

/* ---- gates --------------------------------------------------------------------------------------------- */

static struct px_slice words_of_slot(struct core *core, const struct gate *gate, uint64_t amount)
{
        struct px_job_id holders[HOLDERS_NAMED];
        size_t count = gate_holders(core, gate, holders, HOLDERS_NAMED);
        struct px_buf words = {0};
        struct px_slice text;

        px_buf_format(&words, "waiting for slot %.*s (", WORDS(gate->set.name));
        if (amount > 1)
                px_buf_format(&words, "needs %llu; ", (unsigned long long)amount);
        px_buf_format(&words, "%llu of %llu held", (unsigned long long)gate->used,
                      (unsigned long long)gate->set.capacity);
        for (size_t i = 0; i < count; i++)
                px_buf_format(&words, "%s%llu", i == 0 ? " by " : ", ",
                              (unsigned long long)holders[i].value);
        px_buf_append_text(&words, count == HOLDERS_NAMED && gate->running > count ? ", ...)" : ")");
        text = px_arena_copy(&core->output->arena, px_buf_slice(&words));
        px_buf_fini(&words);
        return text;
}

static struct px_slice words_of_gate(struct core *core, const struct gate *gate,
                                     const struct share *share, uint64_t amount, int reason)
{
        const char *kind = px_gate_kind_name(gate->set.kind);

        switch (reason) {
        case PX_REASON_PAUSED:
                return output_text(core, "%s %.*s is paused", kind, WORDS(gate->set.name));
        case PX_REASON_RATE:
                return output_text(core, "%s %.*s: %u starts in %llu.%03llu s are used up", kind,
                                   WORDS(gate->set.name), gate->set.rate_count,
                                   (unsigned long long)gate->set.rate_ms / 1000,
                                   (unsigned long long)gate->set.rate_ms % 1000);
        case PX_REASON_SLOT:
                return words_of_slot(core, gate, amount);
        default:
                return output_text(core, "%s %.*s: %llu of %llu jobs run", kind,
                                   WORDS(gate->set.name),
                                   (unsigned long long)gate_running(gate, share),
                                   (unsigned long long)gate->set.running_max);
        }
}

static void waits_of_gate(struct core *core, const struct gate *gate, const struct share *share,
                          uint64_t amount, struct waits *waits)
{
        int reason = gate_shut(core, gate, share, amount);

        if (reason != 0)
                waits_add(waits, reason, words_of_gate(core, gate, share, amount, reason));
}

void waits_of_gates(struct core *core, const struct shape *shape, uint32_t owner,
                    struct waits *waits)
{
        const struct share *share = &principal_find(core, owner)->share;

        if (share->gate != NULL)
                waits_of_gate(core, share->gate, share, 1, waits);
        for (size_t i = 0; i < shape->gates_count; i++)
                waits_of_gate(core, shape->gates[i].gate, share, shape->gates[i].amount, waits);
}

/* ---- nodes ------------------------------------------------------------------------------------------------ */

/* How many nodes fail a condition, and the best that any of those that count could offer. */
struct lack {
        uint32_t nodes;
        uint32_t small; /* of them: even when empty */
        uint64_t best;
        const struct node *best_node;
};

struct tally {
        uint32_t nodes;
        uint32_t usable; /* connected, not draining, serving its owner: the others offer nothing */
        uint32_t not_serving, away, draining, other_type, places, apart, reserved;
        uint32_t cpus_small, memory_small, gpus_small;
        struct lack cpus, memory, gpus;
        struct lack resources[PX_LIMIT_RESOURCES];
        uint32_t labels[PX_LIMIT_CONSTRAINTS];
        uint32_t able, fit;
};

static void lack_count(struct lack *lack, uint64_t need, uint64_t offer, uint64_t total,
                       const struct node *node)
{
        lack->nodes += need > offer;
        lack->small += need > total;
        if (lack->best_node == NULL || offer > lack->best) {
                lack->best = offer;
                lack->best_node = node;
        }
}

static uint64_t gpus_free_milli(const struct node *node, uint32_t wanted_milli)
{
        uint64_t whole = 0;
        uint64_t share = 0;

        for (uint32_t i = 0; i < node->gpus; i++) {
                whole += node->gpu_used_milli[i] == 0;
                share = PX_MAX(share, (uint64_t)1000 - node->gpu_used_milli[i]);
        }
        return wanted_milli < 1000 ? share : whole * 1000;
}

static void tally_room(const struct node *node, const struct shape *shape, struct tally *tally)
{
        const struct px_shape_row *need = &shape->need;
        uint64_t memory_free = node->memory_bytes == 0 ? UINT64_MAX
                               : node->memory_used_bytes >= node->memory_bytes
                                       ? 0
                                       : node->memory_bytes - node->memory_used_bytes;
        uint64_t gpus_free = gpus_free_milli(node, need->gpus_milli);

        lack_count(&tally->cpus, need->cpus_milli, room_free_cpus_milli(node), node->cpus_milli,
                   node);
        lack_count(&tally->memory, need->memory_bytes, memory_free,
                   node->memory_bytes == 0 ? UINT64_MAX : node->memory_bytes, node);
        lack_count(&tally->gpus, need->gpus_milli, gpus_free, node->gpus * 1000, node);
        for (size_t i = 0; i < shape->resources_count; i++) {
                uint64_t total = room_resource_total(node, shape->resources[i].name);
                uint64_t used = room_resource_used(node, shape->resources[i].name);
                uint64_t free = total > used ? total - used : 0;

                lack_count(&tally->resources[i], shape->resources[i].amount, free, total, node);
        }
}

static void tally_node(const struct core *core, const struct node *node, const struct shape *shape,
                       uint32_t owner, const struct line *line, struct tally *tally)
{
        const struct px_shape_row *need = &shape->need;
        bool pinned_away = need->node.length > 0 && !px_slice_equal(need->node, node->name);

        tally->nodes++;
        tally->able += room_could_fit(node, shape);
        tally->not_serving += !node_serves(core, node, owner);
        tally->away += !node->connected;
        tally->draining += node->connected && (node->draining || node->stopping);
        if (need->kind == PX_JOB_KIND_TASK)
                tally->other_type += node->connected && !node_takes_type(node, need->task_type);
        for (size_t i = 0; i < need->constraints_count; i++)
                tally->labels[i] += !room_constraint_holds(node, &need->constraints[i]);
        if (!node->connected || node->draining || node->stopping || pinned_away ||
            !node_serves(core, node, owner) ||
            (need->kind == PX_JOB_KIND_TASK && !node_takes_type(node, need->task_type)))
                return;
        tally->usable++;
        tally->places += !node_has_places(core, node);
        tally->reserved += node->reserved_for != 0 && (line == NULL || !reserve_allows(node, line));
        tally->apart += room_apart_taken(node, shape, owner);
        if (need->kind == PX_JOB_KIND_COMMAND)
                tally_room(node, shape, tally);
        tally->fit += room_fits(core, node, shape, owner) &&
                      (line == NULL || reserve_allows(node, line));
}

static struct px_slice words_of_count(struct core *core, uint32_t count, const struct tally *tally,
                                      const char *noun, const char *what)
{
        if (count == 0)
                return PX_SLICE_NONE;
        return output_text(core, "%u of %u %s %s", count, tally->nodes, noun, what);
}

static void waits_of_pin(struct core *core, const struct shape *shape, struct waits *waits)
{
        struct px_slice name = shape->need.node;
        const struct node *node = node_named(core, name);

        if (name.length == 0)
                return;
        waits_add(waits, PX_REASON_PINNED_NODE,
                  output_text(core, "it may only run on node %.*s, which is %s", WORDS(name),
                              node == NULL ? "not known" : px_node_state_name(node_state(node))));
}

/* "; 2 of 3 nodes never have so much", when some are too small even when empty. */
static struct px_slice words_of_small(struct core *core, const struct lack *lack,
                                      const struct tally *tally)
{
        if (lack->small == 0)
                return PX_SLICE_NONE;
        return output_text(core, "; %u of %u nodes never have so much", lack->small, tally->usable);
}

static void waits_of_milli(struct core *core, const struct lack *lack, const struct tally *tally,
                           uint32_t need_milli, const char *noun, struct waits *waits)
{
        struct px_slice small = words_of_small(core, lack, tally);

        if (lack->nodes == 0 || need_milli == 0)
                return;
        waits_add(waits, PX_REASON_NO_SLOT,
                  output_text(core, "it needs %u.%03u %s; most free are %u.%03u on %.*s%.*s",
                              need_milli / 1000, need_milli % 1000, noun,
                              (uint32_t)(lack->best / 1000), (uint32_t)(lack->best % 1000),
                              WORDS(lack->best_node->name), WORDS(small)));
}

static void waits_of_amount(struct core *core, const struct lack *lack, const struct tally *tally,
                            uint64_t need, struct px_slice noun, struct waits *waits)
{
        struct px_slice small = words_of_small(core, lack, tally);

        if (lack->nodes == 0 || need == 0)
                return;
        waits_add(waits, PX_REASON_RESOURCE,
                  output_text(core, "it needs %llu %.*s; most free are %llu on %.*s%.*s",
                              (unsigned long long)need, WORDS(noun),
                              (unsigned long long)lack->best, WORDS(lack->best_node->name),
                              WORDS(small)));
}

static const char *op_words(int op)
{
        static const char *const words[] = {
                [PX_CONSTRAINT_OP_EQUAL] = "=",
                [PX_CONSTRAINT_OP_NOT_EQUAL] = "!=",
                [PX_CONSTRAINT_OP_IN] = " in ",
                [PX_CONSTRAINT_OP_EXISTS] = " (any value)",
                [PX_CONSTRAINT_OP_ABSENT] = " (none)",
        };

        return words[op];
}

static void waits_of_labels(struct core *core, const struct shape *shape, const struct tally *tally,
                            const char *noun, struct waits *waits)
{
        for (size_t i = 0; i < shape->need.constraints_count; i++) {
                const struct px_constraint *constraint = &shape->need.constraints[i];
                struct px_slice value =
                        constraint->values_count > 0 ? constraint->values[0] : PX_SLICE_NONE;

                if (tally->labels[i] == 0)
                        continue;
                waits_add(waits, PX_REASON_LABEL,
                          output_text(core, "%u of %u %s are not labelled %.*s%s%.*s%s",
                                      tally->labels[i], tally->nodes, noun, WORDS(constraint->key),
                                      op_words(constraint->op), WORDS(value),
                                      constraint->values_count > 1 ? ", ..." : ""));
        }
}

static void waits_of_state(struct core *core, const struct shape *shape, const struct tally *tally,
                           const char *noun, struct waits *waits)
{
        waits_add(waits, PX_REASON_NO_NODE,
                  words_of_count(core, tally->not_serving, tally, noun, "do not serve its owner"));
        waits_add(waits, PX_REASON_NO_NODE,
                  words_of_count(core, tally->away, tally, noun, "are not connected"));
        waits_add(waits, PX_REASON_NO_NODE,
                  words_of_count(core, tally->draining, tally, noun, "are draining"));
        if (tally->other_type > 0)
                waits_add(waits, PX_REASON_NO_WORKER,
                          output_text(core, "%u of %u workers do not take type %.*s",
                                      tally->other_type, tally->nodes,
                                      WORDS(shape->need.task_type)));
        waits_of_labels(core, shape, tally, noun, waits);
}

static void waits_of_room(struct core *core, const struct shape *shape, const struct tally *tally,
                          const char *noun, struct waits *waits)
{
        waits_of_milli(core, &tally->cpus, tally, shape->need.cpus_milli, "cpus", waits);
        waits_of_amount(core, &tally->memory, tally, shape->need.memory_bytes,
                        px_slice_text("bytes of memory"), waits);
        waits_of_milli(core, &tally->gpus, tally, shape->need.gpus_milli, "gpus", waits);
        for (size_t i = 0; i < shape->resources_count; i++)
                waits_of_amount(core, &tally->resources[i], tally, shape->resources[i].amount,
                                shape->resources[i].name, waits);
        waits_add(waits, PX_REASON_NO_SLOT,
                  words_of_count(core, tally->places, tally, noun, "are busy"));
        if (tally->apart > 0)
                waits_add(waits, PX_REASON_APART,
                          output_text(core, "%u of %u %s run a job that is kept apart from it (%.*s)",
                                      tally->apart, tally->nodes, noun, WORDS(shape->need.apart)));
        waits_add(waits, PX_REASON_RESERVED,
                  words_of_count(core, tally->reserved, tally, noun,
                                 "are kept for a job that waits longer"));
}

void waits_of_nodes(struct core *core, const struct shape *shape, uint32_t owner,
                    const struct line *line, struct waits *waits)
{
        bool task = shape->need.kind == PX_JOB_KIND_TASK;
        const char *noun = task ? "workers" : "nodes";
        struct tally tally = {0};

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                if (node->kind == (task ? PX_NODE_KIND_WORKER : PX_NODE_KIND_NODE))
                        tally_node(core, node, shape, owner, line, &tally);
        }
        waits->nodes = tally.nodes;
        waits->nodes_able = tally.able;
        waits->nodes_free = tally.fit;
        if (tally.fit > 0)
                return;
        waits_of_pin(core, shape, waits);
        if (tally.nodes == 0)
                waits_add(waits, task ? PX_REASON_NO_WORKER : PX_REASON_NO_NODE,
                          output_text(core, "no %s was ever connected", task ? "worker" : "node"));
        if (tally.usable > 0)
                waits_of_room(core, shape, &tally, noun, waits);
        waits_of_state(core, shape, &tally, noun, waits);
}

/* ---- order ------------------------------------------------------------------------------------------------ */

uint64_t waits_position(const struct line *line, const struct job *job)
{
        uint64_t before = 0;

        if (line->ready.count > POSITION_WALK_MAX)
                return UINT64_MAX;
        for (size_t i = 1; i <= line->ready.count; i++)
                before += job_before(PX_CONTAINER_OF(line->ready.items[i], struct job, ready), job);
        return before;
}

uint64_t waits_estimate_ms(const struct core *core, const struct shape *shape, uint64_t before)
{
        uint64_t since_ms =
                (uint64_t)PX_MAX(core->core_ms - shape->assigned_ms, (int64_t)0);
        uint64_t wait_ms;

        if (shape->gap_ms == 0 || before > POSITION_WALK_MAX)
                return 0;
        wait_ms = (before + 1) * shape->gap_ms;
        /* What is overdue is not known any better. */
        return wait_ms > since_ms ? wait_ms - since_ms : 0;
}
