/* SPDX-License-Identifier: Apache-2.0 */
/* test_shell_options.c - the broker's command line, and files that only it may read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "private.h"
#include "test.h"

static char out_text[8192];
static char error_text[1024];

/* Read a command line of words separated by single spaces. */
static int read_line(const char *line, struct broker_options *ret_options)
{
        static char words[512];
        char *argv[32] = {words};
        FILE *out = fmemopen(out_text, sizeof(out_text), "w");
        FILE *errors = fmemopen(error_text, sizeof(error_text), "w");
        int argc = 0;
        int status;

        snprintf(words, sizeof(words), "plexus-broker %s", line);
        for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
                argv[argc++] = word;
        status = options_read(argc, argv, out, errors, ret_options);
        fclose(out);
        fclose(errors);
        return status;
}

TEST(a_directory_is_enough_and_the_rest_has_defaults)
{
        struct broker_options options;

        EXPECT_INT(read_line("--dir /d", &options), -1);
        EXPECT_TEXT(options.dir, "/d");
        EXPECT(options.run == NULL && options.listen == NULL && options.ready_fd == -1);
        EXPECT_INT(options.port_cmd, 7539);
        EXPECT_INT(options.port_events, 7542);
        EXPECT_U64(options.lease_ms, 14000);
        EXPECT_U64(options.heartbeat_ms, 2000);
        EXPECT_U64(options.keep_done_count, 1000000);
}

TEST(every_kind_of_option_is_read)
{
        struct broker_options options;

        EXPECT_INT(read_line("--listen ::1 --port-cmd 0 --lease-ms 3000 --ready-fd 5 "
                             "--any-filesystem --dir /d --run /r",
                             &options),
                   -1);
        EXPECT_TEXT(options.listen, "::1");
        EXPECT_TEXT(options.run, "/r");
        EXPECT_INT(options.port_cmd, 0);
        EXPECT_INT(options.ready_fd, 5);
        EXPECT(options.any_filesystem);
        EXPECT_U64(options.lease_ms, 3000);
        EXPECT_U64(options.heartbeat_ms, 750);
}

TEST(mistakes_on_the_command_line_are_named)
{
        struct broker_options options;
        static const struct {
                const char *line;
                const char *words;
        } wrong[] = {
                {"", "--dir is missing"},
                {"--dir", "a value is missing after --dir"},
                {"--dir /d --what", "no such option: --what"},
                {"--dir /d stray", "no such option: stray"},
                {"--dir /d --port-cmd 65536", "not a valid value for --port-cmd"},
                {"--dir /d --port-cmd -1", "not a valid value for --port-cmd"},
                {"--dir /d --lease-ms 9x", "not a valid value for --lease-ms"},
                {"--dir /d --lease-ms 99999999999999999999", "not a valid value for --lease-ms"},
        };

        for (size_t i = 0; i < PX_COUNT_OF(wrong); i++) {
                memset(error_text, 0, sizeof(error_text));
                EXPECT_INT(read_line(wrong[i].line, &options), 64);
                EXPECT(strstr(error_text, wrong[i].words) != NULL);
        }
}

TEST(help_names_every_option_and_ends_well)
{
        struct broker_options options;

        memset(out_text, 0, sizeof(out_text));
        EXPECT_INT(read_line("--help", &options), 0);
        EXPECT(strstr(out_text, "--dir DIR") != NULL);
        EXPECT(strstr(out_text, "--any-filesystem") != NULL);
        EXPECT(strstr(out_text, "default 7539") != NULL);
}

/* ---- private files ------------------------------------------------------------------------------
 */

static const char *in_temp(const char *name)
{
        static char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", test_temp_dir(), name);
        return path;
}

static void free_bytes(void *context)
{
        px_buf_fini(context);
}

TEST(a_secret_is_written_for_its_owner_alone_and_read_back)
{
        char text[PRIVATE_TEXT_ROOM];
        const char *path = in_temp("secret");
        static struct px_buf bytes;
        struct stat about;

        test_cleanup(free_bytes, &bytes);
        EXPECT_INT(private_write(path, px_slice_text("first"), text), 0);
        EXPECT_INT(private_write(path, px_slice_text("word"), text), 0);
        EXPECT_INT(stat(path, &about), 0);
        EXPECT_INT(about.st_mode & 0777, 0600);
        EXPECT_INT(private_read(path, 16, &bytes, text), 0);
        EXPECT_BYTES(px_buf_slice(&bytes), px_slice_text("word"));
}

TEST(a_secret_that_others_may_read_or_that_is_a_link_or_too_long_is_refused)
{
        char text[PRIVATE_TEXT_ROOM];
        char link_path[PATH_MAX + 8];
        const char *path = in_temp("secret");
        struct px_buf bytes = {0};

        EXPECT_INT(private_read(path, 16, &bytes, text), -ENOENT);
        EXPECT_INT(private_write(path, px_slice_text("word"), text), 0);
        EXPECT_INT(private_read(path, 3, &bytes, text), -EINVAL);
        EXPECT_INT(chmod(path, 0640), 0);
        EXPECT_INT(private_read(path, 16, &bytes, text), -EPERM);
        EXPECT(strstr(text, "chmod 600") != NULL);
        EXPECT_INT(chmod(path, 0600), 0);
        snprintf(link_path, sizeof(link_path), "%s.link", path);
        EXPECT_INT(symlink(path, link_path), 0);
        EXPECT_INT(private_read(link_path, 16, &bytes, text), -ELOOP);
        EXPECT_U64(bytes.length, 0);
}

TEST(a_directory_open_to_others_is_refused)
{
        char text[PRIVATE_TEXT_ROOM];
        const char *path = in_temp("folder");

        EXPECT_INT(private_directory(path, text), 0);
        EXPECT_INT(private_directory(path, text), 0);
        EXPECT_INT(chmod(path, 0750), 0);
        EXPECT_INT(private_directory(path, text), -EPERM);
        EXPECT(strstr(text, "chmod 700") != NULL);
}
