/* SPDX-License-Identifier: Apache-2.0 */
/* workload.c - see workload.h. */
#include "workload.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "px_read.h"
#include "px_schema.h"
#include "rows.h"
#include "trace.h"

#define ROWS_OF_BATCH 6
#define WAIT_MS 20000

static const uint8_t tables[] = {PX_TABLE_JOB, PX_TABLE_DONE, PX_TABLE_OWNER};

struct px_log_options workload_options(const char *dir)
{
        return (struct px_log_options){.dir = dir,
                                       .map_bytes = 32u << 20,
                                       .segment_bytes = 64u << 10,
                                       .ballast_bytes = 4096};
}

int workload_open(const char *dir, struct px_log **ret_log, struct px_log_start *ret_start)
{
        struct px_log_options options = workload_options(dir);

        return px_log_open_local(&options, 5000, ret_log, ret_start);
}

/* ---- what a batch does ------------------------------------------------------------------------------------- */

/* Batch `index` touches these keys; a row is deleted now and then. */
static unsigned batch_key(uint64_t index, unsigned nth)
{
        return (unsigned)(px_hash64(nth, &index, sizeof(index)) % WORKLOAD_KEYS);
}

static bool batch_deletes(uint64_t index, unsigned nth)
{
        return (index + nth) % 5 == 0;
}

static uint32_t batch_events(uint64_t index)
{
        return (uint32_t)(index % 3);
}

/* The text that batch `index` puts under a key. */
static struct px_slice batch_text(uint64_t index, unsigned key, char ret_text[WORKLOAD_TEXT_BYTES])
{
        size_t length = (size_t)snprintf(ret_text, WORKLOAD_TEXT_BYTES, "%" PRIu64 ":%u:", index,
                                         key);
        size_t whole = length + px_hash64(index, &key, sizeof(key)) % (WORKLOAD_TEXT_BYTES - 40);

        memset(ret_text + length, 'a' + (int)(index % 26), whole - length);
        return px_slice_of(ret_text, whole);
}

static void batch_fill(uint64_t index, struct px_buf *rows, struct px_buf *events)
{
        char text[WORKLOAD_TEXT_BYTES];

        for (unsigned nth = 0; nth < ROWS_OF_BATCH; nth++) {
                unsigned number = batch_key(index, nth);
                struct row_key key = row_key_u64(number);
                uint8_t table = tables[number % PX_COUNT_OF(tables)];

                if (batch_deletes(index, nth))
                        rows_delete(rows, table, &key);
                else
                        rows_put(rows, table, &key, batch_text(index, number, text));
        }
        for (uint32_t i = 0; i < batch_events(index); i++) {
                int length = snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu32, index, i);

                px_put_be32(px_buf_grow(events, 4), (uint32_t)length);
                px_buf_append(events, text, (size_t)length);
        }
}

static void batch_submit(struct px_log *log, uint64_t epoch, uint64_t index)
{
        struct px_buf rows = {0}, events = {0};
        struct px_log_batch batch = {
                .epoch = epoch, .index = index, .events_count = batch_events(index)};

        batch_fill(index, &rows, &events);
        batch.rows = px_buf_slice(&rows);
        batch.events = px_buf_slice(&events);
        px_log_submit(log, &batch);
        px_buf_fini(&rows);
        px_buf_fini(&events);
}

/* ---- sessions -------------------------------------------------------------------------------------------------- */

/* False: a fault, or it took too long. */
static bool wait_durable(struct px_log *log, uint64_t index,
                         volatile struct workload_promise *promise)
{
        for (;;) {
                struct pollfd wait = {.fd = px_log_fd(log), .events = POLLIN};
                uint64_t durable = px_log_durable(log);

                if (durable > promise->acknowledged) {
                        promise->acknowledged = durable;
                        if (trace_is_on())
                                trace_note(durable, promise->submitted, promise->epoch);
                }
                if (durable >= index)
                        return true;
                if (px_log_fault(log) < 0 || poll(&wait, 1, WAIT_MS) <= 0) {
                        promise->fault = px_log_fault(log) < 0 ? px_log_fault(log) : -ETIMEDOUT;
                        return false;
                }
        }
}

static void session_run(struct px_log *log, uint64_t first, uint64_t batches, uint64_t clump,
                        volatile struct workload_promise *promise)
{
        uint64_t index = first;

        while (index < first + batches) {
                uint64_t end = PX_MIN(index + 1 + index % clump, first + batches);

                for (; index < end; index++) {
                        promise->submitted = index;
                        if (trace_is_on())
                                trace_note(promise->acknowledged, index, promise->epoch);
                        batch_submit(log, promise->epoch, index);
                }
                if (!wait_durable(log, index - 1, promise))
                        return;
        }
}

int workload_session(const char *dir, uint64_t batches, uint64_t clump, bool close_it,
                     volatile struct workload_promise *promise)
{
        struct px_log_start start;
        struct px_log *log;
        int result = workload_open(dir, &log, &start);

        if (result != PX_OK)
                return result;
        promise->epoch = start.epoch;
        promise->acknowledged = PX_MAX(promise->acknowledged, start.index);
        promise->submitted = PX_MAX(promise->submitted, start.index);
        if (trace_is_on())
                trace_note(promise->acknowledged, promise->submitted, start.epoch);
        session_run(log, start.index + 1, batches, clump, promise);
        if (close_it)
                px_log_close(log);
        return PX_OK;
}

/* ---- judgement --------------------------------------------------------------------------------------------------- */

struct judge {
        uint64_t index;
        uint64_t last[WORKLOAD_KEYS]; /* batch whose text stands under a key; 0 = absent */
        uint64_t events;              /* next event: its batch */
        uint32_t position;
        unsigned rows;
        bool with_damage;
        bool wrong;
};

static void judge_init(struct judge *judge, uint64_t index, bool with_damage)
{
        *judge = (struct judge){.index = index, .events = 1, .with_damage = with_damage};
        for (uint64_t i = 1; i <= index; i++)
                for (unsigned nth = 0; nth < ROWS_OF_BATCH; nth++)
                        judge->last[batch_key(i, nth)] = batch_deletes(i, nth) ? 0 : i;
}

static bool judge_row(void *context, struct px_slice key, struct px_slice value)
{
        struct judge *judge = context;
        char text[WORKLOAD_TEXT_BYTES];
        uint64_t number = key.length == 8 ? px_get_be64(key.data) : UINT64_MAX;

        if (number >= WORKLOAD_KEYS || judge->last[number] == 0 ||
            !px_slice_equal(value, batch_text(judge->last[number], (unsigned)number, text))) {
                printf("row %" PRIu64 " is not what batch %" PRIu64 " left\n", number,
                       number < WORKLOAD_KEYS ? judge->last[number] : 0);
                judge->wrong = true;
        }
        judge->rows++;
        return true;
}

static bool judge_event(void *context, struct px_event_number number, struct px_slice event)
{
        struct judge *judge = context;
        char text[64];

        while (judge->events <= judge->index && judge->position >= batch_events(judge->events)) {
                judge->events++;
                judge->position = 0;
        }
        if (judge->with_damage && number.index > judge->events && judge->rows == UINT32_MAX) {
                judge->events = number.index; /* what is kept begins here */
                judge->position = number.position;
        }
        judge->rows = 0;
        snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu32, judge->events, judge->position);
        if (number.index != judge->events || number.position != judge->position ||
            !px_slice_equal(event, px_slice_text(text))) {
                printf("event %" PRIu64 ".%" PRIu32 " stands where %s should\n", number.index,
                       number.position, text);
                judge->wrong = true;
                return false;
        }
        judge->position++;
        return true;
}

static bool judge_events_end(struct judge *judge, struct px_log *log)
{
        while (judge->events <= judge->index && judge->position >= batch_events(judge->events)) {
                judge->events++;
                judge->position = 0;
        }
        if (judge->events > judge->index || judge->with_damage)
                return true;
        printf("events end before %" PRIu64 ".%" PRIu32 ", the last one is %" PRIu64 "\n",
               judge->events, judge->position, px_feed_last(log).index);
        return false;
}

static bool judge_rows(struct judge *judge, struct px_log *log)
{
        unsigned expected = 0;
        uint64_t damaged_all = 0;

        for (unsigned key = 0; key < WORKLOAD_KEYS; key++)
                expected += judge->last[key] != 0;
        for (size_t i = 0; i < PX_COUNT_OF(tables); i++) {
                uint64_t damaged = 0;
                int result = px_read_each(log, tables[i], PX_SLICE_NONE, judge_row, judge,
                                          &damaged);

                if (result != PX_OK) {
                        printf("reading table %d: %d\n", tables[i], result);
                        return false;
                }
                damaged_all += damaged;
        }
        if (damaged_all > 0 && !judge->with_damage)
                judge->wrong = true;
        if (judge->rows + damaged_all != expected) {
                printf("%u rows and %" PRIu64 " damaged ones, not %u\n", judge->rows, damaged_all,
                       expected);
                return false;
        }
        return !judge->wrong;
}

bool workload_judge_log(struct px_log *log, uint64_t index, bool with_damage)
{
        static const struct px_event_number beginning;
        struct judge judge;
        int result;

        judge_init(&judge, index, with_damage);
        if (!judge_rows(&judge, log))
                return false;
        judge.rows = UINT32_MAX; /* from here on: no event was seen yet */
        result = px_feed_read(log, beginning, UINT32_MAX, judge_event, &judge);
        if (result == PX_E_SNAPSHOT && with_damage)
                return !judge.wrong;
        if (result != PX_OK) {
                printf("reading the feed: %d\n", result);
                return false;
        }
        return !judge.wrong && judge_events_end(&judge, log);
}

static bool judge_open(const char *dir, const struct workload_promise *promise,
                       struct px_log **ret_log, struct px_log_start *ret_start)
{
        int result = workload_open(dir, ret_log, ret_start);

        if (result != PX_OK) {
                printf("it does not open: %d %s\n", result, ret_start->refusal);
                return false;
        }
        if (ret_start->index < promise->acknowledged || ret_start->index > promise->submitted) {
                printf("batch %" PRIu64 " is the last, %" PRIu64 " was acknowledged, %" PRIu64
                       " submitted\n",
                       ret_start->index, promise->acknowledged, promise->submitted);
                return false;
        }
        if (ret_start->epoch <= promise->epoch) {
                printf("epoch %" PRIu64 " is not after %" PRIu64 "\n", ret_start->epoch,
                       promise->epoch);
                return false;
        }
        return true;
}

bool workload_judge(const char *dir, const struct workload_promise *promise)
{
        struct workload_promise next = *promise;
        struct px_log_start start;
        struct px_log *log;

        if (!judge_open(dir, promise, &log, &start) ||
            !workload_judge_log(log, start.index, false))
                return false;
        next.epoch = start.epoch;
        next.submitted = start.index;
        next.acknowledged = start.index;
        next.fault = 0;
        session_run(log, start.index + 1, 3, 3, &next);
        px_log_close(log);
        if (next.fault != 0) {
                printf("it does not go on: %d\n", next.fault);
                return false;
        }
        if (!judge_open(dir, &next, &log, &start) || !workload_judge_log(log, start.index, false))
                return false;
        px_log_close(log);
        return true;
}

/* ---- processes and directories -------------------------------------------------------------------------------------- */

int workload_child(int (*body)(void *context), void *context, unsigned deadline_s)
{
        pid_t pid;
        int status;

        fflush(NULL);
        pid = fork();
        PX_ASSERT(pid >= 0);
        if (pid == 0) {
                alarm(deadline_s);
                status = body(context);
                fflush(NULL);
                _exit(status);
        }
        while (waitpid(pid, &status, 0) < 0)
                PX_ASSERT(errno == EINTR);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
        (void)status;
        (void)kind;
        (void)at;
        return remove(path);
}

void workload_remove(const char *dir)
{
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void workload_copy(const char *from, const char *to)
{
        char command[1000];

        snprintf(command, sizeof(command), "cp -r --sparse=never '%s' '%s'", from, to);
        PX_ASSERT(system(command) == 0);
}

const char *workload_scratch(void)
{
        static char path[200];
        const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        snprintf(path, sizeof(path), "%s/plexus-torture-XXXXXX", where);
        PX_ASSERT(mkdtemp(path) != NULL);
        return path;
}
