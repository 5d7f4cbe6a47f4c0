/* SPDX-License-Identifier: Apache-2.0 */
/* lib_url.h - where a broker is, as people write it. Layer: L4 (client/lib). Source: DESIGN 6.
 *
 *   plexus://HOST[:PORT][,HOST2[:PORT]]...   HOST a name, an IPv4 address or an [IPv6 address];
 *                                            PORT of the commands, 7539 when left out
 *   local:DIR                                sockets in the directory DIR of this machine */
#ifndef PX_LIB_URL_H
#define PX_LIB_URL_H

#include "px_base.h"

#define URL_ROOM 512
#define URL_HOSTS_MAX 8
#define URL_HOST_ROOM 254 /* RFC 1035: 253 characters */
#define URL_DIR_ROOM 100  /* "DIR/events" must fit into sun_path */
#define URL_PORT_DEFAULT 7539

struct url_host {
        char name[URL_HOST_ROOM]; /* without brackets */
        uint16_t port;
};

struct url {
        char text[URL_ROOM];
        bool local;
        char dir[URL_DIR_ROOM]; /* absolute; local only */
        struct url_host hosts[URL_HOSTS_MAX];
        size_t hosts_count; /* 1 for local */
};

/* Refuses: PX_E_INVALID with detail; ret_url is untouched. */
int url_parse(const char *text, struct url *ret_url);

#endif
