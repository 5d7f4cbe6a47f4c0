/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - runs the recorded inputs of a broker through the core again and compares what it
 * wrote.
 *
 *      replay FILE      (made by plexus-broker --record DIR)
 *
 * Exit status: 0 equal, 1 a batch differs (its index is named), 65 not a record, 66 unreadable. */
#include <inttypes.h>
#include <stdio.h>

#include "record.h"

enum {
        EXIT_EQUAL = 0,
        EXIT_DIFFERENT = 1,
        EXIT_USAGE = 64,
        EXIT_NO_RECORD = 65,
        EXIT_UNREADABLE = 66,
};

struct replay {
        struct core *core;
        struct core_output output;
        uint64_t batches;
        uint64_t commands;
        uint64_t rows;
        uint64_t different;
};

static int read_file(const char *path, struct px_buf *ret_bytes)
{
        FILE *file = fopen(path, "rb");
        size_t got = 1;
        bool bad;

        if (file == NULL)
                return -1;
        while (got > 0) {
                px_buf_reserve(ret_bytes, 1 << 20);
                got = fread(ret_bytes->data + ret_bytes->length, 1, 1 << 20, file);
                ret_bytes->length += got;
        }
        bad = ferror(file) != 0;
        fclose(file);
        return bad ? -1 : 0;
}

static void count_rows(struct replay *replay)
{
        size_t offset = 0;
        struct row row;

        while (rows_next(px_buf_slice(&replay->output.rows), &offset, &row))
                replay->rows++;
}

static void compare(struct replay *replay, const struct record_entry *entry)
{
        const struct core_output *output = &replay->output;
        const char *what = NULL;

        if (!px_slice_equal(px_buf_slice(&output->rows), entry->rows))
                what = "rows";
        else if (!px_slice_equal(px_buf_slice(&output->events), entry->events))
                what = "events";
        else if (output->effects_count != entry->effects_count)
                what = "effects";
        count_rows(replay);
        if (what == NULL)
                return;
        replay->different++;
        printf("batch %" PRIu64 ": other %s than recorded\n", output->index, what);
}

static void take(struct replay *replay, const struct record_entry *entry)
{
        switch (entry->kind) {
        case RECORD_OPTIONS:
                replay->core = core_new(&entry->options);
                return;
        case RECORD_ROW:
                /* A row that was set aside then is set aside now. */
                (void)core_load_row(replay->core, entry->table, entry->key, entry->value);
                return;
        case RECORD_LOADED:
                core_load_end(replay->core, entry->wall_ms);
                return;
        case RECORD_PORTS:
                core_set_ports(replay->core, entry->ports[0], entry->ports[1], entry->ports[2]);
                return;
        case RECORD_BATCH:
                core_step(replay->core, &entry->batch, &replay->output);
                core_check(replay->core);
                replay->batches++;
                replay->commands += entry->batch.commands_count;
                return;
        case RECORD_OUTPUT:
                compare(replay, entry);
                return;
        }
        PX_UNREACHABLE();
}

static int run(struct replay *replay, struct px_slice file)
{
        struct px_arena arena = {0};
        struct record_entry entry;
        size_t offset = 0;

        while (record_next(file, &offset, &arena, &entry)) {
                if (replay->core == NULL && entry.kind != RECORD_OPTIONS)
                        break;
                take(replay, &entry);
                px_arena_reset(&arena);
        }
        px_arena_fini(&arena);
        if (replay->core == NULL) {
                fprintf(stderr, "replay: this is not a record of inputs\n");
                return EXIT_NO_RECORD;
        }
        if (offset < file.length)
                printf("the record ends at byte %zu of %zu, in the middle of an entry\n", offset,
                       file.length);
        printf("%" PRIu64 " batches, %" PRIu64 " commands, %" PRIu64 " rows, %" PRIu64
               " different, digest %016" PRIx64 "\n",
               replay->batches, replay->commands, replay->rows, replay->different,
               core_digest(replay->core));
        core_free(replay->core);
        return replay->different == 0 ? EXIT_EQUAL : EXIT_DIFFERENT;
}

int main(int argc, char **argv)
{
        struct replay replay = {0};
        struct px_buf file = {0};
        int status;

        if (argc != 2) {
                fprintf(stderr, "usage: replay FILE\n");
                return EXIT_USAGE;
        }
        if (read_file(argv[1], &file) != 0) {
                perror(argv[1]);
                return EXIT_UNREADABLE;
        }
        status = run(&replay, px_buf_slice(&file));
        core_output_fini(&replay.output);
        px_buf_fini(&file);
        return status;
}
