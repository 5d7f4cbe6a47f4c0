# SPDX-License-Identifier: Apache-2.0
"""Numbers and names that broker, nodes and clients share. Generated from the schema; not to be edited."""

import enum
from typing import NamedTuple


class ErrorInfo(NamedTuple):
    code: int
    name: str
    text: str
    http: int
    exit: int
    retry: bool

SCHEMA_VERSION = 3
PRODUCT_VERSION = '7.8.9'


class Colour(enum.IntEnum):
    """Of a lamp."""

    RED = 1
    GREEN = 3


ERRORS = {  # by code
    1: ErrorInfo(1, 'ABSENT', 'no such "thing"', 404, 3, False),
    4: ErrorInfo(4, 'BUSY', 'later', 429, 6, True),
}

E_ABSENT = 1
E_BUSY = 4

LIMIT_MESSAGE_BYTES = 4096
LIMIT_NAME_BYTES = 16
LIMIT_ITEMS = 3

MESSAGES = {
    'SET': 5,
    'IS': 6,
}

EVENTS = {
    'lamp.on': 2,
}

TABLES = {
    'lamp': 1,
    'old': 2,
    'plain': 4,
}
