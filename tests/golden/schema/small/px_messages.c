/* SPDX-License-Identifier: Apache-2.0 */
/* px_messages.c - the tables of messages and stored rows behind px_tables.h.
 * Generated from the schema; not to be edited. Layer: L1. */

#include "px_codec.h"
#include "px_tables.h"

const size_t px_messages_count = 2;
const struct px_message_info px_messages[] = {
        {5, "SET", "client", "cmd", &px_m_set_layout},
        {6, "IS", "broker", "any", &px_m_is_layout},
};

const size_t px_rows_count = 2;
const struct px_row_info px_rows[] = {
        {PX_TABLE_LAMP, &px_lamp_row_layout},
        {PX_TABLE_OLD, &px_lamp_row_layout},
};
