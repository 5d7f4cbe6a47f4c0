/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - runs a fuzz target once on every file of its corpus folder: the fuzz targets as
 * ordinary tests of every build, by any compiler.
 * usage: replay FOLDER */
#include "fuzz.h"
#include "px_base.h"

#include <dirent.h>
#include <stdio.h>

static const char *current;
static int passed;

/* A target fails by an assertion: name the input before the process ends. */
static void report_failure(void)
{
        printf("FAIL %s\n%d passed, 1 failed\n", current, passed);
        fflush(stdout);
}

static void read_file(const char *path, struct px_buf *ret_bytes)
{
        FILE *file = fopen(path, "rbe");
        size_t got;

        PX_ASSERT(file != NULL);
        do {
                px_buf_reserve(ret_bytes, 4096);
                got = fread(ret_bytes->data + ret_bytes->length, 1, 4096, file);
                ret_bytes->length += got;
        } while (got > 0);
        fclose(file);
}

static void replay_file(const char *folder, const char *name)
{
        struct px_buf path = {0};
        struct px_buf bytes = {0};
        uint8_t *exact;

        current = name;
        px_buf_format(&path, "%s/%s", folder, name);
        px_buf_append(&path, "", 1);
        read_file((const char *)path.data, &bytes);
        /* Memory of exactly the input's size, so that sanitizers see one byte too far. */
        exact = px_alloc(PX_MAX(bytes.length, (size_t)1));
        if (bytes.length > 0)
                memcpy(exact, bytes.data, bytes.length);
        LLVMFuzzerTestOneInput(exact, bytes.length);
        passed++;
        px_free(exact);
        px_buf_fini(&bytes);
        px_buf_fini(&path);
}

int main(int argc, char **argv)
{
        struct dirent *entry;
        DIR *folder;

        px_assert_hook = report_failure;
        folder = argc == 2 ? opendir(argv[1]) : NULL;
        if (folder == NULL) {
                fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
                return 2;
        }
        while ((entry = readdir(folder)) != NULL)
                if (entry->d_name[0] != '.')
                        replay_file(argv[1], entry->d_name);
        closedir(folder);
        printf("%d passed, 0 failed\n", passed);
        return passed == 0;
}
