/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - the hops of `plexus doctor`. Layer: L4 (client/cli), private to doctor*.c. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "command.h"

#define DOCTOR_HOP_MS 3000
#define DOCTOR_HOST_ROOM 256

/* One line a hop: "ok      tcp        127.0.0.1 port 7539: open". */
void doctor_good(const char *hop, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something that works but will surprise: "warning". */
void doctor_warn(const char *help, const char *hop, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The hop that fails, and what helps ("" = nothing known). Returns `code`. */
int doctor_bad(int code, const char *help, const char *hop, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* ---- doctor_net.c: the way to a broker over TCP -------------------------------------------------------- */

struct doctor_address {
        char host[DOCTOR_HOST_ROOM];
        char port[16]; /* of commands */
};
/* Read HOST[:PORT][,...] or [ADDRESS]:PORT; the first of a list. */
void doctor_address_read(const char *word, struct doctor_address *ret_address);
/* Name, connection and ZeroMQ's greeting of one port; `hop` names it. Returns 0 or an exit code. */
int doctor_check_port(const struct doctor_address *address, const char *port, const char *hop);
/* All of --reach: the port of commands and those of --ports, no token needed. */
int doctor_reach(const struct cli *cli, const char *url);
/* Go the same way from another machine, by ssh. `who` (NULL = not known) has the broker's other ports. */
int doctor_from(const char *node, const char *url, const struct plexus_who *who);

/* ---- doctor_here.c: a mesh on this machine ------------------------------------------------------------- */

/* Directory, processes, disk, descriptors and the socket of a local mesh. Returns 0 or an exit code. */
int doctor_check_local(const char *run);

/* Connect to a socket within DOCTOR_HOP_MS. Returns the descriptor or -errno. */
struct sockaddr;
int doctor_connect(int family, const struct sockaddr *address, unsigned length);

#endif
