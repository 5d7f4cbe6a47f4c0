# SPDX-License-Identifier: Apache-2.0
"""The schema's numbers and names as a Python module: enums, errors, limits, messages, events."""

HEAD = '''# SPDX-License-Identifier: Apache-2.0
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
'''


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def constants(schema):
    parts = [HEAD, f"SCHEMA_VERSION = {schema.version}", f"PRODUCT_VERSION = {schema.product!r}", ""]
    parts += [enum_text(item) for item in schema.enums.values()]
    parts.append("\nERRORS = {  # by code")
    parts += [f"    {e['code']}: ErrorInfo({e['code']}, {name!r}, {e['text']!r}, {e['http']}, {e['exit']}, {e['retry']}),"
              for name, e in schema.errors.items()]
    parts.append("}\n")
    parts += [f"E_{name} = {error['code']}" for name, error in schema.errors.items()]
    parts.append("")
    parts += [f"LIMIT_{name} = {limit['value']}" for name, limit in schema.limits.items()]
    parts += ["", "MESSAGES = {", *(f"    {name!r}: {m.type}," for name, m in schema.messages.items()), "}"]
    parts += ["", "EVENTS = {", *(f"    {e['name']!r}: {e['code']}," for e in schema.events.values()), "}"]
    parts += ["", "TABLES = {", *(f"    {name!r}: {t['code']}," for name, t in schema.tables.items()), "}", ""]
    return "\n".join(parts)


def enum_text(item):
    values = [f"    {name.upper()} = {code}" for name, code in item.values.items()]
    doc = f'    """{item.doc}"""\n\n' if item.doc else ""
    return f"\nclass {camel(item.name)}(enum.IntEnum):\n{doc}" + "\n".join(values) + "\n"
