/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_url.c - any text as a URL: refused in words, or hosts and ports are what fits into a socket's
 * address, and its own text is read the same again.
 * Input: the text */
#include "fuzz.h"
#include "fuzz_text.h"
#include "lib_url.h"
#include "plexus.h"

static void check_host(const struct url_host *host)
{
        PX_ASSERT(memchr(host->name, 0, sizeof(host->name)) != NULL);
        PX_ASSERT(host->name[0] != '\0');
        PX_ASSERT(host->port != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        char *text = fuzz_text(data, length);
        struct url url = {0}, again = {0};

        if (url_parse(text, &url) == PLEXUS_OK) {
                PX_ASSERT(url.hosts_count >= 1 && url.hosts_count <= URL_HOSTS_MAX);
                PX_ASSERT(!url.local || url.dir[0] == '/');
                for (size_t i = 0; !url.local && i < url.hosts_count; i++)
                        check_host(&url.hosts[i]);
                PX_ASSERT(url_parse(url.text, &again) == PLEXUS_OK);
                PX_ASSERT(strcmp(url.text, again.text) == 0 && strcmp(url.dir, again.dir) == 0 &&
                          url.hosts_count == again.hosts_count);
        } else {
                PX_ASSERT(plexus_detail(NULL)[0] != '\0');
        }
        free(text);
        return 0;
}
