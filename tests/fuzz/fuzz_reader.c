/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_reader.c - any sequence of reader calls on any bytes stays within the bytes, and what the
 * reader skips as one value is one value for msgpack-c too.
 * Input: offset 0  u8  number of calls n (less if the input is shorter)
 *               1  n   calls: low 4 bits which, high 4 bits the limit (2^bits - 1)
 *           1 + n      the message */
#include "px_wire.h"
#include "fuzz.h"

#include <math.h>
#include <msgpack/unpack.h>

static void check_range(struct px_slice range, struct px_slice message, size_t length_max)
{
        if (range.length == 0)
                return;
        PX_ASSERT(range.length <= length_max);
        PX_ASSERT(range.data >= message.data);
        PX_ASSERT(range.data + range.length <= message.data + message.length);
}

static void call(struct px_reader *reader, uint8_t which, struct px_slice message)
{
        uint32_t limit = (1u << (which >> 4)) - 1;
        struct px_slice range;

        switch (which & 0x0F) {
        case 0:
                PX_ASSERT(px_read_array(reader, limit) <= limit);
                break;
        case 1:
                PX_ASSERT(px_read_map(reader, limit) <= limit);
                break;
        case 2:
                px_read_bool(reader);
                break;
        case 3:
                PX_ASSERT(px_read_u64(reader, limit) <= limit);
                break;
        case 4:
                PX_ASSERT(px_read_i64(reader, -(int64_t)limit, limit) <= limit);
                break;
        case 5:
                PX_ASSERT(isfinite(px_read_f64(reader)));
                break;
        case 6:
                range = px_read_text(reader, limit);
                check_range(range, message, limit);
                PX_ASSERT(px_slice_is_text(range));
                break;
        case 7:
                check_range(px_read_bytes(reader, limit), message, limit);
                break;
        case 8:
                px_read_nil(reader);
                break;
        case 9:
                px_read_end(reader);
                break;
        default:
                px_read_skip(reader);
                break;
        }
}

static void check_reader(const struct px_reader *reader, const struct px_reader *before,
                         struct px_slice message)
{
        PX_ASSERT(reader->at >= before->at);
        PX_ASSERT(reader->at <= message.data + message.length);
        PX_ASSERT(before->error == PX_WIRE_OK ||
                  (reader->error == before->error && reader->at == before->at));
}

/* What we skip as one whole value, an independent parser finds to end at the same byte. */
static void check_skip_against_msgpack(struct px_slice message)
{
        struct px_reader reader;
        msgpack_unpacked unpacked;
        size_t offset = 0;

        px_reader_init(&reader, message);
        px_read_skip(&reader);
        if (reader.error != PX_WIRE_OK)
                return;
        msgpack_unpacked_init(&unpacked);
        PX_ASSERT(msgpack_unpack_next(&unpacked, (const char *)message.data, message.length,
                                      &offset) == MSGPACK_UNPACK_SUCCESS);
        PX_ASSERT(offset == (size_t)(reader.at - message.data));
        msgpack_unpacked_destroy(&unpacked);
}

static void check_header(struct px_slice message)
{
        struct px_wire_header header;
        struct px_slice body;
        struct px_buf again = {0};

        if (px_wire_get_header(message, &header, &body) != PX_WIRE_OK)
                return;
        px_wire_put_header(&again, header);
        px_buf_append_slice(&again, body);
        PX_ASSERT(px_slice_equal(px_buf_slice(&again), message));
        px_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        size_t calls = length == 0 ? 0 : PX_MIN((size_t)data[0], length - 1);
        struct px_slice message = PX_SLICE_NONE;
        struct px_reader reader;

        if (length > 1 + calls)
                message = px_slice_of(data + 1 + calls, length - 1 - calls);
        check_header(message);
        check_skip_against_msgpack(message);
        px_reader_init(&reader, message);
        message.data = reader.at; /* never NULL, also when there is no message */
        for (size_t i = 0; i < calls; i++) {
                struct px_reader before = reader;

                call(&reader, data[1 + i], message);
                check_reader(&reader, &before, message);
        }
        return 0;
}
