/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - read a URL strictly. Layer: L4 (client/lib). Format: lib_url.h. */
#include "lib_url.h"

#include "lib_detail.h"
#include "px_schema.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCHEME_TCP "plexus://"
#define SCHEME_LOCAL "local:"

static int parse_local(const char *text, struct url *url)
{
        const char *dir = text + strlen(SCHEME_LOCAL);
        char here[PATH_MAX] = "";
        int length;

        if (dir[0] == '\0')
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" names no directory", text);
        if (dir[0] != '/' && getcwd(here, sizeof(here)) == NULL)
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" is relative to a directory "
                                                   "that is gone", text);
        length = snprintf(url->dir, sizeof(url->dir), "%s%s%s", here, here[0] ? "/" : "", dir);
        if (length >= (int)sizeof(url->dir))
                return detail_refuse(PX_E_INVALID,
                                     "the directory of \"%s\" has a path of %d bytes; for sockets "
                                     "at most %d fit", text, length, URL_DIR_ROOM - 1);
        while (length > 1 && url->dir[length - 1] == '/')
                url->dir[--length] = '\0';
        url->local = true;
        url->hosts_count = 1;
        return PX_OK;
}

static int parse_port(const char *text, struct px_slice port, uint16_t *ret_port)
{
        uint32_t value = 0;

        for (size_t i = 0; i < port.length && value <= UINT16_MAX; i++) {
                if (port.data[i] < '0' || port.data[i] > '9')
                        value = UINT32_MAX / 2;
                else
                        value = value * 10 + (uint32_t)(port.data[i] - '0');
        }
        if (port.length == 0 || value == 0 || value > UINT16_MAX)
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" has a port that isn't a number "
                                                   "from 1 to 65535", text);
        *ret_port = (uint16_t)value;
        return PX_OK;
}

static bool name_character(uint8_t c, bool bracketed)
{
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
            c == '-')
                return true;
        return bracketed ? c == ':' : c == '_';
}

static int parse_name(const char *text, struct px_slice name, bool bracketed, char *ret_name)
{
        if (name.length == 0)
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" has an empty host", text);
        if (name.length >= URL_HOST_ROOM)
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" has a host of %zu characters; "
                                                   "at most %d fit", text, name.length,
                                     URL_HOST_ROOM - 1);
        for (size_t i = 0; i < name.length; i++) {
                if (!name_character(name.data[i], bracketed))
                        return detail_refuse(PX_E_INVALID,
                                             "the URL \"%s\" has a character that no host has; "
                                             "write plexus://HOST[:PORT][,HOST2[:PORT]]", text);
        }
        px_slice_to_text(name, ret_name, URL_HOST_ROOM);
        return PX_OK;
}

/* One HOST[:PORT]. */
static int parse_host(const char *text, struct px_slice part, struct url_host *ret_host)
{
        bool bracketed = part.length > 0 && part.data[0] == '[';
        const uint8_t *end = part.length > 0
                                     ? memchr(part.data, bracketed ? ']' : ':', part.length)
                                     : NULL;
        struct px_slice name = part, rest = PX_SLICE_NONE;
        int code;

        if (bracketed && end == NULL)
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" has a [ without a ]", text);
        if (end != NULL) {
                const uint8_t *from = bracketed ? part.data + 1 : part.data;

                name = px_slice_of(from, (size_t)(end - from));
                end += bracketed ? 1 : 0;
                rest = px_slice_of(end, (size_t)(part.data + part.length - end));
        }
        code = parse_name(text, name, bracketed, ret_host->name);
        if (code != PX_OK)
                return code;
        ret_host->port = URL_PORT_DEFAULT;
        if (rest.length == 0)
                return PX_OK;
        if (rest.data[0] != ':')
                return detail_refuse(PX_E_INVALID, "the URL \"%s\" has more behind a host than "
                                                   "a port", text);
        return parse_port(text, px_slice_of(rest.data + 1, rest.length - 1), &ret_host->port);
}

static int parse_hosts(const char *text, struct url *url)
{
        const char *at = text + strlen(SCHEME_TCP);
        size_t length = strlen(at);

        if (length > 0 && at[length - 1] == '/')
                length--;
        for (;;) {
                const char *comma = memchr(at, ',', length);
                size_t part = comma != NULL ? (size_t)(comma - at) : length;
                int code;

                if (url->hosts_count == URL_HOSTS_MAX)
                        return detail_refuse(PX_E_INVALID, "the URL \"%s\" names more than %d "
                                                           "hosts", text, URL_HOSTS_MAX);
                code = parse_host(text, px_slice_of(at, part), &url->hosts[url->hosts_count++]);
                if (code != PX_OK || comma == NULL)
                        return code;
                at = comma + 1;
                length -= part + 1;
        }
}

int url_parse(const char *text, struct url *ret_url)
{
        struct url url = {0};
        int code;

        if (strlen(text) >= URL_ROOM)
                return detail_refuse(PX_E_INVALID, "the URL has %zu characters; at most %d fit",
                                     strlen(text), URL_ROOM - 1);
        px_slice_to_text(px_slice_text(text), url.text, sizeof(url.text));
        if (strncmp(text, SCHEME_LOCAL, strlen(SCHEME_LOCAL)) == 0)
                code = parse_local(text, &url);
        else if (strncmp(text, SCHEME_TCP, strlen(SCHEME_TCP)) == 0)
                code = parse_hosts(text, &url);
        else
                code = detail_refuse(PX_E_INVALID, "the URL \"%s\" is neither "
                                                   "plexus://HOST[:PORT] nor local:DIR", text);
        if (code == PX_OK)
                *ret_url = url;
        return code;
}
