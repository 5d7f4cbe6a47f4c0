/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - from the options of run and submit to a job's specification. Layer: L4 (client/cli). */
#ifndef CLI_SPEC_H
#define CLI_SPEC_H

#include "command.h"

#define SPEC_LABELS_MAX 64
#define SPEC_NEEDS_MAX 16

/* A specification and the memory it points into. */
struct spec_words {
        struct plexus_job_spec spec;
        struct plexus_pair labels[SPEC_LABELS_MAX];
        struct plexus_array array;
        struct plexus_pair *env;
        size_t env_count;
        size_t env_capacity;
        char *input;
        char *name;
        char cwd[4096];
        struct plexus_resource resources[SPEC_NEEDS_MAX];
        const char *where[SPEC_NEEDS_MAX];
};

/* needs.c */
int spec_add_needs(const struct cli *cli, struct spec_words *words);
void spec_needs_fini(struct spec_words *words);
/* A moment, or +TIME from now. */
int spec_take_moment(const struct cli *cli, const char *option, int64_t *ret_wall_ms);

/* Fill from the options and the words of the command. Returns 0, or an exit code after saying what is wrong. Owns: spec_fini(). */
int spec_from_options(const struct cli *cli, struct spec_words *ret_words);
void spec_fini(struct spec_words *words);
/* Print the specification as JSON (--dry-run). */
void spec_print(const struct spec_words *words);
/* The command that would submit the same again, for people to copy; key = idempotency key to add. */
void spec_print_command(FILE *out, const struct cli *cli, const char *key);

#endif
