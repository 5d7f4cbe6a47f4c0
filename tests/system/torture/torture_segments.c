/* SPDX-License-Identifier: Apache-2.0 */
/* torture_segments.c - damage at rest in the output of jobs: segments and their sidecars. Every byte that is
 * served is the one that was stored; what is missing was named, unless it stood at the torn end of the
 * last segment. Options: see rot.h. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "px_schema.h"
#include "rot.h"
#include "segment.h"

#define COUNT 500
#define STREAMS 16
#define ROUNDS 10
#define CHUNK_BYTES_MAX 9000
#define SEGMENT_BYTES (64u << 10)

static const struct segments_options *options(const char *dir)
{
        static struct segments_options all;

        all = (struct segments_options){.dir = dir, .segment_bytes = SEGMENT_BYTES};
        return &all;
}

static struct segment_key key_of(unsigned stream)
{
        return (struct segment_key){.job = {1 + stream / 4}, .attempt = 1 + stream / 2 % 2,
                                    .stream = 1 + (int)(stream % 2)};
}

/* The byte of a stream at an offset; never 0, as a hole is. */
static uint8_t byte_of(unsigned stream, uint64_t offset)
{
        return (uint8_t)(1 + (offset * 131 + offset / 251 + stream * 17) % 255);
}

static size_t chunk_bytes(unsigned stream, unsigned round)
{
        return 1 + (stream * 7919 + round * 104729) % CHUNK_BYTES_MAX;
}

static uint64_t length_of(unsigned stream)
{
        uint64_t length = 0;

        for (unsigned round = 0; round < ROUNDS; round++)
                length += chunk_bytes(stream, round);
        return length;
}

static int make(const char *dir)
{
        uint64_t offsets[STREAMS] = {0};
        static uint8_t bytes[CHUNK_BYTES_MAX];
        struct segments *segments;
        char text[200];

        if (segments_open(options(dir), &segments, text, sizeof(text)) != 0)
                return 1;
        for (unsigned round = 0; round < ROUNDS; round++) {
                for (unsigned stream = 0; stream < STREAMS; stream++) {
                        size_t length = chunk_bytes(stream, round);

                        for (size_t i = 0; i < length; i++)
                                bytes[i] = byte_of(stream, offsets[stream] + i);
                        if (segments_append(segments, key_of(stream), offsets[stream], 1000 + round,
                                            px_slice_of(bytes, length)) != 0)
                                return 1;
                        offsets[stream] += length;
                }
                if (round % 5 == 0 && segments_sync(segments) != 0)
                        return 1;
        }
        segments_close(segments);
        return 0;
}

/* Read a whole stream. Returns how many bytes are missing, -1 when a wrong one was served. */
static int64_t read_stream(struct segments *segments, unsigned stream, uint64_t *ret_told)
{
        static uint8_t bytes[CHUNK_BYTES_MAX];
        uint64_t at = 0, served = 0;

        for (;;) {
                struct segment_run run = {0};
                int code = segments_read(segments, key_of(stream), at, bytes, sizeof(bytes), &run);

                if (code == PX_E_ABSENT)
                        return (int64_t)(length_of(stream) - served);
                if (code != PX_OK && code != PX_E_DAMAGED) {
                        printf("stream %u at %" PRIu64 ": %d\n", stream, at, code);
                        return -1;
                }
                if (run.offset < at || run.length == 0) {
                        printf("stream %u: asked for %" PRIu64 ", got %" PRIu64 "\n", stream, at,
                               run.offset);
                        return -1;
                }
                for (size_t i = 0; code == PX_OK && i < run.length; i++) {
                        if (bytes[i] == byte_of(stream, run.offset + i))
                                continue;
                        printf("stream %u: a wrong byte at %" PRIu64 "\n", stream, run.offset + i);
                        return -1;
                }
                if (code == PX_OK)
                        served += run.length;
                else
                        *ret_told += run.length;
                at = run.offset + run.length;
        }
}

static bool is_last_segment(const char *dir, const char *damaged)
{
        static struct damage_files files;
        const char *last = "";

        damage_list(dir, &files);
        for (size_t i = 0; i < files.count; i++)
                if (strstr(files.names[i], ".log") != NULL)
                        last = files.names[i];
        return strcmp(last, damaged) == 0;
}

static int judge(const char *dir, const char *damaged, const char *said)
{
        bool last = is_last_segment(dir, damaged);
        struct segments *segments;
        uint64_t missing = 0, told = 0;
        struct stat status;
        char text[300] = "";
        int result = segments_open(options(dir), &segments, text, sizeof(text));

        if (result < 0) {
                printf("opening: %d %s\n", result, text);
                return text[0] != '\0' ? ROT_REFUSED : ROT_WRONG;
        }
        for (unsigned stream = 0; stream < STREAMS; stream++) {
                int64_t lacks = read_stream(segments, stream, &told);

                if (lacks < 0)
                        return ROT_WRONG;
                missing += (uint64_t)lacks;
        }
        segments_close(segments);
        if (missing > told && !last && (stat(said, &status) != 0 || status.st_size == 0)) {
                printf("%" PRIu64 " bytes are missing, and nobody said so\n", missing - told);
                return ROT_WRONG;
        }
        return ROT_SERVED;
}

int main(int argc, char **argv)
{
        static const struct rot_subject subjects[] = {{"segments", make, judge, NULL}};

        return rot_main(argc, argv, subjects, PX_COUNT_OF(subjects), COUNT);
}
