/* SPDX-License-Identifier: Apache-2.0 */
/* node_rig.h - one node core with a broker and a link played by the test. Each effect becomes a
 * line of the trace, "[ms] what", with attempts written as job.attempt; RIG_EXPECT compares it
 * whole. */
#ifndef NODE_RIG_H
#define NODE_RIG_H

#include "node.h"
#include "test.h"

#define RIG_EPOCH 9
#define RIG_START_MS 1000

void rig_start(void); /* a fresh node at RIG_START_MS; HELLO is not said yet */
struct node *rig_node(void);
void rig_adopt(const struct node_found *found); /* before the first step */
void rig_up(uint64_t session); /* HELLO, WELCOME, DATA_HELLO, PONG; then forgets the trace */
int64_t rig_now_ms(void);

/* Time passes, with steps at each deadline. */
void rig_until(int64_t now_ms);

/* The broker says */
void rig_welcome(uint64_t correlation, uint64_t session, uint64_t epoch);
void rig_assign(uint64_t session, uint64_t job, uint32_t attempt);
void rig_assign_fail(uint64_t session, uint64_t job, uint32_t attempt, uint64_t lost_after_ms);
void rig_kill(uint64_t session, uint64_t job, uint32_t attempt, int why);
void rig_result_ok(uint64_t job, uint32_t attempt);
void rig_stop(uint64_t session, bool kill);
void rig_again(void);
void rig_bye(void); /* of the broker */
void rig_ctl_pong(uint64_t correlation);
void rig_data_pong(uint64_t epoch);
void rig_log_ack(uint64_t job, uint32_t attempt, int stream, uint64_t received, uint64_t stored,
                 bool closed);

/* The link says */
void rig_input(struct node_input input);
void rig_entered(uint64_t job, uint32_t attempt);
void rig_started(uint64_t job, uint32_t attempt);
void rig_refused(uint64_t job, uint32_t attempt, int code);
void rig_grew(uint64_t job, uint32_t attempt, int stream, uint64_t length);
void rig_progress(uint64_t job, uint32_t attempt, int32_t permille);
void rig_ended(uint64_t job, uint32_t attempt, int outcome, uint64_t out_bytes);
/* assigned, entered, started */
void rig_run(uint64_t session, uint64_t job, uint32_t attempt);

struct px_fence rig_fence(uint32_t attempt);
uint64_t rig_hello_number(void); /* correlation of the last HELLO */
uint64_t rig_ping_number(void);
void rig_forget(void);
void rig_expect(const char *file, int line, const char *expected);
#define RIG_EXPECT(expected) rig_expect(__FILE__, __LINE__, expected)

#endif
