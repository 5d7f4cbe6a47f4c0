/* SPDX-License-Identifier: Apache-2.0 */
/* lib_detail.h - why the last call of this thread was refused, in words. Layer: L4 (client/lib). */
#ifndef PX_LIB_DETAIL_H
#define PX_LIB_DETAIL_H

#define DETAIL_ROOM 2048

/* Keep the words for plexus_detail() and return `code`. Shape: cut at DETAIL_ROOM - 1. */
int detail_refuse(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void detail_clear(void);
const char *detail_text(void); /* "" when nothing was refused */

#endif
