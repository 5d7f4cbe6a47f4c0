/* SPDX-License-Identifier: Apache-2.0 */
/* need.c - what a job needs beyond cpus and memory: gpus, resources, conditions on labels; queue and
 * limits of waiting. Layer: L4 (client/lib). */
#include "lib_spec.h"

#include "lib_detail.h"

#include <math.h>
#include <string.h>

#define CHECK(call)                                                                                \
        do {                                                                                       \
                int check_code = (call);                                                           \
                if (check_code != PX_OK)                                                           \
                        return check_code;                                                         \
        } while (0)

static int add_gpus(const struct plexus_job_spec *in, struct px_submit_job *job)
{
        if (!(in->gpus >= 0 && in->gpus <= PX_LIMIT_GPUS)) /* NaN too */
                return detail_refuse(PX_E_LIMIT, "%g gpus are not from 0 to %d (GPUS)", in->gpus,
                                     PX_LIMIT_GPUS);
        if (in->gpus > 1 && in->gpus != floor(in->gpus))
                return detail_refuse(PX_E_INVALID, "%g gpus are neither a share of one nor whole "
                                                   "ones", in->gpus);
        job->gpus_milli = (uint32_t)lround(in->gpus * 1000);
        if (in->gpus > 0 && job->gpus_milli == 0)
                return detail_refuse(PX_E_INVALID, "%g gpus are less than a thousandth", in->gpus);
        return PX_OK;
}

static int add_word(const char *what, const char *text, struct px_slice *ret_word)
{
        struct px_slice word = px_slice_text(text != NULL ? text : "");

        if (word.length > PX_LIMIT_RESOURCE_BYTES)
                return detail_refuse(PX_E_LIMIT, "%s has %zu bytes; the limit is %d "
                                                 "(RESOURCE_BYTES)", what, word.length,
                                     PX_LIMIT_RESOURCE_BYTES);
        if (!px_slice_is_text(word))
                return detail_refuse(PX_E_INVALID, "%s is not UTF-8", what);
        *ret_word = word;
        return PX_OK;
}

static int add_resources(const struct plexus_job_spec *in, struct px_arena *arena,
                         struct px_submit_job *job)
{
        struct px_resource *resources;

        if (in->resources_count == 0)
                return PX_OK;
        if (in->resources_count > PX_LIMIT_RESOURCES)
                return detail_refuse(PX_E_LIMIT, "%zu resources were given; the limit is %d "
                                                 "(RESOURCES)", in->resources_count,
                                     PX_LIMIT_RESOURCES);
        resources = px_arena_alloc(arena, in->resources_count * sizeof(*resources));
        for (size_t i = 0; i < in->resources_count; i++) {
                CHECK(add_word("a resource's name", in->resources[i].name, &resources[i].name));
                resources[i].amount = in->resources[i].amount;
        }
        job->resources = resources;
        job->resources_count = in->resources_count;
        return PX_OK;
}

/* ---- conditions ------------------------------------------------------------------------------------------ */

/* "a,b,c" */
static int add_values(const char *text, struct px_arena *arena, struct px_constraint *constraint)
{
        struct px_slice *values =
                px_arena_alloc(arena, PX_LIMIT_CONSTRAINT_VALUES * sizeof(*values));
        const char *at = text;
        size_t count = 0;

        for (;;) {
                size_t length = strcspn(at, ",");

                if (count == PX_LIMIT_CONSTRAINT_VALUES)
                        return detail_refuse(PX_E_LIMIT, "a condition has more than %d values "
                                                         "(CONSTRAINT_VALUES)", PX_LIMIT_CONSTRAINT_VALUES);
                if (length > PX_LIMIT_LABEL_BYTES)
                        return detail_refuse(PX_E_LIMIT, "a label's value has %zu bytes; the limit "
                                                         "is %d (LABEL_BYTES)", length,
                                             PX_LIMIT_LABEL_BYTES);
                values[count++] = px_slice_of((const uint8_t *)at, length);
                if (at[length] == '\0')
                        break;
                at += length + 1;
        }
        constraint->values = values;
        constraint->values_count = count;
        return PX_OK;
}

/* "zone=a", "zone!=a", "zone=a,b", "zone", "!zone" */
static int add_condition(const char *text, struct px_arena *arena, struct px_constraint *ret)
{
        bool absent = text[0] == '!';
        size_t length = strcspn(text + absent, "!=");
        const char *op = text + absent + length;

        *ret = (struct px_constraint){.key = px_slice_of((const uint8_t *)text + absent, length)};
        if (!px_slice_is_text(px_slice_text(text)))
                return detail_refuse(PX_E_INVALID, "a condition is not UTF-8");
        if (length == 0 || length > PX_LIMIT_LABEL_BYTES || (absent && *op != '\0') ||
            (op[0] == '!' && op[1] != '='))
                return detail_refuse(PX_E_INVALID, "\"%.200s\" is no condition: say zone=a, zone!=a, "
                                                   "zone=a,b, zone or !zone", text);
        if (*op == '\0') {
                ret->op = absent ? PX_CONSTRAINT_OP_ABSENT : PX_CONSTRAINT_OP_EXISTS;
                return PX_OK;
        }
        CHECK(add_values(op + (op[0] == '!' ? 2 : 1), arena, ret));
        if (op[0] == '!' && ret->values_count > 1)
                return detail_refuse(PX_E_INVALID, "\"%.200s\": != takes one value", text);
        ret->op = op[0] == '!'             ? PX_CONSTRAINT_OP_NOT_EQUAL
                  : ret->values_count == 1 ? PX_CONSTRAINT_OP_EQUAL
                                           : PX_CONSTRAINT_OP_IN;
        return PX_OK;
}

static int add_conditions(const struct plexus_job_spec *in, struct px_arena *arena,
                          struct px_submit_job *job)
{
        struct px_constraint *constraints;

        if (in->where_count == 0)
                return PX_OK;
        if (in->where_count > PX_LIMIT_CONSTRAINTS)
                return detail_refuse(PX_E_LIMIT, "%zu conditions were given; the limit is %d "
                                                 "(CONSTRAINTS)", in->where_count,
                                     PX_LIMIT_CONSTRAINTS);
        constraints = px_arena_alloc(arena, in->where_count * sizeof(*constraints));
        for (size_t i = 0; i < in->where_count; i++)
                CHECK(add_condition(in->where[i], arena, &constraints[i]));
        job->constraints = constraints;
        job->constraints_count = in->where_count;
        return PX_OK;
}

int spec_add_needs(const struct plexus_job_spec *in, struct px_arena *arena,
                   struct px_submit_job *job)
{
        CHECK(add_gpus(in, job));
        CHECK(add_resources(in, arena, job));
        CHECK(add_conditions(in, arena, job));
        CHECK(add_word("the queue's name", in->queue, &job->queue));
        CHECK(add_word("the module's name", in->module, &job->module));
        CHECK(add_word("the word of jobs kept apart", in->apart, &job->apart));
        CHECK(add_word("the word of warm nodes", in->warm, &job->warm));
        job->wait_ms = in->wait_ms;
        job->expires_wall_ms = in->expires_wall_ms;
        job->wait_for_node = in->wait_for_node;
        return PX_OK;
}
