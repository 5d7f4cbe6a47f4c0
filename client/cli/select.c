/* SPDX-License-Identifier: Apache-2.0 */
/* select.c - see select.h. Layer: L4 (client/cli). */
#include "select.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE_JOBS 1000
#define RANGE_JOBS_MAX 10000000

/* ---- filters ----------------------------------------------------------------------------------------- */

static int64_t now_wall_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *keep(struct filter_words *words, const char *text, size_t length)
{
        char *copy = strndup(text, length);
        char **memory = realloc(words->memory, (words->memory_count + 1) * sizeof *memory);

        if (copy == NULL || memory == NULL)
                abort();
        words->memory = memory;
        words->memory[words->memory_count++] = copy;
        return copy;
}

void filter_words_fini(struct filter_words *words)
{
        for (size_t i = 0; i < words->memory_count; i++)
                free(words->memory[i]);
        free(words->memory);
        words->memory = NULL;
        words->memory_count = 0;
}

bool filter_is_word(const char *word)
{
        return isalpha((unsigned char)word[0]) && strpbrk(word, "=~") != NULL &&
               strncmp(word, "name:", 5) != 0;
}

static uint32_t states_active(void)
{
        uint32_t bits = 0;

        for (int state = PLEXUS_BLOCKED; state <= PLEXUS_CANCELLING; state++)
                bits |= UINT32_C(1) << state;
        return bits;
}

static int add_states(const struct cli *cli, struct filter_words *words, const char *value)
{
        while (*value != '\0') {
                size_t length = strcspn(value, ",");
                char *name = keep(words, value, length);
                int state = plexus_state_from_name(name);

                if (strcmp(name, "active") == 0) {
                        words->filter.states |= states_active();
                        words->filter.active = true;
                } else if (strcmp(name, "done") == 0) {
                        words->filter.states |= ~states_active();
                        words->filter.done = true;
                } else if (state != 0) {
                        words->filter.states |= UINT32_C(1) << state;
                        words->filter.done |= plexus_state_ended(state);
                        words->filter.active |= !plexus_state_ended(state);
                } else {
                        return cli_fail(cli, CLI_USAGE,
                                        "there is no state \"%s\": blocked, queued, assigned, running, "
                                        "cancelling, ok, failed, cancelled, timeout, lost, skipped, active "
                                        "or done",
                                        name);
                }
                value += length + (value[length] == ',');
        }
        return 0;
}

static int add_label(const struct cli *cli, struct filter_words *words, const char *key, const char *value)
{
        if (words->filter.labels_count == SELECT_LABELS_MAX)
                return cli_fail(cli, CLI_USAGE, "more than %d labels in one filter", SELECT_LABELS_MAX);
        words->labels[words->filter.labels_count++] = (struct plexus_pair){key, value};
        words->filter.labels = words->labels;
        return 0;
}

static int add_moment(const struct cli *cli, const char *key, const char *value, int64_t *ret_wall_ms)
{
        if (cli_parse_since(value, now_wall_ms(), ret_wall_ms))
                return 0;
        return cli_fail(cli, CLI_USAGE, "%s=%s is not a time (like 2h or 2026-01-31T18:00)", key, value);
}

int filter_add_word(const struct cli *cli, struct filter_words *words, const char *word)
{
        size_t length = strcspn(word, "=~");
        bool part = word[length] == '~';
        const char *key = keep(words, word, length);
        const char *value = word[length] == '\0' ? NULL : keep(words, word + length + 1, strlen(word + length + 1));
        struct plexus_filter *filter = &words->filter;

        if (strncmp(key, "label.", 6) == 0 && !part)
                return add_label(cli, words, key + 6, value);
        if (value != NULL && strcmp(key, "name") == 0) {
                filter->name = value;
                filter->name_part = part;
                return 0;
        }
        if (value == NULL || part)
                return cli_fail(cli, CLI_USAGE, "\"%s\" is not a filter; see \"plexus help filters\"", word);
        if (strcmp(key, "state") == 0)
                return add_states(cli, words, value);
        if (strcmp(key, "user") == 0 || strcmp(key, "owner") == 0)
                filter->owner = value;
        else if (strcmp(key, "node") == 0)
                filter->node = value;
        else if (strcmp(key, "since") == 0)
                return add_moment(cli, key, value, &filter->since_ms);
        else if (strcmp(key, "until") == 0)
                return add_moment(cli, key, value, &filter->until_ms);
        else
                return cli_fail(cli, CLI_USAGE, "there is no filter \"%s\": state, user, name, node, since, "
                                                "until or label.KEY", key);
        return 0;
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

void job_list_add(struct job_list *list, uint64_t id)
{
        if (list->count == list->capacity) {
                list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
                list->ids = reallocarray(list->ids, list->capacity, sizeof *list->ids);
                if (list->ids == NULL)
                        abort();
        }
        list->ids[list->count++] = id;
}

void job_list_fini(struct job_list *list)
{
        free(list->ids);
        *list = (struct job_list){0};
}

static int compare_ids(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a;
        uint64_t y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static bool ascending(const struct job_list *list)
{
        for (size_t i = 1; i < list->count; i++)
                if (list->ids[i] <= list->ids[i - 1])
                        return false;
        return true;
}

/* Drop repeats: a list that isn't ascending is sorted first. */
static void job_list_unique(struct job_list *list)
{
        size_t kept = 0;

        if (ascending(list))
                return;
        qsort(list->ids, list->count, sizeof *list->ids, compare_ids);
        for (size_t i = 0; i < list->count; i++)
                if (kept == 0 || list->ids[i] != list->ids[kept - 1])
                        list->ids[kept++] = list->ids[i];
        list->count = kept;
}

int select_each(struct cli *cli, const struct plexus_filter *filter,
                bool (*visit)(void *context, const struct plexus_job *job), void *context)
{
        uint64_t cursor = 0;
        bool going = true;

        do {
                struct plexus_list page = {0};
                int error = plexus_jobs(cli->px, filter, cursor, PAGE_JOBS, &page);

                if (error != PLEXUS_OK)
                        return cli_refused(cli, error, "");
                for (size_t i = 0; i < page.count && going; i++)
                        going = visit(context, &page.jobs[i]);
                cursor = page.cursor;
                plexus_list_fini(&page);
        } while (cursor != 0 && going);
        return 0;
}

static bool visit_add(void *context, const struct plexus_job *job)
{
        job_list_add(context, job->id);
        return true;
}

static bool visit_add_one(void *context, const struct plexus_job *job)
{
        job_list_add(context, job->id);
        return false;
}

/* ---- selectors ------------------------------------------------------------------------------------------------ */

#define TASK_MAX 8388607

/* 1042.7, 1042.3-9, 1042.3-9:2 and 1042. for all its tasks: the part behind the point. */
static bool parse_tasks(const char **text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_step)
{
        uint64_t array = *ret_first;
        uint64_t first = 0;
        uint64_t last = TASK_MAX;
        char *end = (char *)*text + 1;

        if (isdigit((unsigned char)*end)) {
                first = last = strtoull(end, &end, 10);
                if (*end == '-' && isdigit((unsigned char)end[1]))
                        last = strtoull(end + 1, &end, 10);
        }
        if (*end == ':' && isdigit((unsigned char)end[1]))
                *ret_step = strtoull(end + 1, &end, 10);
        *text = end;
        if (array == 0 || array >= UINT64_C(1) << 40 || last > TASK_MAX || first > last)
                return false;
        *ret_first = plexus_task_id(array, (uint32_t)first);
        *ret_last = plexus_task_id(array, (uint32_t)last);
        return true;
}

/* 5, 1-10, 1-10:2 at *text, ended by ',' or the end; false when it is none of these. */
static bool parse_range(const char **text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_step)
{
        char *end;

        if (!isdigit((unsigned char)**text))
                return false;
        *ret_first = *ret_last = strtoull(*text, &end, 10);
        *ret_step = 1;
        *text = end;
        if (*end == '.' && !parse_tasks(text, ret_first, ret_last, ret_step))
                return false;
        end = (char *)*text;
        if (*end == '-' && isdigit((unsigned char)end[1])) {
                *ret_last = strtoull(end + 1, &end, 10);
                if (*end == ':' && isdigit((unsigned char)end[1]))
                        *ret_step = strtoull(end + 1, &end, 10);
        }
        *text = end;
        return (*end == ',' || *end == '\0') && *ret_first > 0 && *ret_step > 0 && *ret_last >= *ret_first;
}

bool select_range(const char *word, struct plexus_filter *filter)
{
        return parse_range(&word, &filter->first, &filter->last, &filter->step) && *word == '\0';
}

static int select_numbers(struct cli *cli, const char *word, bool ended, struct job_list *list)
{
        const char *at = word;

        while (*at != '\0') {
                struct plexus_filter filter = {.active = true, .done = ended};
                int code;

                if (!parse_range(&at, &filter.first, &filter.last, &filter.step))
                        return cli_fail(cli, CLI_USAGE, "\"%s\" names no job; see \"plexus help selectors\"",
                                        word);
                if (filter.last - filter.first >= RANGE_JOBS_MAX)
                        return cli_fail(cli, CLI_USAGE, "\"%s\" is a range of more than %d jobs", word,
                                        RANGE_JOBS_MAX);
                if (filter.first == filter.last) {
                        job_list_add(list, filter.first);
                } else {
                        code = select_each(cli, &filter, visit_add, list);
                        if (code != 0)
                                return code;
                }
                if (*at == ',')
                        at++;
        }
        return 0;
}

/* name:X, @K=V and the words that are no numbers and no filters. */
static int select_word(struct cli *cli, const char *word, bool ended, struct job_list *list)
{
        struct filter_words words = {.filter = {.active = true, .done = ended}};
        int code = 0;

        if (strcmp(word, "all") == 0) {
                words.filter.owner = "me";
        } else if (strcmp(word, "last") == 0) {
                words.filter.owner = "me";
                words.filter.done = true;
                words.filter.newest_first = true;
                return select_each(cli, &words.filter, visit_add_one, list);
        } else if (strncmp(word, "name:", 5) == 0) {
                words.filter.name = word + 5;
        } else if (word[0] == '@') {
                char label[300];

                snprintf(label, sizeof label, "label.%s", word + 1);
                code = filter_add_word(cli, &words, label);
        } else {
                code = cli_fail(cli, CLI_USAGE, "\"%s\" names no job; see \"plexus help selectors\"", word);
        }
        if (code == 0)
                code = select_each(cli, &words.filter, visit_add, list);
        filter_words_fini(&words);
        return code;
}

/* Keep those of the list that pass the filter word. */
static int keep_passing(struct cli *cli, const char *narrow, struct job_list *list)
{
        struct filter_words words = {0};
        struct job_list passing = {0};
        int code = filter_add_word(cli, &words, narrow);

        for (size_t i = 0; i < list->count && code == 0; i++) {
                words.filter.first = words.filter.last = list->ids[i];
                words.filter.step = 1;
                code = select_each(cli, &words.filter, visit_add, &passing);
        }
        filter_words_fini(&words);
        job_list_fini(list);
        *list = passing;
        return code;
}

int select_jobs(struct cli *cli, const char *const *words, size_t count, bool ended,
                const char *narrow, struct job_list *ret_list)
{
        struct filter_words filters = {0};
        size_t filters_count = 0;
        int code = 0;

        for (size_t i = 0; i < count && code == 0; i++) {
                if (filter_is_word(words[i])) {
                        code = filter_add_word(cli, &filters, words[i]);
                        filters_count++;
                } else if (isdigit((unsigned char)words[i][0])) {
                        code = select_numbers(cli, words[i], ended, ret_list);
                } else {
                        code = select_word(cli, words[i], ended, ret_list);
                }
        }
        if (code == 0 && filters_count > 0) {
                if (filters.filter.states == 0) {
                        filters.filter.active = true;
                        filters.filter.done = ended;
                }
                code = select_each(cli, &filters.filter, visit_add, ret_list);
        }
        filter_words_fini(&filters);
        job_list_unique(ret_list);
        if (code == 0 && narrow != NULL)
                code = keep_passing(cli, narrow, ret_list);
        if (code == 0 && ret_list->count == 0)
                code = cli_fail(cli, CLI_NO_MATCH, "nothing matches");
        return code;
}

/* ---- arrays ---------------------------------------------------------------------------------------------------- */

static bool visit_keep(void *context, const struct plexus_job *job)
{
        *(struct plexus_job *)context = *job;
        return false;
}

int select_tasks(struct cli *cli, uint32_t states, bool rest, struct job_list *list)
{
        struct job_list tasks = {0};
        int code = 0;

        for (size_t i = 0; i < list->count && code == 0; i++) {
                uint64_t id = list->ids[i];
                struct plexus_filter one = {.first = id, .last = id, .step = 1, .active = true, .done = true};
                struct plexus_filter all = {.step = 1, .active = true, .done = true, .states = states};
                struct plexus_job job = {0};

                if (!plexus_id_is_task(id))
                        code = select_each(cli, &one, visit_keep, &job);
                if (code == 0 && job.tasks > 0) {
                        all.first = plexus_task_id(id, 0);
                        all.last = plexus_task_id(id, TASK_MAX);
                        code = select_each(cli, &all, visit_add, &tasks);
                }
                if (job.tasks == 0 || (rest && job.tasks_made < job.tasks))
                        job_list_add(&tasks, id);
        }
        job_list_fini(list);
        *list = tasks;
        if (code == 0 && list->count == 0)
                code = cli_fail(cli, CLI_NO_MATCH, "nothing matches");
        return code;
}
