/* SPDX-License-Identifier: Apache-2.0 */
/* select.h - from the words of `plexus help selectors` and `filters` to jobs. Layer: L4 (client/cli). */
#ifndef CLI_SELECT_H
#define CLI_SELECT_H

#include "command.h"

#define SELECT_LABELS_MAX 16

/* A filter under construction; its strings are copies that live until filter_words_fini(). */
struct filter_words {
        struct plexus_filter filter;
        struct plexus_pair labels[SELECT_LABELS_MAX];
        char **memory; /* the copies */
        size_t memory_count;
};

/* Add the word KEY=VALUE or KEY~PART. Returns 0, or an exit code after saying what is wrong. */
int filter_add_word(const struct cli *cli, struct filter_words *words, const char *word);
void filter_words_fini(struct filter_words *words);
/* Is this word a filter (and not an id)? */
bool filter_is_word(const char *word);

/* Jobs by number, in the order named, each once. */
struct job_list {
        uint64_t *ids;
        size_t count;
        size_t capacity;
};
void job_list_add(struct job_list *list, uint64_t id);
void job_list_fini(struct job_list *list);

/* One number or range of the selectors (5, 1-10:2, 1042., 1042.3-9) into the filter; false: it is none. */
bool select_range(const char *word, struct plexus_filter *filter);
/* Resolve selectors (1042, 1-10:2, 1042.7, 1042., 1,3, last, all, name:X, @K=V, filters) to jobs. Ranges and words
 * are asked of the broker; plain numbers are taken as they are. ended = words like `all` and ranges
 * look at ended jobs too; narrow = a filter word that every job must pass (NULL = none). Returns 0; CLI_NO_MATCH when nothing matches (said); CLI_USAGE; CLI_... */
int select_jobs(struct cli *cli, const char *const *words, size_t count, bool ended,
                const char *narrow, struct job_list *ret_list);
/* Put the tasks of an array, those that began and stand in one of `states` (bits; 0 = any), in its place.
 * rest: and the array itself, when it has tasks that never began. Returns an exit code. */
int select_tasks(struct cli *cli, uint32_t states, bool rest, struct job_list *list);
/* Call `visit` for every job the filter finds, page by page; false ends. Returns an exit code. */
int select_each(struct cli *cli, const struct plexus_filter *filter,
                bool (*visit)(void *context, const struct plexus_job *job), void *context);

#endif
