/* SPDX-License-Identifier: Apache-2.0 */
/* px_answers.c - who answers: the answers of a session that the peer may still ask for again.
 * Layer: L1 (schema/session). Source: DESIGN 5.1. */
#include "px_session.h"

struct answer {
        uint16_t type;
        size_t length;
        uint8_t body[];
};

void px_answers_init(struct px_answers *answers)
{
        *answers = (struct px_answers){.done_below = 1};
}

void px_answers_fini(struct px_answers *answers)
{
        size_t cursor = 0;
        uint64_t number;
        void *answer;

        while (px_map_next(&answers->kept, &cursor, &number, &answer))
                px_free(answer);
        px_map_fini(&answers->kept);
}

int px_answers_find(const struct px_answers *answers, uint64_t number, uint32_t window,
                    uint16_t *ret_type, struct px_slice *ret_body)
{
        const struct answer *answer;

        if (number < answers->done_below)
                return PX_ANSWERS_OLD;
        if (number - answers->done_below >= window)
                return PX_ANSWERS_BEYOND;
        answer = px_map_find(&answers->kept, number);
        if (answer == NULL)
                return PX_ANSWERS_NEW;
        *ret_type = answer->type;
        *ret_body = px_slice_of(answer->body, answer->length);
        return PX_ANSWERS_KNOWN;
}

void px_answers_put(struct px_answers *answers, uint64_t number, uint16_t type,
                    struct px_slice body)
{
        struct answer *answer = px_alloc(sizeof(*answer) + body.length);

        PX_ASSERT(number >= answers->done_below);
        PX_ASSERT(px_map_find(&answers->kept, number) == NULL);
        answer->type = type;
        answer->length = body.length;
        if (body.length > 0)
                memcpy(answer->body, body.data, body.length);
        px_map_put(&answers->kept, number, answer);
}

void px_answers_done(struct px_answers *answers, uint64_t number, struct px_buf *ret_forgotten)
{
        if (number <= answers->done_below)
                return;
        /* Kept numbers lie within a window of done_below, so the walk is short. */
        for (uint64_t at = answers->done_below; at < number && answers->kept.count > 0; at++) {
                void *answer = px_map_take(&answers->kept, at);

                if (answer == NULL)
                        continue;
                px_put_be64(px_buf_grow(ret_forgotten, 8), at);
                px_free(answer);
        }
        answers->done_below = number;
}
