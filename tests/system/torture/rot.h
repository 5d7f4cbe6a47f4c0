/* SPDX-License-Identifier: Apache-2.0 */
/* rot.h - campaigns of damage at rest: a directory is made once, copied, damaged in one place, and opened
 * by a process of its own, again and again. */
#ifndef ROT_H
#define ROT_H

#include "damage.h"

#define ROT_SERVED 0  /* and all that was served was right */
#define ROT_WRONG 1   /* words stand on standard output */
#define ROT_REFUSED 2 /* in words */

struct rot_subject {
        const char *name;
        /* Make the directory's content; 0 = done. Both run in processes of their own. */
        int (*make)(const char *dir);
        /* Open what was damaged: one of the above. `damaged` is the file; `said` holds what was said on
         * standard error. */
        int (*judge)(const char *dir, const char *damaged, const char *said);
        /* Which file to damage; NULL = any. */
        const char *(*choose)(const struct damage_files *files, struct px_rand *rand);
};

/* Options: --count N, --seed S, --only N (the N-th damage of that seed), --minutes M (instead of a count).
 * The exit status of the program. */
int rot_main(int argc, char **argv, const struct rot_subject *subjects, size_t subjects_count,
             uint64_t count);

#endif
