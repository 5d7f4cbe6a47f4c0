/* SPDX-License-Identifier: Apache-2.0 */
/* test_rows.c - write-sets: what is built is what is walked; what is malformed ends the walk. */
#include "rows.h"
#include "test.h"

static void two_rows(struct px_buf *rows)
{
        struct row_key key = row_key_u64(1042);

        row_key_add_u16(&key, 7);
        rows_put(rows, 4, &key, px_slice_text("spec"));
        key = row_key_text("core");
        rows_delete(rows, 1, &key);
}

TEST(a_write_set_is_walked_in_the_order_it_was_built)
{
        struct px_buf rows = {0};
        struct row row;
        size_t offset = 0;
        static const uint8_t key[] = {0, 0, 0, 0, 0, 0, 4, 18, 0, 7};

        two_rows(&rows);
        EXPECT(rows_next(px_buf_slice(&rows), &offset, &row));
        EXPECT_INT(row.operation, ROWS_PUT);
        EXPECT_INT(row.table, 4);
        EXPECT_BYTES(row.key, px_slice_of(key, sizeof(key)));
        EXPECT_BYTES(row.value, px_slice_text("spec"));
        EXPECT(rows_next(px_buf_slice(&rows), &offset, &row));
        EXPECT_INT(row.operation, ROWS_DELETE);
        EXPECT_INT(row.table, 1);
        EXPECT_BYTES(row.key, px_slice_text("core"));
        EXPECT_INT(row.value.length, 0);
        EXPECT(!rows_next(px_buf_slice(&rows), &offset, &row));
        EXPECT_INT(offset, rows.length);
        px_buf_fini(&rows);
}

TEST(a_write_set_cut_anywhere_ends_the_walk_before_its_end)
{
        struct px_buf rows = {0};
        size_t whole = 0;
        struct row row;

        two_rows(&rows);
        EXPECT(rows_next(px_buf_slice(&rows), &whole, &row));
        for (size_t cut = 1; cut < rows.length; cut++) {
                size_t offset = 0;

                while (rows_next(px_slice_of(rows.data, cut), &offset, &row))
                        EXPECT(offset <= cut);
                EXPECT_INT(offset, cut < whole ? 0 : whole);
        }
        px_buf_fini(&rows);
}

TEST(a_row_with_a_bad_header_ends_the_walk)
{
        static const struct {
                size_t at;
                uint8_t value;
        } changes[] = {{0, 0}, {0, 3}, {0, ROWS_DELETE}, {2, 1}, {3, 0}, {4, 1}, {6, 8}};

        for (size_t i = 0; i < PX_COUNT_OF(changes); i++) {
                struct px_buf rows = {0};
                struct row_key key = row_key_u32(3);
                struct row row;
                size_t offset = 0;

                rows_put(&rows, 4, &key, px_slice_text("value"));
                rows.data[changes[i].at] = changes[i].value;
                EXPECT(!rows_next(px_buf_slice(&rows), &offset, &row));
                EXPECT_INT(offset, 0);
                px_buf_fini(&rows);
        }
}

TEST(keys_sort_as_their_numbers_do)
{
        static const uint64_t numbers[] = {0, 1, 255, 256, 65535, 1ull << 32, UINT64_MAX};

        for (size_t i = 1; i < PX_COUNT_OF(numbers); i++) {
                struct row_key smaller = row_key_u64(numbers[i - 1]);
                struct row_key larger = row_key_u64(numbers[i]);

                EXPECT(px_slice_compare(row_key_slice(&smaller), row_key_slice(&larger)) < 0);
        }
}

TEST(a_key_longer_than_its_limit_is_a_bug)
{
        struct row_key key = {0};

        for (int i = 0; i < ROWS_KEY_BYTES_MAX / 8; i++)
                row_key_add_u64(&key, 1);
        EXPECT_INT(key.length, ROWS_KEY_BYTES_MAX);
        EXPECT_ABORT(row_key_add_u16(&key, 1));
}
