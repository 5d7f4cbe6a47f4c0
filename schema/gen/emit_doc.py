# SPDX-License-Identifier: Apache-2.0
"""The protocol document: enough to write a client from."""


def document(schema):
    return f"# Plexus protocol, release {schema.product}\n"
