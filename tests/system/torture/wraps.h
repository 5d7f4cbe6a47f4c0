/* SPDX-License-Identifier: Apache-2.0 */
/* wraps.h - the C library's functions that write, between the store (and LMDB, linked statically) and the
 * machine: each call is told to the trace, and one of them may fail on purpose. The linker puts
 * them there (--wrap). */
#ifndef WRAPS_H
#define WRAPS_H

#include "px_base.h"

/* Let call number `nth` (1, 2, ...) fail with errno `error`, and each one after it if `for_ever`.
 * error 0: none fails, but calls are counted. */
void wraps_fail_writes(uint64_t nth, int error, bool for_ever);
uint64_t wraps_writes(void); /* calls since wraps_fail_writes() */

/* The same for reads of files. error 0: none fails, but they are counted. */
void wraps_fail_reads(uint64_t nth, int error, bool for_ever);
uint64_t wraps_reads(void);

/* Let allocation number `nth` find no memory. 0: none. */
void wraps_fail_memory(uint64_t nth);
uint64_t wraps_allocations(void);

#endif
