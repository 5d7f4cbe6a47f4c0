/* SPDX-License-Identifier: Apache-2.0 */
/* reason.c - a job's state in words, with numbers. Layer: L2 (broker/core). */
#include "reason.h"

static const char *const signal_names[] = {
        [1] = "SIGHUP",   [2] = "SIGINT",   [3] = "SIGQUIT",  [4] = "SIGILL",   [5] = "SIGTRAP",
        [6] = "SIGABRT",  [7] = "SIGBUS",   [8] = "SIGFPE",   [9] = "SIGKILL",  [10] = "SIGUSR1",
        [11] = "SIGSEGV", [12] = "SIGUSR2", [13] = "SIGPIPE", [14] = "SIGALRM", [15] = "SIGTERM",
        [24] = "SIGXCPU", [25] = "SIGXFSZ", [31] = "SIGSYS",
};

const char *reason_signal_name(uint32_t signal)
{
        return signal < PX_COUNT_OF(signal_names) ? signal_names[signal] : NULL;
}

static void words_on_node(const struct reason_facts *facts, struct px_buf *words)
{
        if (facts->node.length == 0)
                return;
        px_buf_append_text(words, " on ");
        px_buf_append_slice(words, facts->node);
}

static void words_node(const struct reason_facts *facts, struct px_buf *words)
{
        px_buf_append_text(words, "node ");
        if (facts->node.length > 0)
                px_buf_append_slice(words, facts->node);
        else
                px_buf_append_text(words, "(unnamed)");
}

/* The civil date of a day number (days since 1970-01-01).
 * Source: Hinnant, "chrono-compatible low-level date algorithms", 2014. */
static void words_day(int64_t day, struct px_buf *words)
{
        int64_t shifted = day + 719468;
        int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
        int64_t of_era = shifted - era * 146097;
        int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
        int64_t part = (5 * of_year + 2) / 153;
        int64_t month = part < 10 ? part + 3 : part - 9;

        px_buf_format(words, "%04d-%02d-%02d", (int)(year + era * 400 + (month <= 2 ? 1 : 0)),
                      (int)month, (int)(of_year - (153 * part + 2) / 5 + 1));
}

static void words_wall(int64_t wall_ms, struct px_buf *words)
{
        int64_t second = wall_ms / 1000;
        int64_t of_day = second % 86400;

        words_day(second / 86400, words);
        px_buf_format(words, " %02d:%02d:%02d UTC", (int)(of_day / 3600),
                      (int)(of_day / 60 % 60), (int)(of_day % 60));
}

static void words_wait(const char *before, int64_t wait_ms, struct px_buf *words)
{
        if (wait_ms >= 0)
                px_buf_format(words, "%s%lld.%lld s", before, (long long)(wait_ms / 1000),
                              (long long)(wait_ms % 1000 / 100));
}

static void words_signal(const struct reason_facts *facts, struct px_buf *words)
{
        const char *name = reason_signal_name(facts->signal);

        if (name != NULL)
                px_buf_format(words, "killed by %s", name);
        else
                px_buf_format(words, "killed by signal %u", facts->signal);
        words_on_node(facts, words);
}

static void words_exit(const struct reason_facts *facts, struct px_buf *words)
{
        px_buf_format(words, "exit %d", (int)facts->exit_code);
        words_on_node(facts, words);
}

static void words_of_end_on_node(const struct reason_facts *facts, struct px_buf *words)
{
        static const char *const texts[] = {
                [PX_REASON_TIME_LIMIT] = "ran past its time limit",
                [PX_REASON_MEMORY] = "killed for its memory limit",
                [PX_REASON_NO_PROGRAM] = "the program was not found",
                [PX_REASON_NOT_RUNNABLE] = "the program cannot be executed",
                [PX_REASON_NO_DIRECTORY] = "the working directory is not there",
                [PX_REASON_NO_ACCOUNT] = "no account for this user",
                [PX_REASON_NODE_FAULT] = "could not be started",
                [PX_REASON_KEEPER_DIED] = "its keeper died",
                [PX_REASON_REFUSED] = "refused",
                [PX_REASON_HANDLER_FAILED] = "the handler failed",
                [PX_REASON_FINISHED] = "finished",
        };

        PX_ASSERT((size_t)facts->reason < PX_COUNT_OF(texts) && texts[facts->reason] != NULL);
        px_buf_append_text(words, texts[facts->reason]);
        words_on_node(facts, words);
}

static void words_of_loss(const struct reason_facts *facts, struct px_buf *words)
{
        switch (facts->reason) {
        case PX_REASON_UNREACHABLE:
                words_node(facts, words);
                if (facts->state == PX_JOB_STATE_ASSIGNED || facts->state == PX_JOB_STATE_RUNNING ||
                    facts->state == PX_JOB_STATE_CANCELLING) {
                        px_buf_append_text(words, " is unreachable");
                        words_wait("; given up in ", facts->wait_ms, words);
                } else {
                        px_buf_append_text(words, " became unreachable");
                }
                break;
        case PX_REASON_NODE_LOST:
                words_node(facts, words);
                px_buf_append_text(words, " lost the attempt");
                break;
        case PX_REASON_NODE_RESTARTED:
                words_node(facts, words);
                px_buf_append_text(words, " was restarted");
                break;
        case PX_REASON_DRAINED:
                words_node(facts, words);
                px_buf_append_text(words, " was stopped");
                break;
        case PX_REASON_LOST_LIMIT:
                px_buf_format(words, "%d attempts in a row were lost; the last",
                              PX_LIMIT_LOST_ATTEMPTS);
                words_on_node(facts, words);
                break;
        case PX_REASON_GAVE_UP:
                words_node(facts, words);
                px_buf_append_text(words, " heard nothing of the broker and ended the attempt");
                break;
        default:
                PX_UNREACHABLE();
        }
}

static void words_of_wait(const struct reason_facts *facts, struct px_buf *words)
{
        switch (facts->reason) {
        case PX_REASON_HELD:
                px_buf_append_text(words, "held until it is released");
                break;
        case PX_REASON_START_TIME:
                px_buf_append_text(words, "starts at ");
                words_wall(facts->start_wall_ms, words);
                break;
        case PX_REASON_BACKOFF:
                px_buf_format(words, "%u of %u retries used", facts->failures, facts->retries);
                words_wait("; next attempt in ", facts->wait_ms, words);
                break;
        case PX_REASON_NO_NODE:
                px_buf_append_text(words, "no node can run it");
                break;
        case PX_REASON_NO_SLOT:
                px_buf_append_text(words, "no node has room now");
                break;
        case PX_REASON_NO_WORKER:
                px_buf_append_text(words, "no worker takes its type");
                break;
        case PX_REASON_PINNED_NODE:
                px_buf_append_text(words, "its node has no room or is not up");
                break;
        case PX_REASON_SLOT:
                px_buf_append_text(words, "waits for a resource of the mesh");
                break;
        case PX_REASON_WAIT_LIMIT:
                px_buf_append_text(words, "waited longer than it may");
                break;
        case PX_REASON_EXPIRED:
                px_buf_append_text(words, "had not started by its deadline");
                break;
        case PX_REASON_PAUSED:
                px_buf_append_text(words, "paused");
                break;
        case PX_REASON_USER_CAP:
        case PX_REASON_QUEUE_CAP:
        case PX_REASON_MODULE_CAP:
        case PX_REASON_RATE:
                px_buf_append_text(words, "a limit is reached");
                break;
        case PX_REASON_LABEL:
        case PX_REASON_RESOURCE:
        case PX_REASON_APART:
        case PX_REASON_RESERVED:
                px_buf_append_text(words, "no node fits");
                break;
        case PX_REASON_TURN:
                px_buf_append_text(words, "others go before it");
                break;
        default:
                PX_UNREACHABLE();
        }
}

static void words_of_tasks(const struct reason_facts *facts, struct px_buf *words)
{
        const struct px_array *array = &facts->array;
        uint32_t bad = array->failed + array->timeout + array->lost;
        uint32_t ended = bad + array->ok + array->cancelled;

        if (facts->reason == PX_REASON_TASKS_FAILED)
                px_buf_format(words, "%u of %u tasks failed", bad, array->count);
        else
                px_buf_format(words, "%u of %u tasks ended, %u at work", ended, array->count,
                              array->made - ended);
}

static void words_of_run(const struct reason_facts *facts, struct px_buf *words)
{
        switch (facts->reason) {
        case PX_REASON_ASSIGNED:
                px_buf_append_text(words, "given to ");
                words_node(facts, words);
                break;
        case PX_REASON_RUNNING:
                px_buf_append_text(words, "running");
                words_on_node(facts, words);
                break;
        case PX_REASON_STOPPING:
                px_buf_append_text(words, "being ended");
                words_on_node(facts, words);
                break;
        case PX_REASON_CANCELLED:
                px_buf_append_text(words, "cancelled");
                break;
        default:
                PX_UNREACHABLE();
        }
}

static void words_of_reason(const struct reason_facts *facts, struct px_buf *words)
{
        if (facts->reason == PX_REASON_NONE || facts->reason == 0) {
                if (facts->state == PX_JOB_STATE_QUEUED)
                        px_buf_append_text(words, "waits for its turn");
                return;
        }
        switch (facts->reason) {
        case PX_REASON_EXIT:
                words_exit(facts, words);
                break;
        case PX_REASON_SIGNAL:
                words_signal(facts, words);
                break;
        case PX_REASON_HELD:
        case PX_REASON_START_TIME:
        case PX_REASON_BACKOFF:
        case PX_REASON_NO_NODE:
        case PX_REASON_NO_SLOT:
        case PX_REASON_NO_WORKER:
        case PX_REASON_PINNED_NODE:
        case PX_REASON_SLOT:
        case PX_REASON_PAUSED:
        case PX_REASON_USER_CAP:
        case PX_REASON_QUEUE_CAP:
        case PX_REASON_MODULE_CAP:
        case PX_REASON_RATE:
        case PX_REASON_LABEL:
        case PX_REASON_RESOURCE:
        case PX_REASON_APART:
        case PX_REASON_RESERVED:
        case PX_REASON_TURN:
        case PX_REASON_WAIT_LIMIT:
        case PX_REASON_EXPIRED:
                words_of_wait(facts, words);
                break;
        case PX_REASON_TASKS:
        case PX_REASON_TASKS_FAILED:
                words_of_tasks(facts, words);
                break;
        case PX_REASON_UNREACHABLE:
        case PX_REASON_NODE_LOST:
        case PX_REASON_NODE_RESTARTED:
        case PX_REASON_DRAINED:
        case PX_REASON_LOST_LIMIT:
        case PX_REASON_GAVE_UP:
                words_of_loss(facts, words);
                break;
        case PX_REASON_ASSIGNED:
        case PX_REASON_RUNNING:
        case PX_REASON_STOPPING:
        case PX_REASON_CANCELLED:
                words_of_run(facts, words);
                break;
        default:
                words_of_end_on_node(facts, words);
                break;
        }
}

/* Cut to the limit, never inside a character. */
static void words_cut(struct px_buf *words, size_t start)
{
        size_t length = words->length - start;

        if (length <= PX_LIMIT_REASON_BYTES)
                return;
        length = PX_LIMIT_REASON_BYTES;
        while (length > 0 && (words->data[start + length] & 0xC0) == 0x80)
                length--;
        words->length = start + length;
}

void reason_words(const struct reason_facts *facts, struct px_buf *ret_words)
{
        size_t start = ret_words->length;

        words_of_reason(facts, ret_words);
        if (facts->detail.length > 0) {
                if (ret_words->length > start)
                        px_buf_append_text(ret_words, ": ");
                px_buf_append_slice(ret_words, facts->detail);
        }
        words_cut(ret_words, start);
        PX_ASSERT(ret_words->length - start <= PX_LIMIT_REASON_BYTES);
}

void reason_facts_join(struct reason_facts *facts, const struct px_attempt_row *attempt)
{
        facts->node = attempt->node_name;
        if (facts->reason != attempt->reason && facts->reason != PX_REASON_BACKOFF &&
            facts->reason != PX_REASON_LOST_LIMIT)
                return;
        facts->exit_code = attempt->exit_code;
        facts->signal = attempt->signal;
        facts->detail = attempt->text;
}

struct reason_facts reason_facts_of(const struct px_job_row *row, struct px_slice node,
                                    struct px_slice detail, int64_t now_ms)
{
        return (struct reason_facts){
                .state = row->state,
                .reason = row->reason,
                .exit_code = row->exit_code,
                .signal = row->signal,
                .failures = row->failures,
                .retries = row->retries,
                .start_wall_ms = row->start_wall_ms,
                .array = row->array_count > 0 ? row->array[0] : (struct px_array){0},
                .wait_ms = row->deadline_ms == 0 || now_ms == INT64_MIN
                                   ? -1
                                   : PX_MAX(row->deadline_ms - now_ms, 0),
                .node = node,
                .detail = detail,
        };
}
