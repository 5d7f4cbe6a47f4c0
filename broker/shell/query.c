/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - LIST: pages of jobs in the order of their ids. Layer: L4 (broker/shell).
 * Source: DESIGN 2.4; RELIABILITY 5.
 *
 * A page is one short read transaction; the id after the last one looked at is the cursor. Who doesn't
 * see everything walks his own index and never meets a row of others. A page may be empty and still
 * have a cursor: then the time of one transaction was used up by jobs that don't match. */
#include "egress_inside.h"

#define LIST_US 20000          /* of one read transaction */
#define LIST_BYTES (512u << 10) /* of the texts in a page; a frame has room for twice that */
#define NO_JOB 0

struct list {
        struct egress *egress;
        struct px_view *view;
        const struct px_m_list *query;
        bool active; /* which jobs are asked for: neither = both */
        bool done;
        struct px_principal_id owner; /* 0 = all */
        uint64_t low;                 /* ids looked at lie between */
        uint64_t high;
        uint64_t next[2]; /* next id of the active and of the done, or of the owner's; NO_JOB = end */
        struct px_job_view *jobs;
        size_t count;
        size_t count_max;
        size_t bytes;
};

/* ---- matching ------------------------------------------------------------------------------------ */

static bool text_has(struct px_slice text, struct px_slice part)
{
        return part.length == 0 ||
               (text.length >= part.length &&
                memmem(text.data, text.length, part.data, part.length) != NULL);
}

static bool label_matches(const struct px_job_view *job, const struct px_label *wanted)
{
        for (size_t i = 0; i < job->labels_count; i++)
                if (px_slice_equal(job->labels[i].key, wanted->key) &&
                    (wanted->value.length == 0 ||
                     px_slice_equal(job->labels[i].value, wanted->value)))
                        return true;
        return false;
}

/* What the job's own row decides. */
static bool row_matches(const struct list *list, uint64_t id, const struct px_job_row *row)
{
        const struct px_filter *filter = &list->query->filter;
        bool ended = row->state >= PX_JOB_STATE_OK;
        int64_t wall_ms = ended ? row->ended_wall_ms : row->submitted_wall_ms;

        if (ended ? !list->done : !list->active)
                return false;
        if (filter->states != 0 && (filter->states & 1u << row->state) == 0)
                return false;
        if (filter->since_wall_ms != 0 && PX_MAX(wall_ms, row->submitted_wall_ms) < filter->since_wall_ms)
                return false;
        if (filter->until_wall_ms != 0 && row->submitted_wall_ms > filter->until_wall_ms)
                return false;
        return filter->step <= 1 || (id - PX_MAX(filter->first.value, (uint64_t)1)) % filter->step == 0;
}

/* What its other rows decide. */
static bool view_matches(const struct px_filter *filter, const struct px_job_view *job)
{
        if (filter->name.length > 0 && !(filter->name_part ? text_has(job->name, filter->name)
                                                           : px_slice_equal(job->name, filter->name)))
                return false;
        if (filter->node.length > 0 && !px_slice_equal(job->node, filter->node))
                return false;
        for (size_t i = 0; i < filter->labels_count; i++)
                if (!label_matches(job, &filter->labels[i]))
                        return false;
        return true;
}

/* ---- walking --------------------------------------------------------------------------------------- */

/* The first id at or beyond `from` in the order asked for; NO_JOB at the end. */
static uint64_t seek(const struct list *list, uint8_t table, uint64_t from)
{
        bool of_owner = table == PX_TABLE_OWNER;
        struct row_key key = of_owner ? row_key_u32(list->owner.value) : row_key_u64(from);
        struct px_slice found;
        struct px_slice value;
        uint64_t id;

        if (of_owner)
                row_key_add_u64(&key, from);
        if (px_view_seek(list->view, table, row_key_slice(&key), list->query->newest_first, &found,
                         &value) != PX_OK)
                return NO_JOB;
        if (found.length != key.length || (of_owner && px_get_be32(found.data) != list->owner.value))
                return NO_JOB;
        id = px_get_be64(found.data + found.length - sizeof id);
        return id < list->low || id > list->high ? NO_JOB : id;
}

static void seek_both(struct list *list, uint64_t from, uint64_t consumed)
{
        if (list->owner.value != 0) {
                list->next[0] = seek(list, PX_TABLE_OWNER, from);
                return;
        }
        if (list->active && list->next[0] == consumed)
                list->next[0] = seek(list, PX_TABLE_JOB, from);
        if (list->done && list->next[1] == consumed)
                list->next[1] = seek(list, PX_TABLE_DONE, from);
}

/* Whichever of the two tables' ids comes first. */
static uint64_t earlier(const struct list *list)
{
        if (list->next[0] == NO_JOB || list->next[1] == NO_JOB)
                return PX_MAX(list->next[0], list->next[1]);
        return list->query->newest_first ? PX_MAX(list->next[0], list->next[1])
                                         : PX_MIN(list->next[0], list->next[1]);
}

static size_t view_bytes(const struct px_job_view *job)
{
        size_t bytes = 200 + job->text.length + job->name.length + job->owner.length +
                       job->task_type.length + job->node.length + job->pinned_node.length +
                       job->progress_text.length;

        for (size_t i = 0; i < job->labels_count; i++)
                bytes += 10 + job->labels[i].key.length + job->labels[i].value.length;
        return bytes;
}

static void look_at(struct list *list, uint64_t id)
{
        struct px_job_view job;
        struct px_job_row row;

        if (attempt_job_row(list->egress, list->view, (struct px_job_id){id}, &row) != PX_OK ||
            !row_matches(list, id, &row))
                return;
        job = query_job_view(list->egress, list->view, (struct px_job_id){id}, &row);
        if (!view_matches(&list->query->filter, &job))
                return;
        list->jobs[list->count++] = job;
        list->bytes += view_bytes(&job);
}

/* Look at jobs until the page or the time is full. Returns the cursor; 0 = that was all. */
static uint64_t walk(struct list *list)
{
        int64_t begun_us = clock_steady_us();
        uint64_t from = list->query->newest_first ? list->high : list->low;
        uint64_t id;

        seek_both(list, from, NO_JOB);
        for (size_t looked = 1; (id = earlier(list)) != NO_JOB; looked++) {
                if (list->count == list->count_max || list->bytes >= LIST_BYTES ||
                    (looked % 64 == 0 && clock_steady_us() - begun_us > LIST_US))
                        return id;
                look_at(list, id);
                if (id == (list->query->newest_first ? list->low : list->high))
                        return NO_JOB;
                seek_both(list, list->query->newest_first ? id - 1 : id + 1, id);
        }
        return NO_JOB;
}

/* ---- who -------------------------------------------------------------------------------------------- */

/* The principal of a name; 0 = none. */
static struct px_principal_id principal_of_name(struct egress *egress, struct px_view *view,
                                                struct px_slice name)
{
        struct row_key from = row_key_u32(0);
        struct px_slice key;
        struct px_slice value;
        int result = px_view_seek(view, PX_TABLE_PRINCIPAL, row_key_slice(&from), false, &key,
                                  &value);

        for (; result == PX_OK; result = px_view_next(view, &key, &value)) {
                struct px_principal_row row;

                if (px_principal_row_decode(value, &egress->arena, &row) == PX_WIRE_OK &&
                    px_slice_equal(row.name, name) && key.length == 4)
                        return (struct px_principal_id){px_get_be32(key.data)};
        }
        return (struct px_principal_id){0};
}

/* "me" or the asker's name. */
static bool is_own(const struct egress *egress, const struct egress_peer *peer, struct px_slice name)
{
        struct keys_entry entry;

        return px_slice_equal(name, px_slice_text("me")) ||
               (keys_find_id(egress->options.keys, peer->principal, &entry) &&
                px_slice_equal(name, px_slice_text(entry.name)));
}

/* Whose jobs are walked. false = nobody's that this peer may see. */
static bool choose_owner(struct list *list, const struct egress_peer *peer)
{
        struct px_slice name = list->query->filter.owner;
        bool own = is_own(list->egress, peer, name);
        struct px_principal_id named;

        if (own || !access_sees_all(peer->role))
                list->owner = peer->principal;
        if (own || name.length == 0)
                return true;
        named = principal_of_name(list->egress, list->view, name);
        if (named.value == 0 ||
            access_read(peer->role, peer->principal, named) != PX_OK)
                return false;
        list->owner = named;
        return true;
}

static void choose_range(struct list *list)
{
        const struct px_m_list *query = list->query;

        list->low = PX_MAX(query->filter.first.value, (uint64_t)1);
        /* Tasks are listed when they are asked for: their numbers stand behind those of all jobs. */
        list->high = query->filter.last.value != 0     ? query->filter.last.value
                     : px_id_is_task(list->low)        ? UINT64_MAX - 1
                                                       : PX_TASK_BIT - 1;
        if (query->cursor != 0 && query->newest_first)
                list->high = PX_MIN(list->high, query->cursor);
        else if (query->cursor != 0)
                list->low = PX_MAX(list->low, query->cursor);
}

void query_list(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                const struct px_m_list *query)
{
        bool any = query->active == query->done;
        struct list list = {.egress = egress,
                            .query = query,
                            .active = any || query->active,
                            .done = any || query->done};
        struct px_m_jobs answer = {0};
        int result = access_read(peer->role, peer->principal, peer->principal);

        if (result == PX_OK)
                result = attempt_view(egress, &list.view);
        if (result != PX_OK) {
                peer_refuse(egress, peer, correlation, result < 0 ? PX_E_BUSY : result, NULL);
                return;
        }
        list.count_max = query->count == 0 ? PX_LIMIT_LIST_ITEMS
                                           : PX_MIN(query->count, (uint32_t)PX_LIMIT_LIST_ITEMS);
        list.jobs = px_arena_alloc(&egress->arena, list.count_max * sizeof *list.jobs);
        choose_range(&list);
        if (choose_owner(&list, peer) && list.low <= list.high)
                answer.cursor = walk(&list);
        px_view_close(list.view);
        answer.jobs = list.jobs;
        answer.jobs_count = list.count;
        px_buf_reset(&egress->frame);
        px_m_jobs_frame(&answer, correlation, 0, &egress->frame);
        (void)peer_send_frame(egress, peer);
}
