/* SPDX-License-Identifier: Apache-2.0 */
/* test_lib_config.c - URLs, the file of contexts, specs: read strictly, refused in words. */
#include "lib_config.h"
#include "lib_detail.h"
#include "lib_spec.h"
#include "lib_url.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- URLs ----------------------------------------------------------------------------------------- */

static struct url parsed(const char *text)
{
        struct url url;

        if (url_parse(text, &url) != PLEXUS_OK)
                test_fail(__FILE__, __LINE__, "%s: %s", text, detail_text());
        return url;
}

TEST(a_url_names_hosts_and_ports)
{
        struct url url = parsed("plexus://alpha,beta:99,[::1]:7,[fe80::2],10.0.0.1");

        EXPECT(!url.local);
        EXPECT_INT(url.hosts_count, 5);
        EXPECT_TEXT(url.hosts[0].name, "alpha");
        EXPECT_INT(url.hosts[0].port, 7539);
        EXPECT_TEXT(url.hosts[1].name, "beta");
        EXPECT_INT(url.hosts[1].port, 99);
        EXPECT_TEXT(url.hosts[2].name, "::1");
        EXPECT_INT(url.hosts[2].port, 7);
        EXPECT_TEXT(url.hosts[3].name, "fe80::2");
        EXPECT_TEXT(url.hosts[4].name, "10.0.0.1");
}

TEST(a_local_url_names_a_directory)
{
        struct url url = parsed("local:/run/plexus//");

        EXPECT(url.local);
        EXPECT_TEXT(url.dir, "/run/plexus");
}

TEST(a_url_that_is_none_is_refused)
{
        static const char *const wrong[] = {
                "",           "http://host",      "plexus:/host",       "plexus://",
                "plexus://a,", "plexus://a:",     "plexus://a:0",       "plexus://a:65536",
                "plexus://a:7x", "plexus://[::1", "plexus://[::1]x",    "plexus://a b",
                "plexus://::1", "local:",         "plexus://1,2,3,4,5,6,7,8,9",
        };
        struct url url;

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
                if (url_parse(wrong[i], &url) != PLEXUS_INVALID)
                        test_fail(__FILE__, __LINE__, "\"%s\" was not refused", wrong[i]);
        }
}

TEST(a_directory_too_long_for_sockets_is_refused_with_its_length)
{
        char text[200] = "local:/";
        struct url url;

        memset(text + 7, 'd', 120);
        EXPECT_INT(url_parse(text, &url), PLEXUS_INVALID);
        EXPECT(strstr(detail_text(), "121 bytes") != NULL);
}

/* ---- contexts ---------------------------------------------------------------------------------------- */

static struct config config;

TEST(a_file_of_contexts_is_read)
{
        static const char text[] = "# mine\ncurrent = \"lab\" # now\n\n[contexts.home]\n"
                                   "url = 'local:/run'\n[contexts.lab]\r\n"
                                   "url = \"plexus://a\\\"b\\\\\"\ntoken_file=\"/t\"";

        EXPECT_INT(config_parse("file", px_slice_text(text), &config), PLEXUS_OK);
        EXPECT_INT(config.count, 2);
        EXPECT_TEXT(config.current, "lab");
        EXPECT_TEXT(config.contexts[0].url, "local:/run");
        EXPECT(!config.contexts[0].current);
        EXPECT_TEXT(config.contexts[1].url, "plexus://a\"b\\");
        EXPECT_TEXT(config.contexts[1].token_file, "/t");
        EXPECT(config.contexts[1].current);
}

TEST(a_broken_file_is_refused_with_its_line)
{
        static const struct {
                const char *text, *words;
        } wrong[] = {
                {"colour = \"red\"\n", "file line 1: unknown key"},
                {"\n[context.a]\n", "file line 2: only tables"},
                {"[contexts.a b]\n", "file line 1: a context's name"},
                {"[contexts.a]\nurl = 3\n", "file line 2: the value is no string"},
                {"[contexts.a]\nurl = \"x\n", "file line 2: the value is no string"},
                {"[contexts.a]\nurl = \"x\" y\n", "file line 2: more behind"},
                {"[contexts.a]\nurl = \"x\"\nurl = \"y\"\n", "file line 3: this key stands"},
                {"[contexts.a]\n[contexts.a]\n", "file line 2: a context of this name"},
                {"nonsense\n", "file line 1: neither"},
                {"# \xff\n[contexts.\xff]\n", "file line 2: not UTF-8"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
                EXPECT_INT(config_parse("file", px_slice_text(wrong[i].text), &config),
                           PLEXUS_INVALID);
                if (strncmp(detail_text(), wrong[i].words, strlen(wrong[i].words)) != 0)
                        test_fail(__FILE__, __LINE__, "\"%s\", not \"%s\"", detail_text(),
                                  wrong[i].words);
        }
}

static void use_home(void)
{
        setenv("XDG_CONFIG_HOME", test_temp_dir(), 1);
        unsetenv("PLEXUS_URL");
        unsetenv("PLEXUS_TOKEN");
        unsetenv("PLEXUS_CONTEXT");
}

static const char token[] = "pxu_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                            "AAAAAAAAAAAAAAAAA";

TEST(contexts_are_put_used_listed_and_removed)
{
        struct plexus_context *contexts;
        char url[URL_ROOM];
        size_t count;

        use_home();
        EXPECT_INT(plexus_context_find(NULL, url, sizeof(url)), PLEXUS_INVALID);
        EXPECT_TEXT(plexus_detail(NULL), "no mesh: start one with \"plexus up\" or set PLEXUS_URL");
        EXPECT_INT(plexus_context_put("home", "local:/run/home", NULL, false), PLEXUS_OK);
        EXPECT_INT(plexus_context_put("lab", "local:/run/lab", NULL, true), PLEXUS_OK);
        EXPECT_INT(plexus_context_find(NULL, url, sizeof(url)), PLEXUS_OK);
        EXPECT_TEXT(url, "local:/run/lab");
        EXPECT_INT(plexus_context_use("home"), PLEXUS_OK);
        EXPECT_INT(plexus_context_find(NULL, url, sizeof(url)), PLEXUS_OK);
        EXPECT_TEXT(url, "local:/run/home");
        EXPECT_INT(plexus_context_use("none"), PLEXUS_ABSENT);
        EXPECT_INT(plexus_context_remove("home"), PLEXUS_OK);
        EXPECT_INT(plexus_context_list(&contexts, &count), PLEXUS_OK);
        EXPECT_INT(count, 1);
        EXPECT_TEXT(contexts[0].name, "lab");
        plexus_contexts_free(contexts);
}

TEST(flags_win_over_the_environment_and_that_over_the_file)
{
        char url[URL_ROOM];

        use_home();
        EXPECT_INT(plexus_context_put("file", "local:/file", NULL, true), PLEXUS_OK);
        EXPECT_INT(plexus_context_put("flag", "local:/flag", NULL, false), PLEXUS_OK);
        setenv("PLEXUS_URL", "local:/environment", 1);
        EXPECT_INT(plexus_context_find(NULL, url, sizeof(url)), PLEXUS_OK);
        EXPECT_TEXT(url, "local:/environment");
        EXPECT_INT(plexus_context_find(&(struct plexus_options){.context = "flag"}, url,
                                       sizeof(url)), PLEXUS_OK);
        EXPECT_TEXT(url, "local:/flag");
        EXPECT_INT(plexus_context_find(&(struct plexus_options){.url = "local:/url"}, url,
                                       sizeof(url)), PLEXUS_OK);
        EXPECT_TEXT(url, "local:/url");
        unsetenv("PLEXUS_URL");
}

TEST(a_broken_token_is_not_stored)
{
        use_home();
        EXPECT_INT(plexus_context_put("lab", "plexus://lab", "pxu_short", true), PLEXUS_INVALID);
        EXPECT_TEXT(plexus_detail(NULL), "the token was cut short: 9 of 95 characters");
        EXPECT_INT(plexus_context_put("lab", "plexus://lab", token, true), PLEXUS_INVALID);
        EXPECT_INT(plexus_context_put("l b", "plexus://lab", NULL, true), PLEXUS_INVALID);
        EXPECT_INT(plexus_context_put("lab", "http://lab", NULL, true), PLEXUS_INVALID);
}

TEST(a_token_file_that_others_can_read_is_refused)
{
        char path[200], text[300], url[URL_ROOM], read_token[CONFIG_TOKEN_ROOM];
        const char *home;
        FILE *file;

        use_home();
        home = getenv("XDG_CONFIG_HOME");
        EXPECT_INT(plexus_context_put("lab", "plexus://lab", NULL, true), PLEXUS_OK);
        snprintf(path, sizeof(path), "%s/token", home);
        file = fopen(path, "w");
        EXPECT(file != NULL);
        fputs(token, file);
        fclose(file);
        chmod(path, 0644);
        snprintf(text, sizeof(text), "%s/plexus/config.toml", home);
        file = fopen(text, "w");
        EXPECT(file != NULL);
        fprintf(file, "current = \"lab\"\n[contexts.lab]\nurl = \"plexus://lab\"\n"
                      "token_file = \"%s\"\n", path);
        fclose(file);
        EXPECT_INT(config_resolve(&(struct plexus_options){0}, url, read_token), PLEXUS_INVALID);
        EXPECT(strstr(detail_text(), "chmod 600") != NULL);
        chmod(path, 0600);
        EXPECT_INT(config_resolve(&(struct plexus_options){0}, url, read_token), PLEXUS_OK);
        EXPECT_TEXT(read_token, token);
}

/* ---- specs: each limit by its name and the value ---------------------------------------------------- */

static void expect_spec_refused(const struct plexus_job_spec *spec, int code, const char *words)
{
        struct px_buf job = {0};
        struct spec_blob blob;

        EXPECT_INT(spec_encode(spec, &job, &blob), code);
        EXPECT_INT(job.length, 0);
        if (strstr(detail_text(), words) == NULL)
                test_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", detail_text(), words);
}

TEST(each_limit_of_a_spec_is_refused_by_name_and_value)
{
        static const char *const argv[] = {"/bin/true", NULL};
        static const char *const none[] = {NULL};
        static char large[1u << 20];
        static const char *huge[] = {"x", large, NULL};
        static struct plexus_pair labels[17];
        struct plexus_pair variable = {"A=B", "c"}, latin = {"A", "\xe9"};

        memset(large, 'x', sizeof(large) - 1);
        for (size_t i = 0; i < PX_COUNT_OF(labels); i++)
                labels[i] = (struct plexus_pair){"k", "v"};
        expect_spec_refused(&(struct plexus_job_spec){0}, PLEXUS_INVALID, "neither a command");
        expect_spec_refused(&(struct plexus_job_spec){.argv = none}, PLEXUS_INVALID, "empty");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .task_type = "t"},
                            PLEXUS_INVALID, "not both");
        expect_spec_refused(&(struct plexus_job_spec){.argv = huge}, PLEXUS_LIMIT,
                            "argument 1 has 1048575 bytes; the limit is 131072 (ARG_BYTES)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .env = &variable,
                                                      .env_count = 1}, PLEXUS_INVALID, "\"=\"");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .env = &latin, .env_count = 1},
                            PLEXUS_INVALID, "the environment variable A is not UTF-8");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .cwd = "here"}, PLEXUS_INVALID,
                            "not absolute");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .labels = labels,
                                                      .labels_count = 17}, PLEXUS_LIMIT,
                            "17 labels were given; the limit is 16 (LABEL_ITEMS)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .priority = 1001}, PLEXUS_LIMIT,
                            "priority 1001 is not within +-1000 (PRIORITY)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .retries = 1001}, PLEXUS_LIMIT,
                            "1001 retries; the limit is 1000 (RETRIES)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .cpus = (double)NAN}, PLEXUS_LIMIT,
                            "cpus");
        expect_spec_refused(&(struct plexus_job_spec){.task_type = "t", .input = large,
                                                      .input_bytes = 524289}, PLEXUS_LIMIT,
                            "the task's payload has 524289 bytes; the limit is 524288 (INPUT_BYTES)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .input = large,
                                                      .input_bytes = 8388609}, PLEXUS_LIMIT,
                            "the standard input has 8388609 bytes; the limit is 8388608 (STDIN_BYTES)");
        expect_spec_refused(&(struct plexus_job_spec){.argv = argv, .name = large}, PLEXUS_LIMIT,
                            "the name has 1048575 bytes; the limit is 128 (NAME_BYTES)");
}

TEST(a_spec_at_its_limits_is_taken)
{
        static const char *const argv[] = {"/bin/true", NULL};
        static char input[524288];
        struct px_buf job = {0};
        struct spec_blob blob;

        EXPECT_INT(spec_encode(&(struct plexus_job_spec){.task_type = "t", .input = input,
                                                         .input_bytes = sizeof(input),
                                                         .priority = -1000, .retries = 1000},
                               &job, &blob), PLEXUS_OK);
        EXPECT(job.length > sizeof(input));
        EXPECT(!blob.used);
        px_buf_reset(&job);
        /* A larger standard input is named by its content. */
        EXPECT_INT(spec_encode(&(struct plexus_job_spec){.argv = argv, .input = input,
                                                         .input_bytes = SPEC_INPUT_BYTES},
                               &job, &blob), PLEXUS_OK);
        EXPECT(!blob.used && job.length > SPEC_INPUT_BYTES);
        px_buf_reset(&job);
        EXPECT_INT(spec_encode(&(struct plexus_job_spec){.argv = argv, .input = input,
                                                         .input_bytes = SPEC_INPUT_BYTES + 1},
                               &job, &blob), PLEXUS_OK);
        EXPECT(blob.used && job.length < 1000);
        px_buf_fini(&job);
}
