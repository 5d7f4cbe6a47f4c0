# SPDX-License-Identifier: Apache-2.0
"""The schema as checked Python objects. Everything an emitter needs, nothing left to refuse there.

read_schema(path) -> Schema, or SchemaError with file and line.
"""

import re
import tomllib
from dataclasses import dataclass, field

from source import SchemaError, Source

# Largest numbers of the unsigned and signed basic types, and the ids, which are unsigned numbers.
UNSIGNED = {
    "u8": 2**8 - 1, "u16": 2**16 - 1, "u32": 2**32 - 1, "u64": 2**64 - 1,
    "job_id": 2**64 - 1, "node_id": 2**32 - 1, "principal_id": 2**32 - 1, "session_id": 2**64 - 1,
}
SIGNED = {"i32": 2**31 - 1, "i64": 2**63 - 1}
IDS = ("job_id", "node_id", "principal_id", "session_id")
STRINGS = ("text", "bytes")
BASIC = ("bool", "f64", "fence", *UNSIGNED, *SIGNED, *STRINGS)

FIELDS_MAX = 64  # a decoder keeps one bit per field
LIST_MAX = 65535  # a frame's count is a u16
DEPTH_MAX = 8  # as PX_WIRE_DEPTH_MAX
ENUM_CODE_MAX = 255
CODE_MAX = 1023
RESERVED = ("event", "table", "error")  # have functions of their own in C
SENDERS = ("client", "broker", "node", "shell")
SOCKETS = ("any", "cmd", "node", "data", "events", "inside")
KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline "
    "int long register restrict return short signed sizeof static struct switch typedef union "
    "unsigned void volatile while bool true false".split()
)

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
UPPER = re.compile(r"^[A-Z][A-Z0-9_]*$")
FIELD = re.compile(
    r"^(?P<name>\w+): (?P<list>list of )?(?P<type>\w+)"
    r"(?: max (?P<max>\w+))?(?: item (?P<item>\w+))?(?: - (?P<doc>.+))?$"
)
EDGE = re.compile(r"^(?P<start>\w+) -> (?P<end>\w+)\s+- (?P<text>.+)$")


@dataclass
class Field:
    name: str
    type: str  # basic type, or the name of an enum or struct
    kind: str  # basic, enum or struct
    is_list: bool
    list_max: int  # 0 when not a list
    value_max: int  # bytes of text and bytes, largest number; 0 where it means nothing
    declared: str  # as the schema says, without name and sentence: "list of T max N item M"
    doc: str
    line: int

    @property
    def value_min(self):
        if self.type not in SIGNED:
            return 0
        return -self.value_max - (1 if self.value_max == SIGNED[self.type] else 0)


@dataclass
class Shape:
    """A struct, record or message: named fields in an order that only grows."""

    name: str
    role: str  # struct, record or message
    fields: list
    doc: str
    is_map: bool = False
    type: int = 0  # message
    sender: str = ""
    socket: str = ""
    answer: str = ""  # the message that answers it
    tables: list = field(default_factory=list)  # record

    @property
    def c_name(self):
        lower = self.name.lower()
        return {"struct": f"px_{lower}", "record": f"px_{lower}_row", "message": f"px_m_{lower}"}[self.role]


@dataclass
class Enum:
    name: str
    values: dict
    doc: str


@dataclass
class LifeCycle:
    name: str
    enum: Enum
    first: list
    edges: list  # (from name, to name, text)


@dataclass
class Schema:
    version: int
    product: str
    errors: dict
    limits: dict
    enums: dict
    lifecycles: dict
    structs: dict  # in an order where a struct follows those it uses
    records: dict
    messages: dict
    events: dict
    tables: dict


def read_schema(path, shown_name=None):
    name = shown_name or path
    with open(path, "rb") as file:
        raw = file.read()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SchemaError(f"{name}:{line}: not UTF-8") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.match(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = (found and found.group(2)) or len(text.splitlines())
        reason = found.group(1) if found else str(error)
        raise SchemaError(f"{name}:{line}: not TOML: {reason}") from None
    return Reader(Source(name, text), data).read()


class Reader:
    """Turns parsed TOML into a Schema; each method checks one section."""

    def __init__(self, source, data):
        self.source = source
        self.data = data
        self.limits = {}
        self.enums = {}

    def read(self):
        known = ("schema", "errors", "limits", "enums", "lifecycle", "structs", "records", "messages",
                 "events", "tables")
        for section in self.data:
            if section not in known:
                # The section may exist only as a prefix of its children, as in [thing.child].
                self.fail(self.first_line(section), f"unknown section '{section}'")
            if not isinstance(self.data[section], dict):
                self.fail(self.first_line(section), f"'{section}' is not a section")
        head = self.data.get("schema", {})
        self.check_keys("schema", head, {"version": int, "product": str})
        self.limits = self.read_limits()
        errors = self.read_errors()
        self.enums = self.read_enums()
        tables = self.read_coded("tables", {"db": str, "key": str}, ENUM_CODE_MAX)
        events = self.read_coded("events", {"name": str}, CODE_MAX)
        self.check_distinct("events", events, "name")
        structs = self.read_structs()
        return Schema(head["version"], head["product"], errors, self.limits, self.enums,
                      self.read_lifecycles(), structs, self.read_records(structs, tables),
                      self.read_messages(structs), events, tables)

    # ---- helpers ----

    def fail(self, line, message):
        self.source.fail(line, message)

    def first_line(self, section):
        lines = [span[0] for name, span in self.source.sections.items()
                 if name == section or name.startswith(section + ".")]
        return min(lines) if lines else 1

    def check_keys(self, section, table, required, optional=None, item=None):
        """Every required key is there, of its type, and no unknown one."""
        optional = optional or {}
        line = self.source.line_of(section, item)
        where = f"{section}.{item}" if item else section
        if not isinstance(table, dict):
            self.fail(line, f"{where}: not a table")
        for key, value in table.items():
            wanted = required.get(key) or optional.get(key)
            at = line if item else self.source.line_of(section, key)
            if wanted is None:
                self.fail(at, f"{where}: unknown key '{key}'")
            # bool is an int in Python; a number is wanted here
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                self.fail(at, f"{where}: '{key}' has the wrong type")
        for key in required:
            if key not in table:
                self.fail(line, f"{where}: '{key}' is missing")

    def check_name(self, section, item, pattern=NAME):
        if not pattern.match(item) or item.lower() in KEYWORDS:
            self.fail(self.source.line_of(section, item), f"{section}: '{item}' cannot be a name")

    def check_distinct(self, section, items, key):
        seen = {}
        for name, item in items.items():
            other = seen.setdefault(item[key], name)
            if other != name:
                self.fail(self.source.line_of(section, name),
                          f"{section}.{name}: {key} {item[key]} is already that of {other}")

    def read_coded(self, section, required, code_max, pattern=NAME):
        """A section of NAME = { code = N, ... } with distinct codes."""
        items = self.data.get(section, {})
        for name, item in items.items():
            self.check_name(section, name, pattern)
            self.check_keys(section, item, {"code": int, **required}, item=name)
            if not 1 <= item["code"] <= code_max:
                self.fail(self.source.line_of(section, name),
                          f"{section}.{name}: code {item['code']} is not within 1 to {code_max}")
        self.check_distinct(section, items, "code")
        return items

    # ---- sections ----

    def read_errors(self):
        wanted = {"http": int, "exit": int, "retry": bool, "text": str}
        errors = self.read_coded("errors", wanted, ENUM_CODE_MAX, UPPER)
        for name, error in errors.items():
            line = self.source.line_of("errors", name)
            if not 400 <= error["http"] <= 599:
                self.fail(line, f"errors.{name}: http {error['http']} is not within 400 to 599")
            if not 1 <= error["exit"] <= 255:
                self.fail(line, f"errors.{name}: exit {error['exit']} is not within 1 to 255")
        return errors

    def read_limits(self):
        limits = self.data.get("limits", {})
        if "MESSAGE_BYTES" not in limits:
            self.fail(self.first_line("limits"), "limits: 'MESSAGE_BYTES' is missing; it bounds every frame")
        for name, limit in limits.items():
            self.check_name("limits", name, UPPER)
            self.check_keys("limits", limit, {"value": int, "text": str}, item=name)
            if not 1 <= limit["value"] <= 2**31 - 1:
                self.fail(self.source.line_of("limits", name),
                          f"limits.{name}: {limit['value']} is not within 1 to {2**31 - 1}")
        return limits

    def read_enums(self):
        enums = {}
        for name, item in self.data.get("enums", {}).items():
            section = f"enums.{name}"
            self.check_name(section, name)
            self.check_keys(section, item, {"values": dict}, {"doc": str})
            if name in BASIC or name in RESERVED:
                self.fail(self.source.line_of(section), f"{section}: '{name}' is reserved")
            if not item["values"]:
                self.fail(self.source.line_of(section, "values"), f"{section}: no values")
            seen = {}
            for value, code in item["values"].items():
                line = self.source.line_of(section, value)
                if not NAME.match(value) or value == "count":
                    self.fail(line, f"{section}: '{value}' cannot be a name")
                if type(code) is not int or not 1 <= code <= ENUM_CODE_MAX:
                    self.fail(line, f"{section}.{value}: code {code} is not within 1 to {ENUM_CODE_MAX}")
                if code in seen:
                    self.fail(line, f"{section}.{value}: code {code} is already that of {seen[code]}")
                seen[code] = value
            enums[name] = Enum(name, item["values"], item.get("doc", ""))
        return enums

    def read_lifecycles(self):
        cycles = {}
        for name, item in self.data.get("lifecycle", {}).items():
            section = f"lifecycle.{name}"
            self.check_name(section, name)
            self.check_keys(section, item, {"enum": str, "first": list, "edges": list})
            enum = self.enums.get(item["enum"])
            if enum is None:
                self.fail(self.source.line_of(section, "enum"), f"{section}: unknown enum '{item['enum']}'")
            for state in item["first"]:
                if not isinstance(state, str) or state not in enum.values:
                    self.fail(self.source.line_of(section, "first"), f"{section}: unknown state '{state}'")
            edges = self.read_edges(section, enum, item["edges"])
            self.check_reachable(section, enum, item["first"], edges)
            cycles[name] = LifeCycle(name, enum, item["first"], edges)
        return cycles

    def read_edges(self, section, enum, texts):
        edges = []
        for text in texts:
            found = EDGE.match(str(text))
            start = str(text).split(" - ")[0].rstrip()
            line = self.source.line_of_text(section, start)
            if not found:
                self.fail(line, f"{section}: '{text}' is not 'state -> state - why'")
            for state in (found["start"], found["end"]):
                if state not in enum.values:
                    self.fail(line, f"{section}: edge '{start}' names unknown state '{state}'")
            if found["start"] == found["end"]:
                self.fail(line, f"{section}: edge '{start}' leads nowhere")
            if (found["start"], found["end"]) in [edge[:2] for edge in edges]:
                line = self.source.line_of_text(section, start, which=2)
                self.fail(line, f"{section}: edge '{start}' stands twice")
            edges.append((found["start"], found["end"], found["text"]))
        return edges

    def check_reachable(self, section, enum, first, edges):
        reached = set(first)
        while True:
            more = {end for start, end, _ in edges if start in reached} - reached
            if not more:
                break
            reached |= more
        for state in enum.values:
            if state not in reached:
                self.fail(self.source.line_of(section), f"{section}: state '{state}' cannot be reached")

    def read_structs(self):
        raw = self.data.get("structs", {})
        for name, item in raw.items():
            section = f"structs.{name}"
            self.check_name(section, name)
            self.check_keys(section, item, {"fields": list}, {"doc": str})
            if name in BASIC or name in self.enums:
                self.fail(self.source.line_of(section), f"{section}: '{name}' is already a type")
        structs = {
            name: Shape(name, "struct", self.read_fields(f"structs.{name}", item["fields"], raw), item.get("doc", ""))
            for name, item in raw.items()
        }
        return self.order_structs(structs)

    def order_structs(self, structs):
        """Each struct after those it uses; a struct within itself is refused."""
        ordered = {}

        def visit(name, path):
            if name in path:
                self.fail(self.source.line_of(f"structs.{name}"),
                          f"structs.{name}: contains itself through {' -> '.join(path)}")
            if len(path) >= DEPTH_MAX // 2 - 1:
                self.fail(self.source.line_of(f"structs.{name}"), f"structs.{name}: nested too deep")
            if name in ordered:
                return
            for part in structs[name].fields:
                if part.kind == "struct":
                    visit(part.type, [*path, name])
            ordered[name] = structs[name]

        for name in structs:
            visit(name, [])
        return ordered

    def read_records(self, structs, tables):
        records, taken = {}, {}
        for name, item in self.data.get("records", {}).items():
            section = f"records.{name}"
            self.check_name(section, name)
            self.check_keys(section, item, {"table": (str, list), "fields": list}, {"doc": str})
            places = [item["table"]] if isinstance(item["table"], str) else item["table"]
            line = self.source.line_of(section, "table")
            for place in places:
                if not isinstance(place, str) or place not in tables:
                    self.fail(line, f"{section}: unknown table '{place}'")
                if taken.setdefault(place, name) != name:
                    self.fail(line, f"{section}: table '{place}' already holds {taken[place]}")
            fields = self.read_fields(section, item["fields"], structs)
            records[name] = Shape(name, "record", fields, item.get("doc", ""), tables=places)
        return records

    def read_messages(self, structs):
        messages, types = {}, {}
        required = {"type": int, "from": str, "socket": str, "fields": list}
        for name, item in self.data.get("messages", {}).items():
            section = f"messages.{name}"
            self.check_name(section, name, UPPER)
            self.check_keys(section, item, required, {"doc": str, "encoding": str, "answer": str})
            line = self.source.line_of(section, "type")
            if not 1 <= item["type"] <= 65535:
                self.fail(line, f"{section}: type {item['type']} is not within 1 to 65535")
            other = types.setdefault(item["type"], name)
            if other != name:
                self.fail(line, f"{section}: type {item['type']} is already that of {other}")
            for key, allowed in (("from", SENDERS), ("socket", SOCKETS), ("encoding", ("array", "map"))):
                if item.get(key, "array" if key == "encoding" else None) not in allowed:
                    self.fail(self.source.line_of(section, key),
                              f"{section}: {key} '{item[key]}' is none of {', '.join(allowed)}")
            if item.get("answer", name) not in self.data["messages"]:
                self.fail(self.source.line_of(section, "answer"), f"{section}: unknown message '{item['answer']}'")
            messages[name] = Shape(
                name, "message", self.read_fields(section, item["fields"], structs), item.get("doc", ""),
                item.get("encoding") == "map", item["type"], item["from"], item["socket"], item.get("answer", ""))
        return messages

    # ---- fields ----

    def read_fields(self, section, texts, structs):
        fields = []
        if len(texts) > FIELDS_MAX:
            self.fail(self.source.line_of(section), f"{section}: more than {FIELDS_MAX} fields")
        for text in texts:
            item = self.read_field(section, text, structs)
            # In C a list has a second member, NAME_count.
            names = {name for other in fields for name in (other.name, other.name + "_count" * other.is_list)}
            if names & {item.name, item.name + "_count" * item.is_list}:
                line = self.source.line_of_text(section, item.name + ":", which=2)
                self.fail(line, f"{section}: field '{item.name}' stands twice")
            fields.append(item)
        return fields

    def read_field(self, section, text, structs):
        found = FIELD.match(text) if isinstance(text, str) else None
        line = self.source.line_of_text(section, str(text).split(" - ")[0])
        if not found:
            self.fail(line, f"{section}: '{text}' is not 'name: type [max N] [item M] [- sentence]'")
        where = f"{section}.{found['name']}"
        if not NAME.match(found["name"]) or found["name"] in KEYWORDS:
            self.fail(line, f"{section}: '{found['name']}' cannot be a name")
        kind = ("basic" if found["type"] in BASIC else "enum" if found["type"] in self.enums
                else "struct" if found["type"] in structs else None)
        if kind is None:
            self.fail(line, f"{where}: unknown type '{found['type']}'")
        is_list = found["list"] is not None
        if found["item"] and not is_list:
            self.fail(line, f"{where}: 'item' is for lists")
        list_max = self.read_max(line, where, found["max"], LIST_MAX, True) if is_list else 0
        value_max = self.read_value_max(line, where, found["type"], found["item" if is_list else "max"], is_list)
        declared = text.split(" - ")[0].split(": ", 1)[1]
        return Field(found["name"], found["type"], kind, is_list, list_max, value_max, declared,
                     found["doc"] or "", line)

    def read_value_max(self, line, where, type_name, word, in_list):
        """The bound of one value: bytes of a string, largest number."""
        if type_name in STRINGS:
            whole = self.limits["MESSAGE_BYTES"]["value"]
            return self.read_max(line, where, word, whole, True, "item" if in_list else "max")
        if type_name in SIGNED or (type_name in UNSIGNED and type_name not in IDS):
            largest = {**UNSIGNED, **SIGNED}[type_name]
            return self.read_max(line, where, word, largest, False) or largest
        if word:
            self.fail(line, f"{where}: type '{type_name}' has no max")
        return UNSIGNED.get(type_name, 0)

    def read_max(self, line, where, word, largest, required, called="max"):
        if word is None:
            if required:
                self.fail(line, f"{where}: '{called}' is missing")
            return 0
        if word.isdecimal():
            value = int(word)
        elif word in self.limits:
            value = self.limits[word]["value"]
        else:
            self.fail(line, f"{where}: unknown limit '{word}'")
        if not 1 <= value <= largest:
            self.fail(line, f"{where}: {called} {value} is not within 1 to {largest}")
        return value
