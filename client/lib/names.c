/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - words for codes, from the schema's tables. Layer: L4 (client/lib). */
#include "plexus.h"

#include "lib_detail.h"
#include "px_schema.h"

/* The public header repeats the schema's numbers for those who have no schema. */
_Static_assert(PLEXUS_ABSENT == PX_E_ABSENT && PLEXUS_CONFLICT == PX_E_CONFLICT &&
                       PLEXUS_LIMIT == PX_E_LIMIT && PLEXUS_INVALID == PX_E_INVALID &&
                       PLEXUS_DENIED == PX_E_DENIED && PLEXUS_PROTO == PX_E_PROTO &&
                       PLEXUS_BUSY == PX_E_BUSY && PLEXUS_STORAGE_FULL == PX_E_STORAGE_FULL &&
                       PLEXUS_FENCED == PX_E_FENCED && PLEXUS_EXPIRED == PX_E_EXPIRED &&
                       PLEXUS_KEY_CONFLICT == PX_E_KEY_CONFLICT &&
                       PLEXUS_REVOKED == PX_E_REVOKED && PLEXUS_UNREACHABLE == PX_E_UNREACHABLE &&
                       PLEXUS_TIMED_OUT == PX_E_TIMED_OUT && PLEXUS_DAMAGED == PX_E_DAMAGED &&
                       PLEXUS_VERSION == PX_E_VERSION && PLEXUS_SNAPSHOT == PX_E_SNAPSHOT &&
                       PLEXUS_CANCELLED == PX_E_CANCELLED &&
                       PLEXUS_DUPLICATE == PX_E_DUPLICATE && PLEXUS_CLUSTER == PX_E_CLUSTER,
               "plexus_error differs from the schema");
_Static_assert((int)PLEXUS_BLOCKED == (int)PX_JOB_STATE_BLOCKED &&
                       (int)PLEXUS_QUEUED == (int)PX_JOB_STATE_QUEUED &&
                       (int)PLEXUS_ASSIGNED == (int)PX_JOB_STATE_ASSIGNED &&
                       (int)PLEXUS_RUNNING == (int)PX_JOB_STATE_RUNNING &&
                       (int)PLEXUS_CANCELLING == (int)PX_JOB_STATE_CANCELLING &&
                       (int)PLEXUS_JOB_OK == (int)PX_JOB_STATE_OK &&
                       (int)PLEXUS_FAILED == (int)PX_JOB_STATE_FAILED &&
                       (int)PLEXUS_JOB_CANCELLED == (int)PX_JOB_STATE_CANCELLED &&
                       (int)PLEXUS_TIMEOUT == (int)PX_JOB_STATE_TIMEOUT &&
                       (int)PLEXUS_LOST == (int)PX_JOB_STATE_LOST &&
                       (int)PLEXUS_SKIPPED == (int)PX_JOB_STATE_SKIPPED,
               "plexus_state differs from the schema");

const char *plexus_error_name(int error)
{
        const struct px_error_info *info = px_error_find(error);

        return error == PLEXUS_OK ? "OK" : (info != NULL ? info->name : "?");
}

const char *plexus_error_text(int error)
{
        const struct px_error_info *info = px_error_find(error);

        return error == PLEXUS_OK ? "done" : (info != NULL ? info->text : "an unknown refusal");
}

int plexus_error_exit(int error)
{
        const struct px_error_info *info = px_error_find(error);

        return error == PLEXUS_OK ? 0 : (info != NULL ? info->exit : 125);
}

const char *plexus_state_name(int state)
{
        return px_job_state_name(state);
}

int plexus_state_from_name(const char *name)
{
        return px_job_state_from_name(px_slice_text(name));
}

bool plexus_state_ended(int state)
{
        return state >= PLEXUS_JOB_OK && state <= PLEXUS_SKIPPED;
}

const char *plexus_version(void)
{
        return PX_PRODUCT_VERSION;
}

const char *plexus_detail(plexus *px)
{
        (void)px; /* kept by thread: the handle is named for bindings that have no threads */
        return detail_text();
}
