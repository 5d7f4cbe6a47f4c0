/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - who may see what, for the core and for the shell's queries. Layer: L2 (broker/core).
 * Source: RELIABILITY 5. */
#ifndef PX_ACCESS_H
#define PX_ACCESS_H

#include "px_base.h"

bool access_sees_all(int role);
/* May a principal of this role read what belongs to `owner`?
 * Refuses: PX_E_DENIED the role reads nothing; PX_E_ABSENT it is not theirs, and is called absent. */
int access_read(int role, struct px_principal_id principal, struct px_principal_id owner);
/* Refuses: PX_E_DENIED the role submits no jobs, and so stores no files. */
int access_upload(int role);

#endif
