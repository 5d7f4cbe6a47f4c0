/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - what a step gives: rows, events, effects. Layer: L2 (broker/core). */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>

#define EFFECTS_MIN 64

void core_output_fini(struct core_output *output)
{
        px_buf_fini(&output->rows);
        px_buf_fini(&output->events);
        px_arena_fini(&output->arena);
        px_free(output->effects);
        *output = (struct core_output){0};
}

void core_output_reset(struct core_output *output)
{
        output->index = 0;
        px_buf_reset(&output->rows);
        px_buf_reset(&output->events);
        px_arena_reset(&output->arena);
        output->events_count = 0;
        output->effects_count = 0;
}

void put_row(struct core *core, uint8_t table, const struct row_key *key, struct px_slice value)
{
        rows_put(&core->output->rows, table, key, value);
}

void delete_row(struct core *core, uint8_t table, const struct row_key *key)
{
        rows_delete(&core->output->rows, table, key);
}

void put_row_chunks(struct core *core, uint8_t table, uint64_t job, struct px_slice bytes)
{
        size_t chunks = (bytes.length + ROWS_VALUE_BYTES_MAX - 1) / ROWS_VALUE_BYTES_MAX;

        PX_ASSERT(chunks <= UINT16_MAX);
        for (size_t i = 0; i < chunks; i++) {
                struct row_key key = row_key_u64(job);
                size_t offset = i * ROWS_VALUE_BYTES_MAX;
                size_t left = bytes.length - offset;

                row_key_add_u16(&key, (uint16_t)i);
                put_row(core, table, &key,
                        px_slice_of(bytes.data + offset,
                                    PX_MIN(left, (size_t)ROWS_VALUE_BYTES_MAX)));
        }
}

void put_event(struct core *core, struct px_event *event)
{
        struct core_output *output = core->output;
        size_t start = output->events.length;

        PX_ASSERT(event->kind != 0);
        event->index = core->index;
        event->position = output->events_count;
        event->wall_ms = core->wall_ms;
        (void)px_buf_grow(&output->events, 4);
        px_event_encode(event, &output->events);
        px_put_be32(output->events.data + start, (uint32_t)(output->events.length - start - 4));
        output->events_count++;
}

struct core_effect *put_effect(struct core *core, uint8_t kind, uint64_t peer)
{
        struct core_output *output = core->output;
        struct core_effect *effect;

        if (output->effects_count == output->effects_capacity) {
                output->effects_capacity =
                        PX_MAX(output->effects_capacity * 2, (size_t)EFFECTS_MIN);
                output->effects = px_realloc(
                        output->effects, output->effects_capacity * sizeof(*output->effects));
        }
        effect = &output->effects[output->effects_count++];
        memset(effect, 0, sizeof(*effect));
        effect->kind = kind;
        effect->peer = peer;
        return effect;
}

void put_frame(struct core *core, uint64_t peer)
{
        PX_ASSERT(core->frame.length >= PX_WIRE_HEADER_BYTES);
        PX_ASSERT(core->frame.length <= PX_LIMIT_MESSAGE_BYTES);
        if (peer == 0)
                return;
        put_effect(core, CORE_EFFECT_SEND, peer)->send.frame =
                px_arena_copy(&core->output->arena, px_buf_slice(&core->frame));
}

__attribute__((format(printf, 2, 0))) static struct px_slice
text_format(struct core *core, const char *format, va_list arguments)
{
        char text[PX_LIMIT_REASON_BYTES + 1];
        int length = vsnprintf(text, sizeof(text), format, arguments);

        PX_ASSERT(length >= 0);
        return px_arena_copy(&core->output->arena, px_slice_text(text));
}

struct px_slice output_text(struct core *core, const char *format, ...)
{
        struct px_slice text;
        va_list arguments;

        va_start(arguments, format);
        text = text_format(core, format, arguments);
        va_end(arguments);
        return text;
}

void refuse(struct core *core, int code, const char *format, ...)
{
        struct px_m_refused refused = {.code = (uint16_t)code};
        va_list arguments;

        PX_ASSERT(code > 0);
        va_start(arguments, format);
        refused.text = text_format(core, format, arguments);
        va_end(arguments);
        if (px_error_find(code)->retry)
                refused.retry_after_ms = core->options.assign_repeat_ms;
        FRAME(core, refused, &refused, core->command->header.correlation);
        /* A repeat of it must not run, when the reason is gone, what was refused. */
        if (core->request != NULL)
                session_answer(core, core->request);
        else
                put_frame(core, core->command->peer);
}

void say_again(struct core *core)
{
        struct px_m_again again = {.epoch = core->options.epoch};

        FRAME(core, again, &again, core->command->header.correlation);
        put_frame(core, core->command->peer);
}
