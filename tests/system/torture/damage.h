/* SPDX-License-Identifier: Apache-2.0 */
/* damage.h - damage at rest: a bit flipped, a file cut short, a page zeroed, two pages swapped. */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "px_base.h"

#define DAMAGE_FILES_MAX 128
#define DAMAGE_NAME_ROOM 120

struct damage_files {
        char names[DAMAGE_FILES_MAX][DAMAGE_NAME_ROOM]; /* below the directory, sorted */
        size_t count;
};

/* List the files below `dir` that hold something. */
void damage_list(const char *dir, struct damage_files *ret_files);
/* Damage one file, in a way that follows from `rand`; in words. */
const char *damage_file(const char *dir, const char *name, struct px_rand *rand);

#endif
