/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c - see lib_upload.h. Layer: L4 (client/lib).
 *
 * Each message is a question of its own: here are the bytes at this offset, which do you want next? A
 * question is asked again until it is answered (query.c), and repeats change nothing. */
#include "lib_upload.h"

static void ask(struct plexus *px, struct upload *upload, struct px_slice frame)
{
        struct request *request = &upload->request;

        request_fini(request);
        *request = (struct request){.expect = PX_M_BLOB_AT,
                                    .finished = request->finished,
                                    .token = ++px->next_number,
                                    .due_ms = lib_now_ms()};
        px_buf_append_slice(&request->frame, frame);
        px_put_be64(request->frame.data + 8, request->token);
        px_list_append(&px->queries, &request->link);
        query_want(px);
        lib_wake(px);
}

static void ask_open(struct plexus *px, struct upload *upload)
{
        struct px_m_blob_open open = {.blob = px_slice_of(upload->hash, sizeof(upload->hash)),
                                      .bytes = upload->data.length};
        struct px_buf frame = {0};

        px_m_blob_open_frame(&open, 0, 0, &frame);
        ask(px, upload, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void ask_data(struct plexus *px, struct upload *upload, uint64_t offset)
{
        size_t left = upload->data.length - (size_t)offset;
        struct px_m_blob_data data = {
                .blob = px_slice_of(upload->hash, sizeof(upload->hash)),
                .bytes = upload->data.length,
                .offset = offset,
                .data = px_slice_of(upload->data.data + offset,
                                    PX_MIN(left, (size_t)PX_LIMIT_BLOB_CHUNK_BYTES)),
        };
        struct px_buf frame = {0};

        px_m_blob_data_frame(&data, 0, 0, &frame);
        ask(px, upload, px_buf_slice(&frame));
        px_buf_fini(&frame);
}

static void finish(struct plexus *px, struct upload *upload, int code, struct px_slice text)
{
        upload->done = true;
        upload->code = code;
        px_slice_to_text(text, upload->text, sizeof(upload->text));
        if (upload->changed != NULL)
                pthread_cond_signal(upload->changed);
        if (upload->finished != NULL)
                upload->finished(px, upload);
}

static void answered(struct plexus *px, struct request *request)
{
        struct upload *upload = PX_CONTAINER_OF(request, struct upload, request);
        struct px_arena arena = {0};
        struct px_m_blob_at at = {0};
        bool read = request->code != PX_OK ||
                    px_m_blob_at_decode(px_buf_slice(&request->body), &arena, &at) == PX_WIRE_OK;
        uint64_t offset = at.offset;
        bool complete = at.complete;

        px_list_remove(&request->link);
        px_arena_fini(&arena);
        if (request->code != PX_OK)
                finish(px, upload, request->code, px_slice_text(request->text));
        else if (read && complete)
                finish(px, upload, PX_OK, PX_SLICE_NONE);
        else if (read && offset < upload->data.length)
                ask_data(px, upload, offset);
        else
                finish(px, upload, PX_E_PROTO,
                       px_slice_text("the broker's answer (BLOB_AT) cannot be read"));
}

void upload_begin(struct plexus *px, struct upload *upload)
{
        PX_ASSERT(upload->data.length > 0);
        upload->request.finished = answered;
        ask_open(px, upload);
}

void upload_fini(struct upload *upload)
{
        if (px_list_linked(&upload->request.link))
                px_list_remove(&upload->request.link);
        request_fini(&upload->request);
}
