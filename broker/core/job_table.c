/* SPDX-License-Identifier: Apache-2.0 */
/* job_table.c - active jobs by id, in pages of neighbours: ids are given out one after the other, so a
 * backlog costs 8 bytes a job (a hash map of single jobs 32 to 64) and is walked through in order.
 * A page lives while it has a job. Layer: L2 (broker/core). */
#include "state.h"

#define PAGE_JOBS 64

struct job_page {
        uint64_t count;
        struct job *jobs[PAGE_JOBS];
};

void job_table_init(struct job_table *table)
{
        *table = (struct job_table){0};
        slab_init(&table->slab, sizeof(struct job_page));
}

void job_table_fini(struct job_table *table)
{
        px_map_fini(&table->pages);
        slab_fini(&table->slab);
}

struct job *job_table_find(const struct job_table *table, uint64_t id)
{
        const struct job_page *page = px_map_find(&table->pages, id / PAGE_JOBS);

        return page == NULL ? NULL : page->jobs[id % PAGE_JOBS];
}

void job_table_put(struct job_table *table, struct job *job)
{
        struct job_page *page = px_map_find(&table->pages, job->id / PAGE_JOBS);

        if (page == NULL) {
                page = slab_take(&table->slab);
                px_map_put(&table->pages, job->id / PAGE_JOBS, page);
        }
        PX_ASSERT(page->jobs[job->id % PAGE_JOBS] == NULL);
        page->jobs[job->id % PAGE_JOBS] = job;
        page->count++;
        table->count++;
}

void job_table_take(struct job_table *table, const struct job *job)
{
        struct job_page *page = px_map_find(&table->pages, job->id / PAGE_JOBS);

        PX_ASSERT(page != NULL);
        PX_ASSERT(page->jobs[job->id % PAGE_JOBS] == job);
        page->jobs[job->id % PAGE_JOBS] = NULL;
        page->count--;
        table->count--;
        if (page->count > 0)
                return;
        px_map_take(&table->pages, job->id / PAGE_JOBS);
        slab_give(&table->slab, page);
}

struct job *job_table_next(const struct job_table *table, struct job_cursor *cursor)
{
        for (;;) {
                uint64_t number;
                void *page;

                while (cursor->page != NULL && cursor->slot < PAGE_JOBS) {
                        struct job *job = cursor->page->jobs[cursor->slot++];

                        if (job != NULL)
                                return job;
                }
                if (!px_map_next(&table->pages, &cursor->pages, &number, &page))
                        return NULL;
                cursor->page = page;
                cursor->slot = 0;
        }
}
