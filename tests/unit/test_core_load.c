/* SPDX-License-Identifier: Apache-2.0 */
/* test_core_load.c - rows that are not what was stored: each is refused as damaged, or it is another row
 * that may stand; whatever it was, the right row can be loaded after a refusal and gives the same state.
 * Source: RELIABILITY 4.13. */
#include <stdio.h>

#include "core_driver.h"
#include "test.h"

#define TABLES_MIN 7 /* that the busy driver has rows of */

static const uint8_t odd[] = {0x00, 0x01, 0x7F, 0x80, 0x90, 0xC0, 0xC2, 0xCF, 0xFF};

/* Jobs in all states that a core is loaded with, a node, a worker, a session with answers. */
static struct driver *busy_driver(void)
{
        struct driver *driver = driver_start((struct driver_options){.few_checks = true});
        struct player n1 = driver_node(driver, KEY1, "n1");
        struct client ana = driver_client(driver, ANA);
        struct client bob = driver_client(driver, BOB);
        struct px_submit_job held = driver_true(driver);
        uint64_t runs = client_submit(&ana, driver_true(driver), NULL);
        uint64_t ends;

        player_runs(&n1, runs);
        ends = client_submit(&ana, driver_true(driver), NULL);
        player_runs(&n1, ends);
        EXPECT_INT(client_change(&ana, PX_CHANGE_CANCEL, ends, (struct change_args){0}), 0);
        for (int i = 0; i < 3; i++)
                client_submit(&bob, driver_true(driver), NULL);
        held.hold = true;
        client_submit(&bob, held, NULL);
        client_submit(&bob, driver_task(driver, "resize"), NULL);
        return driver;
}

struct place {
        size_t table; /* in core_load_tables */
        size_t index;
};

/* Load everything before a place into an empty core. */
static struct core *loaded_before(struct driver *driver, struct place place)
{
        struct core *core = driver_core_empty(driver);
        struct px_slice key, value;

        for (size_t t = 0; t <= place.table; t++)
                for (size_t i = 0; (t < place.table || i < place.index) &&
                                   driver_row_at(driver, core_load_tables[t], i, &key, &value);
                     i++)
                        EXPECT_INT(core_load_row(core, core_load_tables[t], key, value), PX_OK);
        return core;
}

/* The rest from a place on; the state is that of the driver's core. */
static void load_rest(struct driver *driver, struct core *core, struct place place)
{
        struct px_slice key, value;

        for (size_t t = place.table; t < core_load_tables_count; t++)
                for (size_t i = t == place.table ? place.index : 0;
                     driver_row_at(driver, core_load_tables[t], i, &key, &value); i++)
                        EXPECT_INT(core_load_row(core, core_load_tables[t], key, value), PX_OK);
        core_load_end(core, driver_wall_ms(driver));
        core_check(core);
        EXPECT_U64(core_digest(core), core_digest(driver_core(driver)));
}

static size_t refused, taken;

/* Offer a wrong row where a right one belongs; *core is used up when it was taken. */
static void offer(struct driver *driver, struct core **core, struct place place, struct px_slice key,
                  struct px_slice value)
{
        int code;

        if (*core == NULL)
                *core = loaded_before(driver, place);
        code = core_load_row(*core, core_load_tables[place.table], key, value);
        if (code == PX_E_DAMAGED) {
                refused++;
                return;
        }
        EXPECT_INT(code, PX_OK);
        taken++;
        core_free(*core);
        *core = NULL;
}

static void offer_changed(struct driver *driver, struct core **core, struct place place,
                          struct px_slice key, struct px_slice value)
{
        struct px_buf changed = {0};

        px_buf_append_slice(&changed, value);
        for (size_t i = 0; i < value.length; i++) {
                for (size_t b = 0; b < PX_COUNT_OF(odd); b++) {
                        changed.data[i] = odd[b];
                        if (odd[b] != value.data[i])
                                offer(driver, core, place, key, px_buf_slice(&changed));
                }
                changed.data[i] = value.data[i];
        }
        for (size_t length = 0; length < value.length; length++)
                offer(driver, core, place, key, px_slice_of(value.data, length));
        px_buf_fini(&changed);
}

/* Keys cut short, of nothing, of zeros, of a number that was never given out. */
static void offer_keys(struct driver *driver, struct core **core, struct place place,
                       struct px_slice key, struct px_slice value)
{
        static const uint8_t zeros[64];
        uint8_t ones[64];

        memset(ones, 0xFF, sizeof(ones));
        for (size_t length = 0; length < key.length; length++)
                offer(driver, core, place, px_slice_of(key.data, length), value);
        offer(driver, core, place, px_slice_of(zeros, key.length), value);
        offer(driver, core, place, px_slice_of(ones, key.length), value);
}

static void try_row(struct driver *driver, struct place place, struct px_slice key,
                    struct px_slice value)
{
        struct core *core = NULL;

        offer_changed(driver, &core, place, key, value);
        offer_keys(driver, &core, place, key, value);
        if (core == NULL)
                core = loaded_before(driver, place);
        load_rest(driver, core, place);
        core_free(core);
}

TEST(a_row_that_was_not_stored_is_refused_and_leaves_nothing_behind)
{
        struct driver *driver = busy_driver();
        struct px_slice key, value;
        size_t tables = 0;

        refused = taken = 0;
        for (size_t t = 0; t < core_load_tables_count; t++) {
                struct place place = {.table = t};

                tables += driver_row_at(driver, core_load_tables[t], 0, &key, &value);
                for (; driver_row_at(driver, core_load_tables[t], place.index, &key, &value) &&
                       place.index < 8;
                     place.index++)
                        try_row(driver, place, key, value);
        }
        printf("figure: %zu wrong rows refused, %zu that may stand\n", refused, taken);
        EXPECT(refused > 1000 && tables >= TABLES_MIN);
}

/* But for answers: with a chunk that is not the next one the whole answer counts as unknown. */
TEST(a_row_that_is_there_already_is_refused)
{
        struct driver *driver = busy_driver();
        struct px_slice key, value;

        for (size_t t = 0; t < core_load_tables_count; t++) {
                struct place place = {.table = t, .index = 1};
                struct core *core;

                if (core_load_tables[t] == PX_TABLE_ANSWER ||
                    !driver_row_at(driver, core_load_tables[t], 0, &key, &value))
                        continue;
                core = loaded_before(driver, place);
                EXPECT_INT(core_load_row(core, core_load_tables[t], key, value), PX_E_DAMAGED);
                load_rest(driver, core, place);
                core_free(core);
        }
}
