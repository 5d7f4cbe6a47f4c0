/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - writes the file of inputs. A failed write ends the record, not the broker.
 * Layer: L4 (broker/shell). */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "record_format.h"

struct record {
        int fd; /* -1 after a failed write */
        struct px_buf entry;
};

static void put_u16(struct px_buf *buf, uint16_t value)
{
        px_put_be16(px_buf_grow(buf, sizeof(value)), value);
}

static void put_u32(struct px_buf *buf, uint32_t value)
{
        px_put_be32(px_buf_grow(buf, sizeof(value)), value);
}

static void put_u64(struct px_buf *buf, uint64_t value)
{
        px_put_be64(px_buf_grow(buf, sizeof(value)), value);
}

static void put_u8(struct px_buf *buf, uint8_t value)
{
        *px_buf_grow(buf, 1) = value;
}

static void put_short(struct px_buf *buf, struct px_slice bytes)
{
        PX_ASSERT(bytes.length <= UINT16_MAX);
        put_u16(buf, (uint16_t)bytes.length);
        px_buf_append_slice(buf, bytes);
}

static void put_long(struct px_buf *buf, struct px_slice bytes)
{
        PX_ASSERT(bytes.length <= UINT32_MAX);
        put_u32(buf, (uint32_t)bytes.length);
        px_buf_append_slice(buf, bytes);
}

/* ---- entries --------------------------------------------------------------------------------- */

static struct px_buf *begin(struct record *record, enum record_kind kind)
{
        px_buf_reset(&record->entry);
        put_u8(&record->entry, (uint8_t)kind);
        put_u32(&record->entry, 0); /* the length, known at the end */
        return &record->entry;
}

static void write_all(struct record *record, struct px_slice bytes)
{
        size_t done = 0;

        while (record->fd >= 0 && done < bytes.length) {
                ssize_t put = write(record->fd, bytes.data + done, bytes.length - done);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0) {
                        perror("plexus-broker: the record of inputs ends here");
                        close(record->fd);
                        record->fd = -1;
                        return;
                }
                done += (size_t)put;
        }
}

static void end(struct record *record)
{
        struct px_buf *entry = &record->entry;
        size_t length = entry->length - RECORD_HEADER_BYTES;

        PX_ASSERT(length <= UINT32_MAX);
        px_put_be32(entry->data + 1, (uint32_t)length);
        put_u32(entry, px_crc32c(0, entry->data, entry->length));
        write_all(record, px_buf_slice(entry));
}

int record_open(const char *dir, const struct core_options *options, struct record **ret_record)
{
        struct record *record;
        struct px_buf *entry;
        char path[PATH_MAX];
        int fd;

        if (snprintf(path, sizeof(path), "%s/inputs-%" PRIu64, dir, options->epoch) >=
            (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        record = px_alloc(sizeof(*record));
        record->fd = fd;
        write_all(record, px_slice_text(RECORD_MAGIC));
        entry = begin(record, RECORD_OPTIONS);
        put_u64(entry, options->epoch);
        put_u64(entry, options->heartbeat_ms);
        put_u64(entry, options->lease_ms);
        put_u64(entry, options->session_ms);
        put_u64(entry, options->assign_repeat_ms);
        put_u64(entry, options->jobs_max);
        put_u64(entry, options->prefetch_tasks);
        end(record);
        *ret_record = record;
        return 0;
}

void record_close(struct record *record)
{
        if (record == NULL)
                return;
        if (record->fd >= 0)
                close(record->fd);
        px_buf_fini(&record->entry);
        px_free(record);
}

void record_row(struct record *record, uint8_t table, struct px_slice key, struct px_slice value)
{
        struct px_buf *entry;

        if (record == NULL)
                return;
        entry = begin(record, RECORD_ROW);
        put_u8(entry, table);
        put_short(entry, key);
        px_buf_append_slice(entry, value);
        end(record);
}

void record_loaded(struct record *record, int64_t wall_ms)
{
        if (record == NULL)
                return;
        put_u64(begin(record, RECORD_LOADED), (uint64_t)wall_ms);
        end(record);
}

void record_ports(struct record *record, uint32_t node, uint32_t data, uint32_t events)
{
        struct px_buf *entry;

        if (record == NULL)
                return;
        entry = begin(record, RECORD_PORTS);
        put_u64(entry, node);
        put_u64(entry, data);
        put_u64(entry, events);
        end(record);
}

static void put_command(struct px_buf *entry, const struct core_command *command)
{
        put_u8(entry, command->origin);
        put_u64(entry, command->peer);
        put_u32(entry, command->principal.value);
        put_u16(entry, command->header.type);
        put_u16(entry, command->header.flags);
        put_u16(entry, command->header.count);
        put_u64(entry, command->header.correlation);
        put_long(entry, command->body);
        put_u32(entry, (uint32_t)command->facts_count);
        for (size_t i = 0; i < command->facts_count; i++) {
                const struct core_fact *fact = &command->facts[i];

                put_u8(entry, fact->table);
                put_short(entry, fact->key);
                put_u8(entry, fact->found);
                put_long(entry, fact->value);
        }
}

void record_batch(struct record *record, const struct core_batch *batch)
{
        struct px_buf *entry;

        if (record == NULL)
                return;
        entry = begin(record, RECORD_BATCH);
        put_u64(entry, batch->epoch);
        put_u64(entry, batch->index);
        put_u64(entry, (uint64_t)batch->core_ms);
        put_u64(entry, (uint64_t)batch->wall_ms);
        put_u64(entry, batch->seed);
        put_u32(entry, (uint32_t)batch->commands_count);
        for (size_t i = 0; i < batch->commands_count; i++)
                put_command(entry, &batch->commands[i]);
        end(record);
}

void record_output(struct record *record, const struct core_output *output)
{
        struct px_buf *entry;

        if (record == NULL)
                return;
        entry = begin(record, RECORD_OUTPUT);
        put_long(entry, px_buf_slice(&output->rows));
        put_long(entry, px_buf_slice(&output->events));
        put_u32(entry, (uint32_t)output->effects_count);
        end(record);
}
