/* SPDX-License-Identifier: Apache-2.0 */
/* record_format.h - sizes that the writing and the reading half of the record share; the format
 * stands in record.h. Layer: L4 (broker/shell). */
#ifndef PX_RECORD_FORMAT_H
#define PX_RECORD_FORMAT_H

#define RECORD_MAGIC "PXINPUT1"
#define RECORD_MAGIC_BYTES 8
#define RECORD_HEADER_BYTES 5 /* kind, length */
#define RECORD_CRC_BYTES 4

#endif
