/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_values.c - any text as a duration, a size, a number, a share of cpus, a moment and a signal.
 * Input: the text */
#include "command.h"
#include "fuzz.h"
#include "fuzz_text.h"

#include <math.h>

#define NOW_MS INT64_C(1800000000000)
#define TEN_YEARS_MS (UINT64_C(3650) * 24 * 3600 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
        char *text = fuzz_text(data, length);
        uint64_t amount;
        int64_t number;
        double cpus;

        if (cli_parse_duration(text, &amount))
                PX_ASSERT(amount <= TEN_YEARS_MS);
        (void)cli_parse_bytes(text, &amount);
        if (cli_parse_number(text, -5, 1000, &number))
                PX_ASSERT(number >= -5 && number <= 1000);
        if (cli_parse_cpus(text, &cpus))
                PX_ASSERT(isfinite(cpus) && cpus >= 0);
        if (cli_parse_since(text, NOW_MS, &number))
                PX_ASSERT(number <= INT64_C(253402300800000)); /* the year 10000 */
        PX_ASSERT(cli_parse_signal(text) >= 0 && cli_parse_signal(text) <= 64);
        free(text);
        return 0;
}
