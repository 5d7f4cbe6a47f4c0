/* SPDX-License-Identifier: Apache-2.0 */
/* ids.c - numbers of tasks, and how ids are written. Layer: L4 (client/lib). */
#include "plexus.h"
#include "px_base.h"

uint64_t plexus_task_id(uint64_t array, uint32_t task)
{
        return px_task_id(array, task);
}

bool plexus_id_is_task(uint64_t id)
{
        return px_id_is_task(id);
}

uint64_t plexus_id_job(uint64_t id)
{
        return px_id_job(id);
}

uint32_t plexus_id_task(uint64_t id)
{
        return px_id_is_task(id) ? px_id_task(id) : 0;
}

const char *plexus_id_text(uint64_t id, char *text)
{
        _Static_assert(PLEXUS_ID_TEXT == PX_ID_TEXT_BYTES, "room for an id");
        return px_id_text(id, text);
}
