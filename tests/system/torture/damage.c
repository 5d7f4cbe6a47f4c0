/* SPDX-License-Identifier: Apache-2.0 */
/* damage.c - see damage.h. */
#include "damage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

void damage_list(const char *dir, struct damage_files *ret_files)
{
        char command[700], line[300];
        FILE *list;

        snprintf(command, sizeof(command),
                 "cd '%s' && find . -type f -size +0 ! -name lock.mdb ! -name ballast | sort", dir);
        list = popen(command, "r");
        PX_ASSERT(list != NULL);
        ret_files->count = 0;
        while (fgets(line, sizeof(line), list) != NULL && ret_files->count < DAMAGE_FILES_MAX) {
                line[strcspn(line, "\n")] = 0;
                snprintf(ret_files->names[ret_files->count++], DAMAGE_NAME_ROOM, "%.119s", line);
        }
        pclose(list);
}

static void page_swap(int fd, off_t size, struct px_rand *rand)
{
        uint64_t pages = (uint64_t)size / PAGE;
        uint8_t first[PAGE], second[PAGE];
        uint64_t a = px_rand_below(rand, pages), b = px_rand_below(rand, pages);

        PX_ASSERT(pread(fd, first, PAGE, (off_t)(a * PAGE)) == PAGE);
        PX_ASSERT(pread(fd, second, PAGE, (off_t)(b * PAGE)) == PAGE);
        PX_ASSERT(pwrite(fd, first, PAGE, (off_t)(b * PAGE)) == PAGE);
        PX_ASSERT(pwrite(fd, second, PAGE, (off_t)(a * PAGE)) == PAGE);
}

static void bit_flip(int fd, off_t size, struct px_rand *rand)
{
        off_t at = (off_t)px_rand_below(rand, (uint64_t)size);
        uint8_t byte;

        PX_ASSERT(pread(fd, &byte, 1, at) == 1);
        byte ^= (uint8_t)(1u << px_rand_below(rand, 8));
        PX_ASSERT(pwrite(fd, &byte, 1, at) == 1);
}

static void page_zero(int fd, off_t size, struct px_rand *rand)
{
        static const uint8_t zeros[PAGE];
        off_t at = (off_t)(px_rand_below(rand, (uint64_t)size) / PAGE * PAGE);
        size_t length = (size_t)PX_MIN(size - at, PAGE);

        PX_ASSERT(pwrite(fd, zeros, length, at) == (ssize_t)length);
}

const char *damage_file(const char *dir, const char *name, struct px_rand *rand)
{
        static const char *const kinds[] = {"a bit flipped", "a page zeroed", "two pages swapped",
                                            "cut short"};
        static char words[DAMAGE_NAME_ROOM + 40];
        char path[600];
        struct stat status;
        uint64_t draw = px_rand_below(rand, 10);
        size_t kind = draw < 6 ? 0 : draw < 8 ? 1 : draw == 8 ? 2 : 3;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_RDWR | O_CLOEXEC);
        PX_ASSERT(fd >= 0 && fstat(fd, &status) == 0);
        if (kind == 2 && status.st_size < 2 * PAGE)
                kind = 3;
        if (kind == 0)
                bit_flip(fd, status.st_size, rand);
        else if (kind == 1)
                page_zero(fd, status.st_size, rand);
        else if (kind == 2)
                page_swap(fd, status.st_size, rand);
        else
                PX_ASSERT(ftruncate(fd, (off_t)px_rand_below(rand, (uint64_t)status.st_size)) == 0);
        close(fd);
        snprintf(words, sizeof(words), "%s: %s", name, kinds[kind]);
        return words;
}
