/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - every command and option of plexus. Parsing, help, man pages and completions come from
 * here, so they cannot disagree. Layer: L4 (client/cli). Source: INTERFACES 2a. */
#include "command.h"
#include "verbs.h"

/* clang-format off */

#define END_OF_OPTIONS {0, NULL, NULL, NULL, false}

const struct cli_option cli_global_options[] = {
        {'h', "help", NULL, "show this help", false},
        {'q', "quiet", NULL, "print only what was asked for", false},
        {0, "color", "WHEN", "auto, always or never (NO_COLOR is honoured)", false},
        {0, "context", "NAME", "use this mesh of `plexus context ls`", false},
        {0, "url", "URL", "use this broker: plexus://host[:port] or local:DIR (PLEXUS_URL)", false},
        {0, "token-file", "FILE", "read the token from FILE (or set PLEXUS_TOKEN)", false},
        {0, "timeout", "TIME", "give up after TIME without an answer; 30s", false},
        END_OF_OPTIONS,
};

static const struct cli_option output_options[] = {
        {'o', "output", "FORMAT", "table, wide, json, jsonl, csv or id", false},
        {0, "columns", "LIST", "these columns, separated by commas", false},
        {0, "sort", "COLUMN", "sort by this column; -COLUMN for the other way", false},
        {0, "no-header", NULL, "leave out the heading and the summary", false},
        END_OF_OPTIONS,
};

static const struct cli_option job_options[] = {
        {'c', "cpus", "N", "cpus it needs: 4, 0.5; 1", false},
        {'m', "mem", "SIZE", "memory it needs: 500M, 4G", false},
        {'t', "time-limit", "TIME", "end it after TIME of running: 90s, 2h", false},
        {'n', "node", "NAME", "run on this node only", false},
        {0, "name", "NAME", "name shown in lists; the command's by default", false},
        {0, "label", "K=V", "label, for filters", true},
        {0, "priority", "N", "higher runs first; -1000 to 1000", false},
        {0, "retries", "N", "run again up to N times when it fails or times out; 0", false},
        {0, "backoff", "TIME", "wait before the first retry, doubling; 1s", false},
        {0, "on-lost", "WHAT", "when its node is lost: rerun (at least once) or fail (at most once)", false},
        {0, "lost-after", "TIME", "how long an unreachable job with --on-lost fail is waited for; 1h", false},
        {0, "start", "WHEN", "not before: a time like 2026-01-31T18:00, or +2h", false},
        {0, "hold", NULL, "wait for `plexus release`", false},
        {0, "idempotency-key", "KEY", "the same key and content is the same job, however often submitted", false},
        END_OF_OPTIONS,
};

static const struct cli_option need_options[] = {
        {'g', "gpus", "N", "gpus it needs: whole ones, or 0.5 of one", false},
        {0, "resource", "NAME[=N]", "units of a resource of the node or the mesh; 1", true},
        {0, "where", "COND", "condition on a node's label: zone=a, zone!=a, zone=a,b, zone or !zone", true},
        {0, "queue", "NAME", "stand in this queue; default", false},
        {0, "module", "NAME", "what is run, for limits; nodes that ran it lately are preferred", false},
        {0, "apart", "WORD", "never beside another of your jobs with this word", false},
        {0, "warm", "WORD", "prefer a node that ran this lately or has a label of this name", false},
        {0, "max-wait", "TIME", "end as timeout after so long in line", false},
        {0, "deadline", "WHEN", "end as timeout if it hasn't started by then: a time, or +2h", false},
        {0, "wait-for-node", NULL, "accept what no node that is known could ever run", false},
        END_OF_OPTIONS,
};

static const struct cli_option limit_options[] = {
        {0, "running", "N", "at most N jobs on nodes at once; none", false},
        {0, "waiting", "N", "at most N jobs that wait; none", false},
        {0, "rate", "N/TIME", "at most N starts within TIME: 10/1m; none", false},
        {0, "pause", NULL, "start nothing new", false},
        {0, "resume", NULL, "go on", false},
        END_OF_OPTIONS,
};

static const struct cli_option share_options[] = {
        {0, "weight", "N", "of the share, 1 to 1000; 1", false},
        {0, "priority-max", "N", "largest priority the user may give; none", false},
        END_OF_OPTIONS,
};

static const struct cli_option process_options[] = {
        {0, "cwd", "DIR", "directory on the node; where you are by default", false},
        {0, "scratch", NULL, "run in a fresh directory that is removed afterwards", false},
        {0, "env", "K[=V]", "set K to V, or pass on your K", true},
        {0, "env-all", NULL, "pass on your whole environment", false},
        {'i', "stdin", "[FILE]", "give it your standard input, or FILE, captured now; none by default", false},
        {0, "grace", "TIME", "between SIGTERM and SIGKILL; 10s", false},
        {0, "log-limit", "SIZE", "output kept; 256M", false},
        {0, "as", "ACCOUNT", "run as this account on the node (administrators: root)", false},
        END_OF_OPTIONS,
};

static const struct cli_option submit_options[] = {
        {'a', "array", "RANGE", "run it once for each number: 1-100, 0-99:5, 1-1000%20 (20 at once)", false},
        {0, "max-fails", "N", "with --array: stop when so many tasks failed", false},
        {0, "wait", NULL, "wait for its end", false},
        {0, "follow", NULL, "print its output until it ends", false},
        {0, "propagate", NULL, "with --wait: exit with the job's own code", false},
        {0, "count", "N", "submit N equal jobs", false},
        {0, "dry-run", NULL, "print what would be submitted, where it would run now or what it would wait for", false},
        {'o', "output", "FORMAT", "id or json", false},
        END_OF_OPTIONS,
};

static const struct cli_option run_options[] = {
        {0, "kill-on-exit", NULL, "cancel the job when this command ends", false},
        {0, "detach", NULL, "print the job's number and leave", false},
        END_OF_OPTIONS,
};

static const struct cli_option ps_options[] = {
        {'a', "all", NULL, "ended jobs too", false},
        {'l', "limit", "N", "at most N jobs; 100", false},
        END_OF_OPTIONS,
};

static const struct cli_option logs_options[] = {
        {'f', "follow", NULL, "go on until the job ends", false},
        {0, "tail", "N", "begin N lines before the end", false},
        {0, "since", "WHEN", "output written since then: 5m, 2026-01-31T18:00", false},
        {'t', "timestamps", NULL, "begin each line with its time", false},
        {'p', "stream", "NAME", "out, err or both; both", false},
        {0, "attempt", "N", "of this attempt; the last one", false},
        {0, "raw", NULL, "bytes as they were written, \\r bars included", false},
        END_OF_OPTIONS,
};

static const struct cli_option wait_options[] = {
        {0, "any", NULL, "end when the first of them ends", false},
        END_OF_OPTIONS,
};

static const struct cli_option cancel_options[] = {
        {0, "reason", "TEXT", "why: told in the job's events", false},
        {0, "force", NULL, "without grace: kill at once", false},
        {0, "no-wait", NULL, "don't wait until nothing of it is alive", false},
        END_OF_OPTIONS,
};

static const struct cli_option retry_options[] = {
        {0, "force", NULL, "jobs that ended ok too", false},
        {0, "failed", NULL, "only those that failed, timed out or were lost", false},
        END_OF_OPTIONS,
};

static const struct cli_option events_options[] = {
        {0, "after", "NUMBER", "events after this one, as printed: INDEX.POSITION; from now on", false},
        {0, "from-start", NULL, "from the oldest that is kept", false},
        {0, "no-follow", NULL, "end when nothing newer is there", false},
        {0, "job", "ID", "of this job only", false},
        {0, "count", "N", "end after N events", false},
        {'o', "output", "FORMAT", "table or jsonl", false},
        END_OF_OPTIONS,
};

static const struct cli_option stop_options[] = {
        {0, "drain", NULL, "wait for its jobs (this is the default)", false},
        {0, "kill", NULL, "end its jobs first", false},
        END_OF_OPTIONS,
};

static const struct cli_option token_options[] = {
        {0, "role", "ROLE", "user, service, node, worker, monitor or admin; user", false},
        {0, "user", "NAME", "whose it is; a name is made up otherwise", false},
        {0, "enrol", NULL, "make an enrolment token: others exchange it for their own", false},
        {0, "uses", "N", "how often an enrolment token may be used; 16", false},
        {0, "lifetime", "TIME", "valid so long; enrolment 24h, others for ever", false},
        END_OF_OPTIONS,
};

static const struct cli_option join_options[] = {
        {0, "name", "NAME", "of this node; the host name", false},
        {0, "dir", "DIR", "state of this node", false},
        {0, "cpus", "N", "offer so many; all", false},
        {0, "foreground", NULL, "stay, and end the node with Ctrl-C", false},
        {0, "no-service", NULL, "in the background, not as a service of systemd", false},
        {0, "print-unit", NULL, "print the unit of the service and do nothing", false},
        {0, "ssh", "HOSTS", "make these machines nodes of the current mesh, by ssh: node1,node2", false},
        END_OF_OPTIONS,
};

static const struct cli_option up_options[] = {
        {0, "nodes", "N", "so many nodes; 1", false},
        {0, "cpus", "N", "cpus each node offers; this machine's, shared among them", false},
        {0, "dir", "DIR", "keep state there", false},
        {0, "temp", NULL, "state in a new directory that `down` removes", false},
        {0, "foreground", NULL, "stay; Ctrl-C takes the mesh down", false},
        {0, "listen", "HOST", "listen on TCP too; local sockets only by default", false},
        {0, "lease", "TIME", "a silent node counts as lost after TIME; 14s", false},
        {0, "name", "NAME", "of the context; local", false},
        END_OF_OPTIONS,
};

static const struct cli_option down_options[] = {
        {0, "dir", "DIR", "the mesh whose state is there; the current one", false},
        {0, "kill", NULL, "end running jobs too; they go on otherwise when it comes up again", false},
        END_OF_OPTIONS,
};

static const struct cli_option init_options[] = {
        {0, "dir", "DIR", "broker's state; /var/lib/plexus for root", false},
        {0, "listen", "HOST", "address nodes and users reach; all", false},
        {0, "port", "N", "for commands; N+1 nodes, N+2 data, N+3 events; 0 = free ones; 7539", false},
        {0, "name", "NAME", "of the context; the host's", false},
        {0, "no-service", NULL, "in the background, not as a service of systemd", false},
        {0, "print-unit", NULL, "print the unit of the service and do nothing", false},
        END_OF_OPTIONS,
};

static const struct cli_option config_options[] = {
        {0, "origin", NULL, "with the file and line, variable or option each comes from", false},
        END_OF_OPTIONS,
};

static const struct cli_option doctor_options[] = {
        {0, "from", "NODE", "go the way from NODE, by ssh, where plexus must be installed", false},
        {0, "reach", NULL, "only as far as the broker's ports; needs no token", false},
        {0, "ports", "LIST", "with --reach: these too, separated by commas", false},
        END_OF_OPTIONS,
};

#define JOBS "Watch and change jobs"
#define START "Start jobs"
#define MESH "Set up"
#define ADMIN "Nodes and tokens"
#define LIMITS "Limits and shares"
#define OTHER "Other"

const struct cli_command cli_commands[] = {
        {"run", "[options] [--] COMMAND [ARG...]", "run a command, stream its output, exit with its code",
         "Standard output goes to standard output, standard error to standard error. Ctrl-C twice within two "
         "seconds cancels the job; Ctrl-C followed by Ctrl-Z leaves it running. A closed terminal does not end "
         "the job: `plexus logs -f ID` attaches again.",
         {job_options, need_options, process_options, run_options}, 0, -1, CLI_WORDS_PROGRAM, START, verb_run},
        {"submit", "[options] [--] COMMAND [ARG...]", "submit a command and print the job's number",
         "When the number is printed the job is safe on disk. Standard output carries the number alone.",
         {job_options, need_options, process_options, submit_options}, 0, -1, CLI_WORDS_PROGRAM, START, verb_submit},

        {"ps", "[FILTER...]", "list jobs; your active ones by default", NULL,
         {ps_options, output_options}, 0, -1, CLI_WORDS_NONE, JOBS, verb_ps},
        {"show", "ID...", "everything about a job: attempts, reason, what it used", NULL,
         {output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_show},
        {"why", "ID...", "why a job is where it is", NULL, {NULL}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_why},
        {"logs", "[options] ID...", "print the output of jobs",
         "Lines of several jobs are prefixed by their number. Progress bars written with \\r are shown as one "
         "line that changes; --raw gives the bytes.",
         {logs_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_logs},
        {"wait", "ID...", "wait for jobs to end; exit 0 only if all ended ok", NULL,
         {wait_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_wait},
        {"cancel", "ID...", "cancel jobs; returns when nothing of them is alive", NULL,
         {cancel_options, output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_cancel},
        {"retry", "ID...", "run ended jobs again: same number, next attempt", NULL,
         {retry_options, output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_retry},
        {"hold", "ID...", "keep waiting jobs from starting", NULL, {output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_hold},
        {"release", "ID...", "let held jobs start", NULL, {output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_release},
        {"rename", "ID NAME", "give a job another name", NULL, {NULL}, 2, 2, CLI_WORDS_JOBS, JOBS, verb_rename},
        {"priority", "N ID...", "change the priority of waiting jobs", NULL, {output_options}, 2, -1, CLI_WORDS_JOBS, JOBS, verb_priority},
        {"signal", "SIGNAL ID...", "send a signal to running jobs", NULL, {output_options}, 2, -1, CLI_WORDS_JOBS, JOBS, verb_signal},
        {"rm", "ID...", "forget ended jobs, their output and results", NULL, {output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_purge},
        {"purge", "ID...", "the same as rm", NULL, {output_options}, 1, -1, CLI_WORDS_JOBS, JOBS, verb_purge},
        {"events", "[options]", "follow what happens: every committed change, numbered", NULL,
         {events_options}, 0, 0, CLI_WORDS_NONE, JOBS, verb_events},
        {"status", "", "the mesh in a few lines", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, JOBS, verb_status},
        {"progress", "FRACTION [TEXT]", "inside a job: report progress, 0 to 1 or 0% to 100%", NULL,
         {NULL}, 1, 2, CLI_WORDS_NONE, JOBS, verb_progress},

        {"nodes", "", "list nodes", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, ADMIN, verb_nodes},
        {"node ls", "", "list nodes", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, ADMIN, verb_nodes},
        {"node show", "NODE", "everything about a node", NULL, {output_options}, 1, 1, CLI_WORDS_NODES, ADMIN, verb_node_show},
        {"node drain", "NODE...", "give it no new jobs", NULL, {NULL}, 1, -1, CLI_WORDS_NODES, ADMIN, verb_node_drain},
        {"node resume", "NODE...", "give it jobs again", NULL, {NULL}, 1, -1, CLI_WORDS_NODES, ADMIN, verb_node_resume},
        {"node stop", "NODE...", "stop a node, after its jobs by default", NULL, {stop_options}, 1, -1, CLI_WORDS_NODES, ADMIN, verb_node_stop},
        {"node rm", "NODE...", "forget a node that is gone", NULL, {NULL}, 1, -1, CLI_WORDS_NODES, ADMIN, verb_node_rm},
        {"queue ls", "", "list queues and how full they are", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, LIMITS, verb_limit_ls},
        {"queue set", "NAME [options]", "make a queue, or change its limits", NULL, {limit_options}, 1, 1, CLI_WORDS_NONE, LIMITS, verb_limit_set},
        {"queue pause", "NAME...", "start nothing new of a queue", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_pause},
        {"queue resume", "NAME...", "go on with a queue", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_resume},
        {"queue rm", "NAME...", "forget a queue; its jobs go on without its limits", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_rm},
        {"resource ls", "", "list resources of the whole mesh, and who holds them", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, LIMITS, verb_limit_ls},
        {"resource set", "NAME N", "let the mesh have N units of a resource", NULL, {NULL}, 2, 2, CLI_WORDS_NONE, LIMITS, verb_resource_set},
        {"resource rm", "NAME...", "forget a resource of the mesh; nodes may have their own", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_rm},
        {"module ls", "", "list modules with limits", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, LIMITS, verb_limit_ls},
        {"module set", "NAME [options]", "limit the jobs of a module or task type", NULL, {limit_options}, 1, 1, CLI_WORDS_NONE, LIMITS, verb_limit_set},
        {"module rm", "NAME...", "lift the limits of a module", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_rm},
        {"user ls", "", "list users with limits, and what they used lately", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, LIMITS, verb_limit_ls},
        {"user set", "NAME [options]", "limit a user's jobs, or weigh the user's share", NULL, {limit_options, share_options}, 1, 1, CLI_WORDS_NONE, LIMITS, verb_limit_set},
        {"user rm", "NAME...", "lift a user's limits; the user stays", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, LIMITS, verb_limit_rm},
        {"token create", "[options]", "make a token; it is printed once, alone on standard output", NULL,
         {token_options}, 0, 0, CLI_WORDS_NONE, ADMIN, verb_token_create},
        {"token ls", "", "list tokens (never their secrets)", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, ADMIN, verb_token_ls},
        {"token revoke", "NAME...", "end tokens at once", NULL, {NULL}, 1, -1, CLI_WORDS_NONE, ADMIN, verb_token_revoke},

        {"up", "[options]", "start a private mesh on this machine, or adopt the one that runs", NULL,
         {up_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_up},
        {"down", "[options]", "stop the private mesh", NULL, {down_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_down},
        {"init", "[options]", "set up a broker for other machines",
         "For root, where systemd runs, the broker becomes the service plexus-broker under the account plexus: it "
         "is restarted when it dies and started at boot. Otherwise a supervisor in the background restarts it; "
         "`plexus down --dir DIR` stops both. You become its administrator, and the line that other machines "
         "join with is printed.", {init_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_init},
        {"join", "[options] TOKEN@HOST[:PORT]|-", "make this machine a node of a mesh",
         "For root, where systemd runs, the node becomes the service plexus-node, which runs each job as its "
         "user's account. Otherwise a supervisor in the background restarts it, and `plexus down --dir DIR` stops "
         "both; jobs that run then go on. A token for a person makes a context instead. The word - reads the token "
         "from standard input. With --ssh this machine stays what it is: each HOST, where plexus must be "
         "installed, joins with a token of its own, valid once.",
         {join_options}, 0, 1, CLI_WORDS_NONE, MESH, verb_join},
        {"doctor", "[options]", "find out which hop fails",
         "Goes the whole way to a running job, one line a hop, until one fails; that one says what would help. "
         "Warnings are about what works but will surprise. Exit 0: nothing failed.",
         {doctor_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_doctor},
        {"context ls", "", "list the meshes you know", NULL, {output_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_context_ls},
        {"context use", "NAME", "make a mesh the current one", NULL, {NULL}, 1, 1, CLI_WORDS_CONTEXTS, MESH, verb_context_use},
        {"context rm", "NAME", "forget a mesh and its token", NULL, {NULL}, 1, 1, CLI_WORDS_CONTEXTS, MESH, verb_context_rm},
        {"config show", "[options]", "what is set, and where it comes from",
         "Settings of `plexus broker` and `plexus node` stand in tables [broker] and [node] of plexus.toml and "
         "conf.d/*.toml, in /etc/plexus for root, else in ~/.config/plexus; `plexus help env` names the variables "
         "that win over them. One without value is left to the program's default.",
         {config_options, output_options}, 0, 0, CLI_WORDS_NONE, MESH, verb_config_show},
        {"broker", "[-- OPTION...]", "run the broker itself (services do)", NULL, {NULL}, 0, 0, CLI_WORDS_NONE, MESH, verb_broker},
        {"node", "[-- OPTION...]", "run a node itself (services do)", NULL, {NULL}, 0, 0, CLI_WORDS_NONE, MESH, verb_node},

        {"help", "[COMMAND|TOPIC]", "help on a command, or exit-codes, selectors, filters, env", NULL,
         {NULL}, 0, 2, CLI_WORDS_COMMANDS, OTHER, cli_help},
        {"completion", "bash|zsh|fish", "print completions for a shell", NULL, {NULL}, 1, 1, CLI_WORDS_SHELLS, OTHER, cli_completion},
        {"version", "", "print the version", NULL, {NULL}, 0, 0, CLI_WORDS_NONE, OTHER, verb_version},
};

const size_t cli_commands_count = sizeof cli_commands / sizeof cli_commands[0];
