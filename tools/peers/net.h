/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - a small buffered, blocking TCP connection to a peer on this machine. Layer: tools. */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>

struct net; /* opaque; lives as long as the process */

/* Connect, trying again until the server is there. */
struct net *net_open(int port);
int net_fd(const struct net *net);
void net_put(struct net *net, const void *bytes, size_t length);
void net_print(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));
void net_flush(struct net *net);
/* `length` bytes, valid until the next read. */
char *net_take(struct net *net, size_t length);
/* The next line without its end, terminated; valid until the next read. */
char *net_line(struct net *net);
/* Are there bytes that were read but not taken? */
bool net_has_more(const struct net *net);
/* Wait for bytes. */
bool net_wait(struct net *net, int timeout_ms);

#endif
