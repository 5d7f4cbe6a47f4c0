/* SPDX-License-Identifier: Apache-2.0 */
/* remove_tree.c - see remove_tree.h. Layer: L4 (client/cli). */
#include "remove_tree.h"

#include <ftw.h>
#include <stdio.h>

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
        (void)status;
        (void)kind;
        (void)place;
        (void)remove(path);
        return 0;
}

void remove_tree(const char *path)
{
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
