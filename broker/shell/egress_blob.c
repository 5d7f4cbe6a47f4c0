/* SPDX-License-Identifier: Apache-2.0 */
/* egress_blob.c - files of the blob store: up from clients, down to nodes, in bounded messages; what
 * nothing uses is forgotten. Layer: L4 (broker/shell). Source: DESIGN 4 (Artifacts), 5.
 *
 * An upload is a row of questions: each names the file, its length and an offset, and each answer says
 * which byte is wanted next. So a repeat changes nothing, and an upload goes on behind a restart of
 * either side. A node says how many bytes it has room for and gets no more. */
#include "egress_inside.h"

#include <errno.h>
#include <stdio.h>

#define SWEEP_MS 300000
#define CREDIT_BYTES_MAX (8u * PX_LIMIT_BLOB_CHUNK_BYTES) /* sent in one turn at most */

/* ---- up ---------------------------------------------------------------------------------------------- */

static const char *words_of(int code)
{
        switch (code) {
        case PX_E_BUSY:
                return "too many uploads of yours are not complete (BLOB_PARTS 64); try again";
        case PX_E_INVALID:
                return "the file is not what its name says; upload it again";
        case PX_E_LIMIT:
                return "more bytes than the upload's length";
        default:
                return NULL;
        }
}

static void answer(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                   const struct px_m_blob_at *at)
{
        px_buf_reset(&egress->frame);
        px_m_blob_at_frame(at, correlation, 0, &egress->frame);
        (void)peer_send_frame(egress, peer);
}

static bool may_upload(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                       struct px_slice blob, uint64_t bytes)
{
        char text[96];

        if (access_upload(peer->role) != PX_OK) {
                peer_refuse(egress, peer, correlation, PX_E_DENIED, NULL);
                return false;
        }
        if (blob.length != BLOB_HASH_BYTES || bytes == 0) {
                peer_refuse(egress, peer, correlation, PX_E_INVALID,
                            "a file has a SHA-256 and a length");
                return false;
        }
        if (bytes <= PX_LIMIT_STDIN_BYTES)
                return true;
        snprintf(text, sizeof(text), "%llu bytes; the limit is %d (STDIN_BYTES)",
                 (unsigned long long)bytes, PX_LIMIT_STDIN_BYTES);
        peer_refuse(egress, peer, correlation, PX_E_LIMIT, text);
        return false;
}

static struct blob_name name_of(uint32_t owner, struct px_slice blob)
{
        struct blob_name name = {.owner = owner};

        PX_ASSERT(blob.length == BLOB_HASH_BYTES);
        memcpy(name.hash, blob.data, BLOB_HASH_BYTES);
        return name;
}

static void take(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                 const struct px_m_blob_data *data)
{
        struct px_m_blob_at at = {.blob = data->blob};
        struct blob_name name;
        int code;

        if (!may_upload(egress, peer, correlation, data->blob, data->bytes))
                return;
        name = name_of(peer->principal.value, data->blob);
        code = blobs_add(egress->options.blobs, &name, data->bytes, data->offset, data->data,
                         &at.offset, &at.complete);
        if (code == PX_OK) {
                answer(egress, peer, correlation, &at);
                return;
        }
        if (code < 0)
                fprintf(stderr, "plexus-broker: the store of files: %s\n", strerror(-code));
        peer_refuse(egress, peer, correlation, code < 0 ? PX_E_BUSY : code, words_of(code));
}

void blob_take_open(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                    const struct px_m_blob_open *open)
{
        take(egress, peer, correlation,
             &(struct px_m_blob_data){.blob = open->blob, .bytes = open->bytes});
}

void blob_take_data(struct egress *egress, struct egress_peer *peer, uint64_t correlation,
                    const struct px_m_blob_data *data)
{
        take(egress, peer, correlation, data);
}

/* ---- down -------------------------------------------------------------------------------------------- */

/* Whose file it is that the attempt reads, if this node runs it.
 * Refuses: PX_E_ABSENT; PX_E_BUSY; PX_E_DAMAGED. */
static int find_for_node(struct egress *egress, const struct egress_peer *peer,
                         const struct px_m_blob_get *get, struct blob_name *ret_name)
{
        struct px_job_id owner = {px_id_job(get->job.value)}; /* a task reads its array's */
        struct egress_attempt *attempt;
        struct px_view *view;
        struct px_job_row row;
        int code = attempt_get(egress, get->job, get->fence.attempt, &attempt);

        if (code != PX_OK)
                return code < 0 ? PX_E_BUSY : code;
        if (!attempt->open || !px_fence_equal(attempt->fence, get->fence) ||
            attempt->node_principal.value != peer->principal.value) {
                attempt_settle(egress, attempt);
                return PX_E_ABSENT;
        }
        code = attempt_view(egress, &view);
        if (code != PX_OK)
                return PX_E_BUSY;
        code = attempt_job_row(egress, view, owner, &row);
        if (code == PX_OK && row.blob.length != BLOB_HASH_BYTES)
                code = PX_E_ABSENT;
        if (code == PX_OK)
                *ret_name = name_of(row.owner.value, row.blob);
        px_view_close(view);
        return code;
}

static bool send_part(struct egress *egress, struct egress_peer *peer,
                      const struct px_m_blob_part *part)
{
        px_buf_reset(&egress->frame);
        px_m_blob_part_frame(part, 0, 0, &egress->frame);
        return peer_send_frame(egress, peer);
}

void blob_take_get(struct egress *egress, struct egress_peer *peer, const struct px_m_blob_get *get)
{
        struct px_m_blob_part part = {.job = get->job, .fence = get->fence, .offset = get->offset};
        uint64_t end = get->offset + PX_MIN(get->credit_bytes, (uint64_t)CREDIT_BYTES_MAX);
        struct px_buf data = {0};
        struct blob_name name;
        uint64_t bytes = 0;
        int code = find_for_node(egress, peer, get, &name);

        while (code == PX_OK && part.offset < end) {
                px_buf_reset(&data);
                code = blobs_read(egress->options.blobs, &name, part.offset,
                                  (size_t)PX_MIN(end - part.offset,
                                                 (uint64_t)PX_LIMIT_BLOB_CHUNK_BYTES),
                                  &data, &bytes);
                part.data = px_buf_slice(&data);
                if (code != PX_OK || data.length == 0 || !send_part(egress, peer, &part))
                        break;
                part.offset += data.length;
        }
        px_buf_fini(&data);
        /* What is busy now is asked for again. */
        if (code == PX_OK || code == PX_E_BUSY)
                return;
        part.data = PX_SLICE_NONE;
        part.code = (uint16_t)(code < 0 ? PX_E_DAMAGED : code);
        (void)send_part(egress, peer, &part);
}

/* ---- forgetting -------------------------------------------------------------------------------------- */

/* Is there a row of any job? What can't be told now is. */
static bool is_used(void *context, const struct blob_name *name)
{
        struct row_key from = row_key_u32(name->owner);
        struct px_slice key, value;
        struct px_view *view;
        bool used;

        row_key_add_bytes(&from, px_slice_of(name->hash, sizeof(name->hash)));
        if (attempt_view(context, &view) != PX_OK)
                return true;
        used = px_view_seek(view, PX_TABLE_BLOB_USE, row_key_slice(&from), false, &key, &value) ==
                       PX_OK &&
               key.length > from.length && memcmp(key.data, from.bytes, from.length) == 0;
        px_view_close(view);
        return used;
}

void blob_keep_house(struct egress *egress)
{
        if (egress->now_ms < egress->sweep_ms)
                return;
        egress->sweep_ms = egress->now_ms + SWEEP_MS;
        (void)blobs_sweep(egress->options.blobs, is_used, egress);
}
