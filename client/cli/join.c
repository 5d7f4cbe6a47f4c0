/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - `plexus join`: exchange an enrolment token for a key of our own, then run the node, or keep
 * the context when the token is for a person. Layer: L4 (client/cli). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "starter.h"
#include "mesh.h"
#include "verbs.h"

#define TOKEN_ROOM 256
#define JOIN_MS 15000

struct join {
        char name[65];
        char dir[MESH_PATH_MAX];
        char url[512];
        char token_path[MESH_PATH_MAX + 16];
        char token[TOKEN_ROOM];
};

/* TOKEN@HOST[:PORT] */
static int take_address(const struct cli *cli, struct join *join)
{
        const char *word = cli->arguments[0];
        const char *at = strchr(word, '@');

        if (at == NULL || at == word || at[1] == '\0')
                return cli_fail(cli, CLI_USAGE, "that is not TOKEN@HOST[:PORT]; copy the whole line that "
                                                "`plexus init` printed");
        if ((size_t)(at - word) >= sizeof join->token)
                return cli_fail(cli, CLI_USAGE, "the token is too long; it must be one word");
        snprintf(join->token, sizeof join->token, "%.*s", (int)(at - word), word);
        if (strncmp(join->token, "px", 2) != 0 || join->token[2] == '\0' || join->token[3] != '_')
                return cli_fail(cli, CLI_USAGE, "that is no token: it begins with px, a letter and _");
        snprintf(join->url, sizeof join->url, "plexus://%s", at + 1);
        return 0;
}

static int take_options(const struct cli *cli, struct join *join)
{
        char up[MESH_PATH_MAX];
        char host[65] = "";

        (void)gethostname(host, sizeof host - 1);
        host[strcspn(host, ".")] = '\0';
        snprintf(join->name, sizeof join->name, "%s", cli_has(cli, "name") ? cli_value(cli, "name") : host);
        if (cli_has(cli, "dir"))
                snprintf(join->dir, sizeof join->dir, "%s", cli_value(cli, "dir"));
        else if (geteuid() == 0)
                snprintf(join->dir, sizeof join->dir, "/var/lib/plexus-node");
        else if (mesh_default_dir(up, sizeof up - 8))
                snprintf(join->dir, sizeof join->dir, "%.*s/node", (int)(strrchr(up, '/') - up), up);
        else
                return cli_fail(cli, CLI_USAGE, "no HOME is set; use --dir");
        snprintf(join->token_path, sizeof join->token_path, "%s/node.token", join->dir);
        return 0;
}

/* An enrolment token becomes one of our own; any other is used as it is. */
static int enrol(const struct cli *cli, struct join *join)
{
        char detail[512] = "";
        char token[TOKEN_ROOM];
        int error;

        if (join->token[2] != 'e')
                return 0;
        error = plexus_enrol(join->url, join->token, join->name, JOIN_MS, token, sizeof token, detail,
                             sizeof detail);
        if (error != PLEXUS_OK)
                return cli_fail(cli, plexus_error_exit(error), "%s: %s", join->url,
                                detail[0] != '\0' ? detail : plexus_error_text(error));
        snprintf(join->token, sizeof join->token, "%s", token);
        explicit_bzero(token, sizeof token);
        return 0;
}

static int write_token(const struct cli *cli, const struct join *join)
{
        char temporary[MESH_PATH_MAX + 24];
        int result = make_dirs(join->dir);
        FILE *file = NULL;
        int fd;

        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", join->dir, strerror(-result));
        snprintf(temporary, sizeof temporary, "%s.new", join->token_path);
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
                file = fdopen(fd, "w");
        if (file == NULL)
                return cli_fail(cli, CLI_FAULT, "%s: %s", temporary, strerror(errno));
        fprintf(file, "%s\n", join->token);
        if (fflush(file) != 0 || fsync(fd) != 0 || fclose(file) != 0 ||
            rename(temporary, join->token_path) != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", join->token_path, strerror(errno));
        return 0;
}

/* Words of plexus-node; --ready-fd last, so that a node in the foreground goes without. */
static size_t node_words(const struct cli *cli, const struct join *join, const char *program,
                         const char *ret_words[16])
{
        size_t count = 0;

        ret_words[count++] = program;
        ret_words[count++] = "--dir";
        ret_words[count++] = join->dir;
        ret_words[count++] = "--name";
        ret_words[count++] = join->name;
        ret_words[count++] = "--url";
        ret_words[count++] = join->url;
        ret_words[count++] = "--token-file";
        ret_words[count++] = join->token_path;
        if (cli_has(cli, "cpus")) {
                ret_words[count++] = "--cpus";
                ret_words[count++] = cli_value(cli, "cpus");
        }
        ret_words[count] = NULL;
        return count;
}

static int start_node(const struct cli *cli, const struct join *join)
{
        char program[MESH_PATH_MAX];
        char log_path[MESH_PATH_MAX + 16];
        char line[256];
        const char *words[16];
        size_t count;
        pid_t pid;
        int ready_fd;
        int log_fd;
        int result;

        if (!program_find("plexus-node", program, sizeof program))
                return cli_fail(cli, CLI_FAULT, "plexus-node is not installed beside plexus");
        count = node_words(cli, join, program, words);
        if (cli_has(cli, "foreground")) {
                execv(program, (char *const *)(uintptr_t)words);
                return cli_fail(cli, CLI_FAULT, "%s: %s", program, strerror(errno));
        }
        words[count++] = "--ready-fd";
        words[count++] = LAUNCH_READY_FD;
        words[count] = NULL;
        snprintf(log_path, sizeof log_path, "%s/node.log", join->dir);
        log_fd = open_log(log_path);
        if (log_fd < 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", log_path, strerror(-log_fd));
        result = launch(program, words, log_fd, &pid, &ready_fd);
        close(log_fd);
        if (result != 0)
                return cli_fail(cli, CLI_FAULT, "%s: %s", program, strerror(-result));
        if (!launch_ready(ready_fd, line, sizeof line)) {
                kill(pid, SIGTERM);
                return cli_fail(cli, CLI_FAULT, "the node did not reach the broker; see %s, or ask "
                                                "plexus doctor",
                                log_path);
        }
        printf("%s: joined %s; state in %s, log %s\n", join->name, join->url + strlen("plexus://"), join->dir,
               log_path);
        return CLI_DONE;
}

/* A token for a person: this machine's user may use the mesh now. */
static int keep_context(const struct cli *cli, const struct join *join)
{
        char name[65];
        const char *host = join->url + strlen("plexus://");
        int error;

        snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":.,"), host);
        error = plexus_context_put(name, join->url, join->token, true);
        if (error != PLEXUS_OK)
                return cli_refused(cli, error, name);
        printf("context \"%s\" is yours and the current one\n", name);
        return CLI_DONE;
}

int verb_join(struct cli *cli)
{
        struct join join;
        int code;

        memset(&join, 0, sizeof join);
        code = take_address(cli, &join);
        if (code == 0)
                code = take_options(cli, &join);
        if (code == 0)
                code = enrol(cli, &join);
        if (code == 0 && join.token[2] != 'n')
                code = keep_context(cli, &join);
        else if (code == 0) {
                code = write_token(cli, &join);
                if (code == 0)
                        code = start_node(cli, &join);
        }
        explicit_bzero(join.token, sizeof join.token);
        return code;
}
