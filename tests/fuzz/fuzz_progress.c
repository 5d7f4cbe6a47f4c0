/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_progress.c - any bytes that a job says of its progress, or draws as a bar: a share of one or
 * none, and text that can be shown.
 * Input: offset 0  u8  1 = a line of its own, else output with a bar
 *               1      the bytes */
#include "fuzz.h"
#include "keeper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        struct progress progress = {.permille = -1};

        if (length < 1)
                return 0;
        if (data[0] == 1)
                progress_line(&progress, (const char *)data + 1, length - 1);
        else if (length > 1)
                progress_bar(&progress, data + 1, length - 1);
        PX_ASSERT(progress.permille >= -1 && progress.permille <= 1000);
        PX_ASSERT(memchr(progress.text, 0, sizeof(progress.text)) != NULL);
        PX_ASSERT(px_slice_is_text(px_slice_text(progress.text)));
        PX_ASSERT(strpbrk(progress.text, "\n\r\t\x7f") == NULL);
        return 0;
}
