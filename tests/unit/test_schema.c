/* SPDX-License-Identifier: Apache-2.0 */
/* test_schema.c - the generated names, errors and life cycle. */
#include "test.h"
#include "px_schema.h"

TEST(a_code_has_a_name_and_the_name_its_code)
{
        EXPECT_TEXT(px_job_state_name(PX_JOB_STATE_CANCELLING), "cancelling");
        EXPECT_INT(px_job_state_from_name(px_slice_text("cancelling")), PX_JOB_STATE_CANCELLING);
        EXPECT_TEXT(px_job_state_name(0), "?");
        EXPECT_TEXT(px_job_state_name(-1), "?");
        EXPECT_TEXT(px_job_state_name(PX_JOB_STATE_COUNT), "?");
        EXPECT_INT(px_job_state_from_name(px_slice_text("cancellin")), 0);
        EXPECT_INT(px_job_state_from_name(PX_SLICE_NONE), 0);
        EXPECT_TEXT(px_event_name(PX_EV_JOB_SUBMITTED), "job.submitted");
        EXPECT_INT(px_event_from_name(px_slice_text("node.lost")), PX_EV_NODE_LOST);
        EXPECT_TEXT(px_event_name(31), "?");
        EXPECT_TEXT(px_table_name(PX_TABLE_JOB), "job");
        EXPECT_TEXT(px_table_db(PX_TABLE_NAME), "spec");
        EXPECT_TEXT(px_table_key(PX_TABLE_ATTEMPT), "job u64, attempt u32");
        EXPECT_TEXT(px_table_db(0), "?");
}

TEST(an_error_is_found_by_its_code)
{
        const struct px_error_info *info = px_error_find(PX_E_FENCED);

        EXPECT(info != NULL);
        EXPECT_TEXT(info->name, "FENCED");
        EXPECT_INT(info->http, 409);
        EXPECT_INT(info->exit, 5);
        EXPECT(!info->retry);
        EXPECT(px_error_find(PX_E_BUSY)->retry);
        EXPECT(px_error_find(0) == NULL);
        EXPECT(px_error_find(9999) == NULL);
}

TEST(a_job_begins_blocked_or_queued_and_moves_along_edges_only)
{
        EXPECT(px_job_first(PX_JOB_STATE_QUEUED));
        EXPECT(px_job_first(PX_JOB_STATE_BLOCKED));
        EXPECT(!px_job_first(PX_JOB_STATE_RUNNING));
        EXPECT(!px_job_first(0));
        EXPECT(px_job_edge(PX_JOB_STATE_QUEUED, PX_JOB_STATE_ASSIGNED));
        EXPECT(!px_job_edge(PX_JOB_STATE_QUEUED, PX_JOB_STATE_RUNNING));
        EXPECT(!px_job_edge(PX_JOB_STATE_QUEUED, PX_JOB_STATE_QUEUED));
        EXPECT(!px_job_edge(0, PX_JOB_STATE_QUEUED));
        EXPECT_TEXT(px_job_edge_text(PX_JOB_STATE_RUNNING, PX_JOB_STATE_OK), "ended well");
        EXPECT(px_job_edge_text(PX_JOB_STATE_OK, PX_JOB_STATE_RUNNING) == NULL);
}

TEST(no_ended_job_changes_but_by_a_retry)
{
        for (size_t i = 0; i < PX_JOB_EDGES_COUNT; i++) {
                if (px_job_edges[i].from < PX_JOB_STATE_OK)
                        continue;
                EXPECT(px_job_edges[i].to == PX_JOB_STATE_QUEUED ||
                       px_job_edges[i].to == PX_JOB_STATE_BLOCKED);
        }
}
