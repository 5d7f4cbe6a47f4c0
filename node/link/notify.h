/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - tell the service manager how we are. Layer: L4 (node/link). */
#ifndef LINK_NOTIFY_H
#define LINK_NOTIFY_H

/* Send "KEY=value" lines to $NOTIFY_SOCKET; nothing happens without one. Source: sd_notify(3). */
void notify_manager(const char *lines);

#endif
