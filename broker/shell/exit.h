/* SPDX-License-Identifier: Apache-2.0 */
/* exit.h - exit statuses of the broker (sysexits.h numbers). Layer: L4 (broker/shell). */
#ifndef PX_BROKER_EXIT_H
#define PX_BROKER_EXIT_H

enum broker_exit {
        BROKER_EXIT_OK = 0,
        BROKER_EXIT_USAGE = 64,
        BROKER_EXIT_DAMAGED = 65,   /* acknowledged data is damaged */
        BROKER_EXIT_PORT = 69,      /* an endpoint is in use */
        BROKER_EXIT_SYSTEM = 71,    /* no memory, no thread, no random numbers */
        BROKER_EXIT_DIRECTORY = 73, /* directory, its rights, another broker on it */
        BROKER_EXIT_IO = 74,        /* a write or flush failed, or an assertion: nothing more is acknowledged */
};

#endif
