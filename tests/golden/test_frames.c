/* SPDX-License-Identifier: Apache-2.0 */
/* test_frames.c - the wire and the store stay readable: frames/RELEASE/NAME.hex holds one frame of
 * each message (NAME = SUBMIT) and one value of each stored record (NAME = job) as that release
 * wrote them. All must decode for ever; those of the present release come out the same again.
 * A new message gets its file, and a changed one of an unreleased schema a new one, by running this
 * program with PX_GOLDEN_WRITE=1. Files of earlier releases are never written again.
 * Format: two hex digits a byte, 32 bytes a line. */
#include "test.h"
#include "fill.h"
#include "px_codec.h"
#include "px_tables.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES 32
#define CONTENTS 32

static struct px_arena arena;
static struct px_buf path;
static struct px_buf text;
static struct px_buf bytes;
static struct px_buf again;

static void frames_end(void *context)
{
        (void)context;
        px_arena_fini(&arena);
        px_buf_fini(&path);
        px_buf_fini(&text);
        px_buf_fini(&bytes);
        px_buf_fini(&again);
}

/* type 0 is a record */
static void write_value(uint16_t type, const struct px_layout *layout, const void *value,
                        uint64_t correlation, struct px_buf *out)
{
        px_buf_reset(out);
        if (type == 0)
                px_layout_write(layout, value, out);
        else
                px_layout_frame(layout, type, value, correlation, 0, PX_LIMIT_MESSAGE_BYTES, out);
}

static void hex_write(struct px_slice from)
{
        px_buf_reset(&text);
        for (size_t i = 0; i < from.length; i++)
                px_buf_format(&text, "%02x%s", from.data[i],
                              (i + 1) % LINE_BYTES == 0 || i + 1 == from.length ? "\n" : "");
}

static int hex_digit(uint8_t letter)
{
        if (letter >= '0' && letter <= '9')
                return letter - '0';
        EXPECT(letter >= 'a' && letter <= 'f');
        return letter - 'a' + 10;
}

static void hex_read(void)
{
        px_buf_reset(&bytes);
        for (size_t i = 0; i < text.length; i += 2) {
                uint8_t byte;

                if (text.data[i] == '\n')
                        i++;
                if (i == text.length)
                        break;
                EXPECT(i + 1 < text.length);
                byte = (uint8_t)(hex_digit(text.data[i]) << 4 | hex_digit(text.data[i + 1]));
                px_buf_append(&bytes, &byte, 1);
        }
}

static void path_set(const char *release, const char *name)
{
        px_buf_reset(&path);
        px_buf_format(&path, "%s/frames/%s/%s.hex", PX_GOLDEN_DIR, release, name);
        px_buf_append(&path, "", 1);
}

/* Decode the file's value and encode it into `again`. */
static void read_again(uint16_t type, const struct px_layout *layout)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];
        struct px_wire_header header = {0};
        struct px_slice body;

        px_buf_reset(&text);
        if (!test_read_file((const char *)path.data, &text))
                test_fail(__FILE__, __LINE__, "%s is missing; run with PX_GOLDEN_WRITE=1",
                          (const char *)path.data);
        hex_read();
        body = px_buf_slice(&bytes);
        if (type != 0) {
                EXPECT_INT(px_wire_get_header(px_buf_slice(&bytes), &header, &body), PX_WIRE_OK);
                EXPECT_INT(header.type, type);
        }
        px_arena_reset(&arena);
        if (px_layout_decode(layout, body, &arena, value) != PX_WIRE_OK)
                test_fail(__FILE__, __LINE__, "%s cannot be read any more",
                          (const char *)path.data);
        write_value(type, layout, value, header.correlation, &again);
}

static void check_present(uint16_t type, const struct px_layout *layout)
{
        path_set(PX_PRODUCT_VERSION, layout->name);
        read_again(type, layout);
        if (!px_slice_equal(px_buf_slice(&again), px_buf_slice(&bytes)))
                test_fail(__FILE__, __LINE__,
                          "%s comes out otherwise; if the change of an unreleased schema is "
                          "wanted, run with PX_GOLDEN_WRITE=1",
                          (const char *)path.data);
}

/* Of so many random contents keep the longest, whose lists are filled, in `bytes`. */
static void fill_longest(uint16_t type, const struct px_layout *layout)
{
        _Alignas(8) uint8_t value[PX_LAYOUT_BYTES_MAX];
        struct px_rand rand;

        px_buf_reset(&bytes);
        px_rand_init(&rand, px_hash64(0, layout->name, strlen(layout->name)));
        for (int i = 0; i < CONTENTS; i++) {
                px_arena_reset(&arena);
                fill_layout(layout, &rand, &arena, value);
                write_value(type, layout, value, px_rand_u64(&rand), &again);
                if (again.length > bytes.length) {
                        px_buf_reset(&bytes);
                        px_buf_append_slice(&bytes, px_buf_slice(&again));
                }
        }
}

static void write_present(uint16_t type, const struct px_layout *layout)
{
        FILE *file;

        fill_longest(type, layout);
        hex_write(px_buf_slice(&bytes));
        path_set(PX_PRODUCT_VERSION, layout->name);
        file = fopen((const char *)path.data, "wbe");
        EXPECT(file != NULL);
        EXPECT_INT(fwrite(text.data, 1, text.length, file), text.length);
        EXPECT_INT(fclose(file), 0);
}

static void each_present(void (*call)(uint16_t type, const struct px_layout *layout))
{
        for (size_t i = 0; i < px_messages_count; i++)
                call(px_messages[i].type, px_messages[i].layout);
        for (size_t i = 0; i < px_rows_count; i++)
                call(0, px_rows[i].layout);
}

TEST(frames_and_rows_of_this_release_come_out_as_they_are_kept)
{
        test_cleanup(frames_end, NULL);
        if (getenv("PX_GOLDEN_WRITE") != NULL)
                each_present(write_present);
        each_present(check_present);
}

/* The layout behind a file's name; *ret_type is 0 for a record. */
static const struct px_layout *layout_of(const char *name, size_t length, uint16_t *ret_type)
{
        struct px_slice wanted = px_slice_of(name, length);

        *ret_type = 0;
        for (size_t i = 0; i < px_rows_count; i++) {
                if (px_slice_equal(px_slice_text(px_rows[i].layout->name), wanted))
                        return px_rows[i].layout;
        }
        for (size_t i = 0; i < px_messages_count; i++) {
                *ret_type = px_messages[i].type;
                if (px_slice_equal(px_slice_text(px_messages[i].name), wanted))
                        return px_messages[i].layout;
        }
        return NULL;
}

static int check_release(const char *release)
{
        struct dirent *entry;
        int files = 0;
        DIR *folder;

        px_buf_reset(&path);
        px_buf_format(&path, "%s/frames/%s", PX_GOLDEN_DIR, release);
        px_buf_append(&path, "", 1);
        folder = opendir((const char *)path.data);
        EXPECT(folder != NULL);
        while ((entry = readdir(folder)) != NULL) {
                size_t length = strlen(entry->d_name);
                const struct px_layout *layout;
                uint16_t type;

                if (entry->d_name[0] == '.')
                        continue;
                EXPECT(length > 4);
                layout = layout_of(entry->d_name, length - 4, &type);
                if (layout == NULL)
                        test_fail(__FILE__, __LINE__, "%s/%s is of no message or record", release,
                                  entry->d_name);
                entry->d_name[length - 4] = '\0';
                path_set(release, entry->d_name);
                read_again(type, layout);
                files++;
        }
        closedir(folder);
        return files;
}

TEST(frames_and_rows_of_every_release_can_be_read)
{
        struct dirent *entry;
        int files = 0;
        DIR *folder = opendir(PX_GOLDEN_DIR "/frames");

        test_cleanup(frames_end, NULL);
        EXPECT(folder != NULL);
        while ((entry = readdir(folder)) != NULL) {
                if (entry->d_name[0] != '.')
                        files += check_release(entry->d_name);
        }
        closedir(folder);
        EXPECT(files > 70);
}
