/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - what each command of the table does; one file per family. Each takes the parsed call and
 * returns the exit code. Layer: L4 (client/cli). */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "command.h"

/* submit.c */
int verb_run(struct cli *cli);
int verb_submit(struct cli *cli);
/* list.c, show.c, why.c, status.c */
int verb_ps(struct cli *cli);
int verb_show(struct cli *cli);
int verb_why(struct cli *cli);
int verb_status(struct cli *cli);
/* logs.c, wait.c, events.c */
int verb_logs(struct cli *cli);
int verb_wait(struct cli *cli);
int verb_events(struct cli *cli);
/* change.c */
int verb_cancel(struct cli *cli);
int verb_retry(struct cli *cli);
int verb_hold(struct cli *cli);
int verb_release(struct cli *cli);
int verb_rename(struct cli *cli);
int verb_priority(struct cli *cli);
int verb_purge(struct cli *cli); /* also rm */
int verb_signal(struct cli *cli);
/* progress.c: called inside a job */
int verb_progress(struct cli *cli);
/* nodes.c */
int verb_nodes(struct cli *cli);
int verb_node_show(struct cli *cli);
int verb_node_drain(struct cli *cli);
int verb_node_resume(struct cli *cli);
int verb_node_stop(struct cli *cli);
int verb_node_rm(struct cli *cli);
/* limits.c */
int verb_limit_ls(struct cli *cli);
int verb_limit_set(struct cli *cli);
int verb_limit_pause(struct cli *cli);
int verb_limit_resume(struct cli *cli);
int verb_limit_rm(struct cli *cli);
int verb_resource_set(struct cli *cli);
/* tokens.c */
int verb_token_create(struct cli *cli);
int verb_token_ls(struct cli *cli);
int verb_token_revoke(struct cli *cli);
int verb_join(struct cli *cli);
int join_by_ssh(struct cli *cli); /* join_ssh.c: `join --ssh` */
/* up.c: up, down; init.c, join.c; program.c: broker, node */
int verb_up(struct cli *cli);
int verb_down(struct cli *cli);
int verb_init(struct cli *cli);
int verb_broker(struct cli *cli);
int verb_node(struct cli *cli);
/* context.c, doctor.c, version.c */
int verb_context_ls(struct cli *cli);
int verb_context_use(struct cli *cli);
int verb_context_rm(struct cli *cli);
int verb_config_show(struct cli *cli);
int verb_doctor(struct cli *cli);
int verb_version(struct cli *cli);

#endif
