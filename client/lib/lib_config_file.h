/* SPDX-License-Identifier: Apache-2.0 */
/* lib_config_file.h - the user's folder of settings: paths, reading, replacing. Layer: L4 (client/lib). */
#ifndef PX_LIB_CONFIG_FILE_H
#define PX_LIB_CONFIG_FILE_H

#include "px_base.h"

#define CONFIG_PATH_ROOM 4096

/* 1 to 64 letters, digits, "-" and "_". */
bool config_name_valid(struct px_slice name);
/* Path of `name` in the folder. Refuses: PX_E_INVALID no home directory, too long. */
int config_file_path(const char *name, char *ret_path);
/* Append the file's bytes (at most 1 MiB); a missing file has none. Refuses: PX_E_INVALID. */
int config_file_load(const char *path, struct px_buf *ret_text);
/* The same for a file that must exist, belong to this user and be closed to others. */
int config_file_load_secret(const char *path, struct px_buf *ret_text);
/* Replace a file whole, mode 0600. Refuses: PX_E_INVALID; the old one stays. */
int config_file_store(const char *path, struct px_slice text);
/* Make the folder and lock it against other writers; close(*ret_fd) unlocks. */
int config_file_lock(int *ret_fd);

#endif
