/* SPDX-License-Identifier: Apache-2.0 */
/* spool.h - what a node keeps of its attempts on disk: entries, output, exit records.
 * Layer: L4 (node/keeper), shared by the link and the keepers. Source: DESIGN 5.2, 5.3, 7.
 *
 * Layout, below the spool directory (0700, the link's account):
 *   lock                  flock held by the link: a second link on it is refused
 *   identity              record 'I': this spool's id, the cluster, the highest epoch seen
 *   a/<job>.<attempt>.<epoch>/        one directory per attempt, decimal numbers
 *     entry               record 'E': boot id, encoded struct assign (specification included).
 *                         The keeper holds flock on it; the link takes it just before it starts one.
 *     started             record 'S': just before the job's process is made
 *     out, err            the streams; offset in the file == offset in the stream. Ranges stored
 *                         at the broker are given back by hole punching, the dropped middle of a
 *                         capped stream is a hole from the beginning.
 *     input               standard input that the link fetched: whole and checked before a keeper
 *                         starts, which opens it and removes the name
 *     exit                record 'X': written last, when nothing of the attempt is alive
 *     ctl                 SOCK_SEQPACKET socket the keeper listens on once its link is gone (ctl.h)
 *   free/<number>/        directories of removed attempts, used again: making and removing half a
 *                         dozen files for every job costs more than the job (file systems are slow to
 *                         give out an inode that was just freed). Their streams are empty, their records
 *                         those of another attempt. An attempt's entry is written in here; the
 *                         attempt exists from the rename of the directory into a/.
 *   damaged/<job>.<attempt>.<epoch>   set aside: its entry could not be read
 *
 * A record is one small file:
 *   offset 0  u8[3] "PXN"   3  u8 kind   4  u8 version (1)   5  u8[3] zero
 *          8  u32 length of the body, big endian   12  u32 crc32c of kind and body, big endian
 *          16 body: one positional msgpack array; what stands behind it is of no meaning
 *   I: [spool bytes, cluster bytes, epoch]              E: [boot bytes, assign bytes]
 *   S: [job, epoch, attempt, wall_ms, kill_mode text, group text]
 *   X: [boot bytes, synced bool, result bytes]
 * assign and result are encoded as the schema says. 'I' is written beside and renamed, the others in
 * place: S and X of another attempt count as absent, a damaged X too (its keeper died in writing
 * it), a damaged S as present.
 *
 * How states are told apart: entry not locked and no `started` = accepted, never ran; locked = its
 * keeper lives; `exit` = ended; not locked, `started`, no `exit` = the keeper died. An entry of
 * another boot without an exit record is gone.
 *
 * What is flushed, and why no more. kill -9 of link or keeper needs nothing flushed: the page cache
 * survives. A power cut changes the boot id; then every attempt without a usable exit record is
 * gone, whatever is left of its files. So only exit records can be worth a flush, and a flushed exit
 * record is a lie unless its output was flushed first: `synced` says that both were. A record of
 * another boot that isn't synced is ignored. spool_exit_worth_sync() decides: always for
 * on_lost=fail (else a finished job would be shown as lost), and for attempts that ran for a second or
 * longer; a shorter one costs less to run again than ten thousand of them cost in flushes. */
#ifndef SPOOL_H
#define SPOOL_H

#include "px_base.h"
#include "px_codec.h"
#include "px_schema.h"

#define SPOOL_NAME_BYTES 64 /* room for "<job>.<attempt>.<epoch>" */
#define SPOOL_ID_BYTES 16
#define SPOOL_INPUT "input"

struct spool_key {
        struct px_job_id job;
        struct px_fence fence;
};

struct spool_identity {
        uint8_t spool[SPOOL_ID_BYTES];
        uint8_t cluster[SPOOL_ID_BYTES];
        bool has_cluster;
        uint64_t epoch;
};

struct spool; /* opaque; the link's handle: owns the lock of the spool directory */

/* Open or create the spool below `path`; a new one gets a random id.
 * Faults:  -EWOULDBLOCK another link holds it; -EPERM it belongs to another account or is open to
 *          others; -EBADMSG its identity is damaged; other -errno. */
int spool_open(const char *path, struct spool **ret_spool);
void spool_close(struct spool *spool);
const struct spool_identity *spool_identity(const struct spool *spool);
/* Remember cluster and highest epoch, flushed. */
int spool_remember(struct spool *spool, struct px_slice cluster, uint64_t epoch);
/* This boot of the machine, from /proc/sys/kernel/random/boot_id. Shape: 16 bytes. */
int spool_boot(uint8_t ret_boot[SPOOL_ID_BYTES]);

/* ---- the link's side ------------------------------------------------------------------------ */

char *spool_name(struct spool_key key, char ret_name[SPOOL_NAME_BYTES]);
bool spool_name_parse(const char *name, struct spool_key *ret_key);
/* Make the attempt's directory and entry; an attempt that is there already is left as it is.
 * Owns: ret_dir_fd, its open directory, is the caller's. */
int spool_enter(struct spool *spool, const struct px_assign *assign, int *ret_dir_fd);
/* Remove the attempt: its directory goes to free/, or away. Absent is no fault. */
int spool_remove(struct spool *spool, struct spool_key key);
/* Open the attempt's directory. Owns: the descriptor is the caller's. */
int spool_attempt_open(struct spool *spool, struct spool_key key, int *ret_dir_fd);
/* Move the attempt to damaged/. */
int spool_set_aside(struct spool *spool, struct spool_key key);

/* Call `found` for every attempt directory, in no order; names that are none of ours are left. */
int spool_scan(struct spool *spool, void (*found)(void *context, struct spool_key key),
               void *context);

/* ---- one attempt, by its directory ---------------------------------------------------------- */

/* Read the entry. Owns: slices of ret_assign live in the arena. Faults: -EBADMSG damaged. */
int spool_entry_read(int dir_fd, struct px_arena *arena, uint8_t ret_boot[SPOOL_ID_BYTES],
                     struct px_assign *ret_assign);

/* Take the lock, which is the entry's. Faults: -EWOULDBLOCK a keeper holds it. */
int spool_lock(int dir_fd, int *ret_lock_fd);
/* Whether a keeper holds the lock; false when there is none. */
bool spool_lock_held(int dir_fd);

struct spool_started {
        int64_t wall_ms;
        char kill_mode[32];
        char group[512]; /* directory of the cgroup; empty = none */
};
int spool_started_write(int dir_fd, struct spool_key key, const struct spool_started *started);
/* Faults: -ENOENT it never ran; -EBADMSG it did, but how can't be read. */
int spool_started_read(int dir_fd, struct spool_key key, struct spool_started *ret_started);

/* Write the exit record; sync = flush output and record. */
int spool_exit_write(int dir_fd, const uint8_t boot[SPOOL_ID_BYTES], bool sync,
                     const struct px_result *result);
/* Faults: -ENOENT none, or not to be trusted after a power cut; -EBADMSG damaged. */
int spool_exit_read(int dir_fd, struct spool_key key, const uint8_t boot[SPOOL_ID_BYTES],
                    struct px_arena *arena, struct px_result *ret_result);
bool spool_exit_worth_sync(int on_lost, int64_t ran_ms);

/* Length of a stream (enum px_stream), 0 when it has none. */
uint64_t spool_stream_length(int dir_fd, int stream);
/* Open a stream's file, which is made by its first byte: writable makes it. Owns: the descriptor
 * is the caller's. Faults: -ENOENT no byte came yet. */
int spool_stream_open(int dir_fd, int stream, bool writable, int *ret_fd);
/* Give back the space of [0, offset) of an open stream, in whole blocks. */
void spool_stream_trim(int stream_fd, uint64_t *done_below, uint64_t offset);

#endif
