/* SPDX-License-Identifier: Apache-2.0 */
/* topics.c - see topics.h. Layer: L4 (client/cli). Source: INTERFACES 2a. */
#include "topics.h"

/* clang-format off */

const struct cli_topic cli_topics[] = {
        {"exit-codes", "Exit codes",
         "  0    done; for wait: every selected job ended ok\n"
         "  1    at least one job did not end ok (failed, cancelled, lost, timed out)\n"
         "  2    wrong usage, or a job that can't be as it was described\n"
         "  3    nothing matches, or it is not yours\n"
         "  4    not allowed, or the token is no longer valid\n"
         "  5    the state does not allow it (cancel of an ended job)\n"
         "  6    broker unreachable or no answer in time: whether it happened is not known\n"
         "\n"
         "plexus run, and submit --wait --propagate, end with the job's own code, or\n"
         "  128+N  the job was killed by signal N\n"
         "  124    it ran into its time limit\n"
         "  125    Plexus itself failed, or the job ended without a code\n"
         "  126    its program cannot be executed; 127: it was not found\n"
         "  130    detached or cancelled by Ctrl-C\n"},
        {"selectors", "Which jobs",
         "Wherever a command takes ID, any of these will do, and several of them:\n"
         "  1042          a job\n"
         "  1042,1045     two jobs\n"
         "  1040-1050     a range; 1040-1050:2 every second one\n"
         "  1042.7        task 7 of an array; 1042.3-9 some of them, 1042. all that began\n"
         "  last          the job you submitted last\n"
         "  all           all your active jobs\n"
         "  name:TEXT     jobs with this name\n"
         "  @KEY=VALUE    jobs with this label; @KEY with any value\n"
         "  state=failed  any filter: see plexus help filters\n"},
        {"filters", "Filters",
         "A filter is a word KEY=VALUE or KEY~PART; several must all hold.\n"
         "  state=failed           or several: state=failed,lost; also active, done\n"
         "  user=ana               user=me\n"
         "  name=sweep name~swe    the whole name, or a part of it\n"
         "  node=node1             where it runs or ran last\n"
         "  since=2h               submitted since; also a time like 2026-01-31T18:00\n"
         "  until=1d               submitted before\n"
         "  label.exp=a            with this label; label.exp with any value\n"},
        {"env", "Environment",
         "  PLEXUS_URL      broker to use: plexus://host[:port] or local:DIR\n"
         "  PLEXUS_TOKEN    token to use; both win over the current context\n"
         "  PLEXUS_CONTEXT  name of the context to use\n"
         "  PLEXUS_CONFIG   folder of plexus.toml and conf.d/\n"
         "  PLEXUS_BROKER_KEY, PLEXUS_NODE_KEY   win over KEY in [broker] and [node] there: PLEXUS_NODE_CPUS\n"
         "  PLEXUS_TRACE    1 = print each message to standard error\n"
         "  NO_COLOR        no colours\n"
         "\n"
         "Inside a job:\n"
         "  PLEXUS_JOB, PLEXUS_ATTEMPT, PLEXUS_FENCE, PLEXUS_NODE   which one, and where\n"
         "  PLEXUS_TASK, PLEXUS_ARRAY                               of a task: its number, and its array\n"
         "  PLEXUS_PROGRESS_FD, PLEXUS_SOCK   where to write \"FRACTION TEXT\" lines\n"
         "\n"
         "Taken from you at submit: PATH LANG LC_* TZ VIRTUAL_ENV CONDA_PREFIX PYTHONPATH, and what\n"
         "--env and --env-all name. The node sets HOME USER LOGNAME SHELL TMPDIR OMP_NUM_THREADS and\n"
         "PYTHONUNBUFFERED.\n"},
};

const size_t cli_topics_count = sizeof cli_topics / sizeof cli_topics[0];
