/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what a fuzz target defines: one function, called with every input there is. A target
 * asserts what must hold; it keeps nothing between two calls. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The name libFuzzer calls. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#endif
