/* SPDX-License-Identifier: Apache-2.0 */
/* lib_link_probe.h - addresses: their words, their ZeroMQ endpoint, and whether anything listens there.
 * Layer: L4 (client/lib). Used by link.c only. */
#ifndef PX_LIB_LINK_PROBE_H
#define PX_LIB_LINK_PROBE_H

#include "lib_link.h"

/* The local socket `name` in `dir`. */
void link_probe_local(const char *dir, const char *name, struct link_address *ret_address);
/* The socket `name` that belongs to the one at `address`: same host, `port`; same directory when
 * it is local. */
void link_probe_beside(const struct link_address *address, const char *name, uint32_t port,
                       struct link_address *ret_address);
/* Fill in `words`. host = the name it was found by, NULL = none. */
void link_probe_name(struct link_address *address, const char *host);
/* "tcp://..." or "ipc://...". */
void link_probe_endpoint(const struct link_address *address, char *ret_endpoint, size_t room);
/* Begin to connect. Returns 0 (connected), EINPROGRESS (ask link_probe_result() when it becomes
 * writable) or an errno; ret_fd is -1 unless it is open. */
int link_probe_start(const struct link_address *address, int *ret_fd);
/* 0, EINPROGRESS or an errno. */
int link_probe_result(int fd);
/* What an errno of these means to a person. */
void link_probe_words(const struct link_address *address, int fault, char *ret_words, size_t room);

#endif
