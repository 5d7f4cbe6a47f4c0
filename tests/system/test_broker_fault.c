/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_fault.c - bugs and the limit of memory: the broker ends with words and loses nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dealer.h"
#include "test.h"

#define ANSWER_MS 10000

static void submit(struct test_broker *broker, size_t count)
{
        static struct dealer dealer;
        int code;

        dealer_open_local(&dealer, broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        dealer_submit(&dealer, 1, count, "/bin/true");
        EXPECT(dealer_submitted(&dealer, 1, ANSWER_MS, &code) > 0);
        dealer_close(&dealer);
}

/* DESIGN 2.9: an assertion prints its place, the last commands and the digest of the state. */
TEST(a_failed_assertion_names_its_place_and_the_last_commands_and_loses_nothing)
{
        static struct test_broker failing;
        static struct test_broker broker;
        const char *parent = test_temp_dir();
        const char *arguments[] = {"--dir", failing.dir, NULL};
        char line[256];

        snprintf(failing.dir, sizeof(failing.dir), "%s/b", parent);
        snprintf(failing.error_path, sizeof(failing.error_path), "%s/failing.err", parent);
        process_start(&failing.process, "tests/system/broker_that_fails", arguments, true, failing.error_path);
        EXPECT(process_ready(&failing.process, ANSWER_MS, line, sizeof(line)));
        submit(&failing, 7);
        process_signal(&failing.process, SIGUSR1);
        EXPECT_INT(process_wait(&failing.process, ANSWER_MS), 74);
        EXPECT(test_broker_said(&failing, "broker_that_fails.c:"));
        EXPECT(test_broker_said(&failing, ": assertion failed: signal_number != SIGUSR1"));
        EXPECT(test_broker_said(&failing, "command 0: type "));
        EXPECT(test_broker_said(&failing, "digest "));

        test_broker_start(&broker, parent, NULL);
        EXPECT_U64(broker.jobs, 7);
        EXPECT_INT(test_broker_stop(&broker), 0);
}

#if !defined(__SANITIZE_ADDRESS__) /* its shadow memory is the sanitizer's */
/* RELIABILITY 2, many-part messages: the broker has a memory limit. */
TEST(a_broker_that_needs_more_memory_than_it_may_ends_and_has_lost_nothing)
{
        static struct test_broker broker;
        const char *parent = test_temp_dir();
        const char *const arguments[] = {"--memory-max", "100000000", NULL};
        const struct rlimit none_left = {1 << 20, 1 << 20};
        static struct dealer dealer;
        struct rlimit memory;
        int status = -1;

        test_broker_start(&broker, parent, arguments);
        EXPECT_INT(prlimit(broker.process.pid, RLIMIT_DATA, NULL, &memory), 0);
        EXPECT_U64(memory.rlim_cur, 100000000);
        submit(&broker, 7);
        dealer_open_local(&dealer, &broker, "cmd");
        EXPECT(dealer_greet(&dealer, (struct px_session_id){0}, ANSWER_MS));
        EXPECT_INT(prlimit(broker.process.pid, RLIMIT_DATA, &none_left, NULL), 0);
        for (uint64_t number = 1; status < 0 && number < 1000; number++) {
                dealer_submit(&dealer, number, 4096, "/bin/true");
                status = process_wait(&broker.process, 1);
        }
        EXPECT(status > 0);
        dealer_close(&dealer);

        test_broker_start(&broker, parent, NULL);
        EXPECT(broker.jobs >= 7);
        EXPECT_INT(prlimit(broker.process.pid, RLIMIT_DATA, NULL, &memory), 0);
        EXPECT_U64(memory.rlim_cur, UINT64_C(4) << 30);
        EXPECT_INT(test_broker_stop(&broker), 0);
}
#endif
