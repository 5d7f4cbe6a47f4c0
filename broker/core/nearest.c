/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.c - the name that was probably meant. Layer: L2 (broker/core). */
#include "state.h"

#define EDITS_MAX 3
#define WORD_BYTES_MAX 128

struct nearest {
        struct px_slice wanted;
        struct px_slice name;
        unsigned edits;
};

/* Levenshtein's distance, one row at a time. */
static unsigned edits_between(struct px_slice a, struct px_slice b)
{
        unsigned row[WORD_BYTES_MAX + 1];

        for (unsigned j = 0; j <= b.length; j++)
                row[j] = j;
        for (size_t i = 0; i < a.length; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i + 1;
                for (size_t j = 0; j < b.length; j++) {
                        unsigned swap = diagonal + (a.data[i] != b.data[j]);

                        diagonal = row[j + 1];
                        row[j + 1] = PX_MIN(PX_MIN(row[j], row[j + 1]) + 1, swap);
                }
        }
        return row[b.length];
}

static void nearest_try(struct nearest *nearest, struct px_slice name)
{
        unsigned edits;

        if (name.length > WORD_BYTES_MAX || nearest->wanted.length > WORD_BYTES_MAX)
                return;
        edits = edits_between(nearest->wanted, name);
        if (edits >= nearest->edits || edits >= PX_MAX(name.length, (size_t)2))
                return;
        nearest->edits = edits;
        nearest->name = name;
}

static struct px_slice nearest_words(struct core *core, const struct nearest *nearest)
{
        if (nearest->name.length == 0)
                return PX_SLICE_NONE;
        return output_text(core, "; did you mean %.*s?", (int)nearest->name.length,
                           (const char *)nearest->name.data);
}

static void try_gates(const struct core *core, struct nearest *nearest, int kind)
{
        PX_LIST_EACH(&core->gate_list, at)
        {
                const struct gate *gate = PX_CONTAINER_OF(at, struct gate, link);

                if (gate->set.kind == kind)
                        nearest_try(nearest, gate->set.name);
        }
}

struct px_slice nearest_user(struct core *core, struct px_slice name)
{
        struct nearest nearest = {.wanted = name, .edits = EDITS_MAX};

        PX_LIST_EACH(&core->principal_list, at)
        {
                const struct principal *principal = PX_CONTAINER_OF(at, struct principal, link);

                if (!principal->revoked)
                        nearest_try(&nearest, principal->name);
        }
        return nearest_words(core, &nearest);
}

struct px_slice nearest_queue(struct core *core, struct px_slice name)
{
        struct nearest nearest = {.wanted = name, .edits = EDITS_MAX};

        nearest_try(&nearest, px_slice_text("default"));
        try_gates(core, &nearest, PX_GATE_KIND_QUEUE);
        return nearest_words(core, &nearest);
}

struct px_slice nearest_resource(struct core *core, struct px_slice name)
{
        struct nearest nearest = {.wanted = name, .edits = EDITS_MAX};

        try_gates(core, &nearest, PX_GATE_KIND_RESOURCE);
        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                for (size_t i = 0; i < node->resources_count; i++)
                        nearest_try(&nearest, node->resources[i].name);
        }
        return nearest_words(core, &nearest);
}

struct px_slice nearest_label(struct core *core, struct px_slice key)
{
        struct nearest nearest = {.wanted = key, .edits = EDITS_MAX};

        PX_LIST_EACH(&core->node_list, at)
        {
                const struct node *node = PX_CONTAINER_OF(at, struct node, link);

                for (size_t i = 0; i < node->labels_count; i++)
                        nearest_try(&nearest, node->labels[i].key);
        }
        return nearest_words(core, &nearest);
}
