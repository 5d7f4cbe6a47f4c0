/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.h - a process namespace for a job. Layer: L4 (node/keeper), shared by the link, which
 * finds out whether there can be one, and the keepers. Source: pid_namespaces(7), user_namespaces(7).
 *
 * The kernel kills everything in a process namespace when its first process ends, and lets that
 * process be reaped only when nothing is left: a kill and its proof in one. An ordinary account needs
 * a user namespace around it, in which it stays the same account and has no other. */
#ifndef NAMESPACE_H
#define NAMESPACE_H

#include "px_base.h"

#include <sys/types.h>

/* As fork(), but the child is the first process of a namespace and must call namespace_enter().
 * Faults: -errno. */
pid_t namespace_fork(void);
/* In the child: become the same account inside, see only the namespace in /proc (where that may be
 * mounted). Faults: -errno. */
int namespace_enter(void);
/* Whether both work here. */
bool namespace_works(void);

#endif
