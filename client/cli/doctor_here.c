/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_here.c - a mesh on this machine: its folder, processes, disk and socket. Layer: L4 (client/cli). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "mesh.h"
#include "output.h"

#define FILES_WANTED 16384                      /* RELIABILITY 2, descriptors */
#define DISK_WANTED_BYTES (UINT64_C(256) << 20) /* what the broker keeps in reserve, and some */

static int check_folder(const char *hop, const char *dir, const char *help)
{
        struct stat about;

        if (lstat(dir, &about) != 0)
                return doctor_bad(CLI_UNREACHABLE, help, hop, "%s: %s", dir, strerror(errno));
        if (!S_ISDIR(about.st_mode))
                return doctor_bad(CLI_UNREACHABLE, help, hop, "%s is not a directory", dir);
        if (about.st_uid != geteuid() || (about.st_mode & 077) != 0)
                return doctor_bad(CLI_UNREACHABLE, "chmod 700, as its owner", hop, "%s is not yours alone", dir);
        return 0;
}

/* The last line of its log that is not the supervisor's: why it does not run. */
static void last_line(const char *dir, char *ret_line, size_t room)
{
        char path[MESH_PATH_MAX + 8];
        char line[512];
        FILE *file;

        ret_line[0] = '\0';
        snprintf(path, sizeof path, "%s/up.log", dir);
        file = fopen(path, "re");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
                line[strcspn(line, "\n")] = '\0';
                if (line[0] != '\0' && strncmp(line, "plexus: ", 8) != 0)
                        snprintf(ret_line, room, "%s", line);
        }
        if (file != NULL)
                fclose(file);
}

/* What the supervisor knows of the broker. */
static int check_processes(const struct mesh *mesh)
{
        const struct mesh_process *broker = &mesh->processes[0];
        char line[512];

        for (size_t i = 1; i <= mesh->nodes_count; i++)
                if (mesh->processes[i].note[0] != '\0')
                        doctor_warn("plexus down, then plexus up", "node", "%s %s; see %s/up.log",
                                    mesh->processes[i].name, mesh->processes[i].note, mesh->dir);
        if (mesh_process_alive(broker->pid, broker->start)) {
                doctor_good("broker", "process %d", (int)broker->pid);
                return 0;
        }
        last_line(mesh->dir, line, sizeof line);
        return doctor_bad(CLI_UNREACHABLE, mesh->kind == MESH_BROKER ? "plexus init starts it again"
                                                                       : "plexus up starts it again",
                          "broker", "%s%s%s%s", broker->note[0] != '\0' ? "it " : "it does not run",
                          broker->note, line[0] != '\0' ? "; its last words: " : "", line);
}

static int check_data(const struct mesh *mesh)
{
        char dir[MESH_PATH_MAX + 64];
        struct statvfs disk;
        uint64_t room;
        char text[32];
        int code;

        mesh_process_dir(mesh, 0, dir, sizeof dir);
        code = check_folder("data", dir, "plexus up, or the --dir of its first start");
        if (code != 0)
                return code;
        if (statvfs(dir, &disk) != 0)
                return doctor_bad(CLI_UNREACHABLE, "", "data", "%s: %s", dir, strerror(errno));
        room = (uint64_t)disk.f_bavail * disk.f_frsize;
        output_bytes(room, text, sizeof text);
        if (room < DISK_WANTED_BYTES || disk.f_favail == 0)
                doctor_warn("room on that disk, or plexus rm of ended jobs", "data",
                            "%s: %s and %llu files are left on its disk", dir, text,
                            (unsigned long long)disk.f_favail);
        else
                doctor_good("data", "%s, %s free", dir, text);
        return 0;
}

static void check_files(void)
{
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) != 0)
                return;
        if (files.rlim_max < FILES_WANTED)
                doctor_warn("ulimit -Hn, or LimitNOFILE= of the service", "files",
                            "a process may open %llu files here; a broker of many nodes wants %d",
                            (unsigned long long)files.rlim_max, FILES_WANTED);
        else
                doctor_good("files", "a process may open %llu", (unsigned long long)files.rlim_max);
}

static int check_socket(const char *run)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/cmd", run) >=
            sizeof address.sun_path)
                return doctor_bad(CLI_UNREACHABLE, "", "socket", "the path is too long for a socket");
        fd = doctor_connect(AF_UNIX, (const struct sockaddr *)&address, sizeof address);
        if (fd < 0)
                return doctor_bad(CLI_UNREACHABLE, "plexus up: the broker does not run", "socket", "%s: %s",
                                  address.sun_path, strerror(-fd));
        close(fd);
        doctor_good("socket", "%s", address.sun_path);
        return 0;
}

int doctor_check_local(const char *run)
{
        char dir[MESH_PATH_MAX] = "";
        struct mesh mesh;
        int code = check_folder("directory", run, "plexus up");

        if (code != 0)
                return code;
        doctor_good("directory", "%s", run);
        mesh_dir_of_run(run, dir, sizeof dir);
        if (dir[0] != '\0' && mesh_load(dir, &mesh) == 0) {
                code = check_data(&mesh);
                if (code == 0)
                        code = check_processes(&mesh);
        }
        check_files();
        return code != 0 ? code : check_socket(run);
}
