/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - submit a command, follow its output, wait for its end. Usage: follow COMMAND [ARG...] */
#include <plexus.h>
#include <stdio.h>

static int refused(plexus *px, int code)
{
        fprintf(stderr, "follow: %s: %s\n", plexus_error_text(code), plexus_detail(px));
        return plexus_error_exit(code);
}

int main(int argc, char **argv)
{
        struct plexus_job_spec spec = {.argv = (const char *const *)argv + 1, .name = "follow"};
        struct plexus_log_options follow = {.follow = true};
        struct plexus_log_item item = {0};
        struct plexus_end end;
        plexus_stream *log = NULL;
        plexus *px = NULL;
        uint64_t job = 0;
        int code = argc > 1 ? plexus_connect(NULL, &px) : PLEXUS_INVALID;

        if (code == PLEXUS_OK)
                code = plexus_submit(px, &spec, &job);
        if (code == PLEXUS_OK)
                code = plexus_logs(px, job, &follow, &log);
        while (code == PLEXUS_OK && item.kind != PLEXUS_LOG_END) {
                code = plexus_log_next(log, -1, &item);
                if (code == PLEXUS_OK && item.length > 0)
                        fwrite(item.bytes, 1, item.length, item.stream == 1 ? stdout : stderr);
        }
        plexus_stream_close(log);
        if (code == PLEXUS_OK)
                code = plexus_wait(px, job, -1, &end);
        code = code != PLEXUS_OK ? refused(px, code) : end.exit_code;
        plexus_close(px);
        return code;
}
