/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - what this machine has: processors, memory, load, clocks. Layer: L4 (node/link). */
#include "link.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool text_of(const char *directory, const char *name, char *ret_text, size_t room)
{
        char path[GROUP_PATH_BYTES + 64];
        FILE *file;
        size_t got;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "re");
        if (file == NULL)
                return false;
        got = fread(ret_text, 1, room - 1, file);
        ret_text[got] = '\0';
        fclose(file);
        return got > 0;
}

/* The quota of our group in thousandths of a processor; UINT32_MAX = none. */
static uint32_t quota_milli(void)
{
        char directory[GROUP_PATH_BYTES];
        char text[64];
        char period_text[64];
        uint64_t quota = 0;
        uint64_t period = 0;

        if (group_own_directory(NULL, directory) &&
            text_of(directory, "cpu.max", text, sizeof(text)))
                sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period);
        else if (group_own_directory("cpu", directory) &&
                 text_of(directory, "cpu.cfs_quota_us", text, sizeof(text)) && text[0] != '-' &&
                 text_of(directory, "cpu.cfs_period_us", period_text, sizeof(period_text))) {
                quota = strtoull(text, NULL, 10);
                period = strtoull(period_text, NULL, 10);
        }
        if (quota == 0 || period == 0 || quota > UINT32_MAX)
                return UINT32_MAX;
        return (uint32_t)PX_MAX(quota * 1000 / period, (uint64_t)1);
}

uint32_t machine_cpus_milli(void)
{
        cpu_set_t set;
        int count = sched_getaffinity(0, sizeof(set), &set) == 0
                            ? CPU_COUNT(&set)
                            : (int)sysconf(_SC_NPROCESSORS_ONLN);

        return PX_MIN((uint32_t)PX_MAX(count, 1) * 1000u, quota_milli());
}

uint64_t machine_memory_bytes(void)
{
        uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        char directory[GROUP_PATH_BYTES];
        char text[64] = "";
        uint64_t limit;

        if (!(group_own_directory(NULL, directory) &&
              text_of(directory, "memory.max", text, sizeof(text))) &&
            group_own_directory("memory", directory))
                text_of(directory, "memory.limit_in_bytes", text, sizeof(text));
        limit = strtoull(text, NULL, 10); /* "max" reads as 0 */
        return limit == 0 ? bytes : PX_MIN(bytes, limit);
}

uint32_t machine_load_milli(void)
{
        double load[1];

        return getloadavg(load, 1) == 1 ? (uint32_t)(load[0] * 1000) : 0;
}

uint64_t machine_memory_free_bytes(void)
{
        char text[512];
        const char *at;

        if (!text_of("/proc", "meminfo", text, sizeof(text)))
                return 0;
        at = strstr(text, "MemAvailable:");
        return at == NULL ? 0 : strtoull(at + strlen("MemAvailable:"), NULL, 10) * 1024;
}

static int64_t clock_ms(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t machine_now_ms(void)
{
        return clock_ms(CLOCK_BOOTTIME) + 1;
}

int64_t machine_wall_ms(void)
{
        return clock_ms(CLOCK_REALTIME);
}
