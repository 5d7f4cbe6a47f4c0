/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - any bytes as the user's file of meshes: refused by line, or every name and value fits
 * its field.
 * Input: the file */
#include "fuzz.h"
#include "lib_config.h"
#include "lib_config_file.h"
#include "px_schema.h"

static void check_text(const char *text, size_t room)
{
        PX_ASSERT(memchr(text, 0, room) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        static struct config config;
        int code = config_parse("config.toml", px_slice_of(data, length), &config);

        PX_ASSERT(code == PX_OK || code == PX_E_INVALID);
        if (code != PX_OK) {
                PX_ASSERT(plexus_detail(NULL)[0] != '\0');
                return 0;
        }
        PX_ASSERT(config.count <= CONFIG_CONTEXTS_MAX);
        check_text(config.current, sizeof(config.current));
        for (size_t i = 0; i < config.count; i++) {
                const struct plexus_context *context = &config.contexts[i];

                check_text(context->name, sizeof(context->name));
                check_text(context->url, sizeof(context->url));
                check_text(context->token_file, sizeof(context->token_file));
                PX_ASSERT(config_name_valid(px_slice_text(context->name)));
                PX_ASSERT(config_find(&config, context->name) == context);
        }
        return 0;
}
