# SPDX-License-Identifier: Apache-2.0
"""The protocol document: enough to write a client from. The sentences that are true of every schema
stand here; numbers, names and fields come from the schema."""

from model import DEPTH_MAX

INTRODUCTION = """# Plexus protocol, release {product}

Generated from `schema/plexus.toml` (schema version {version}). It describes every byte between client,
broker and node, and every row that the broker stores.

Contents: 1 transport, 2 frames, 3 encoding, 4 sessions, 5 refusals, 6 limits, 7 enums, 8 life cycle,
9 messages, 10 structs, 11 events, 12 stored rows.

## 1. Transport

ZeroMQ (ZMTP 3.1). The broker binds four sockets; a client is told only the first, the others are named
by the WELCOME on it. The default ports are those of TCP; over local sockets the four stand beside each
other in one directory under their names.

| socket | broker | peer | port | carries |
|---|---|---|---|---|
| `cmd` | ROUTER | client: DEALER | 7539 | commands and their answers, waits, END |
| `node` | ROUTER | node: DEALER | 7540 | assignments, results, heartbeats |
| `data` | ROUTER | client and node: DEALER | 7541 | queries, streams, log bytes, progress |
| `events` | PUB | client: SUB | 7542 | publications, for those who may see everything |

`any` below stands for the socket on which the question came; messages on `inside` never leave the broker.

Every TCP connection is encrypted and authenticated with CURVE: the peer's key says who it is. A token is
one word that holds the peer's secret key and the broker's public key. Peers leave their routing id to
ZeroMQ. ZeroMQ drops messages at each lost connection: nothing sent counts as delivered until answered.

## 2. Frames

A message is one body frame and at most one payload frame of raw bytes; publications have a topic frame
before them. A ROUTER's peer sends no other frames (a DEALER sends no empty delimiter).

| offset | size | field | value |
|---|---|---|---|
| 0 | 1 | magic | 0x50 |
| 1 | 1 | wire version | 1 |
| 2 | 2 | type | number of the message, section 9 |
| 4 | 2 | flags | bit 0: a payload frame follows; other bits 0 |
| 6 | 2 | count | items of the first list among the fields; 1 where there is none |
| 8 | 8 | correlation | number of the request in its session; an answer repeats it; 0 = none |
| 16 | | body | one msgpack value, section 3 |

All integers of the header are big endian. A frame of another wire version is refused with VERSION.

## 3. Encoding

A body is one positional msgpack array of the fields in the order given, or, where stated, one map from
field name to value. Nothing may follow it.

| type | msgpack | in words |
|---|---|---|
| bool | true, false | |
| u8 u16 u32 u64 | integer | not negative, within its width |
| i32 i64 | integer | within its width; `max N` means -N to N |
| f64 | float | finite |
| text | str | UTF-8 without NUL, `max` bytes |
| bytes | bin | `max` bytes |
| job_id session_id | integer | 64 bits, 0 = none |
| node_id principal_id | integer | 32 bits, 0 = none |
| fence | array of 2 | [epoch, attempt] |
| an enum | integer | its code, section 7; 0 = not given |
| a struct | array | its fields, section 10 |
| list of T | array | at most `max` items, each within `item` |

Rules of growth: arrays gain fields at their end only. A reader takes a missing trailing field as zero or
empty and skips fields it does not know. In maps missing fields are zero too, unknown keys are skipped and
a field that stands twice is refused. Containers nest at most {depth} deep. A writer may use longer forms
of integers and lengths than needed.

## 4. Sessions

1. A client's first message on `cmd` is CLIENT_HELLO with the session it had (0 = none), repeated with growing
   pauses until CLIENT_WELCOME comes; a node's is NODE_HELLO on `node`. HELLO carries the session it names as
   its correlation too, and WELCOME repeats it: a WELCOME that answers an older HELLO is told apart and ignored.
2. Requests of a session are numbered 1, 2, 3, ...: the number is the header's correlation. At most `window`
   are unanswered. A request is kept and repeated under the same number until it is answered, also after each
   WELCOME. The broker remembers answers to requests that change something and gives the same answer again:
   nothing runs twice. `done_below` says that every answer below this number has arrived.
3. AGAIN says that the broker has no such session: greet again, then repeat what is unanswered. If WELCOME names a
   new session, number what is unanswered anew. A request that changes something and was first sent more than 24
   hours ago is not sent in a new session: nobody can say whether it ran.
4. A peer that has nothing to say sends PING (a node NODE_PING) every `heartbeat_ms`. When nothing came for a few
   heartbeats, close the connection, open another and greet.
5. A request that is refused as a whole is answered by REFUSED; otherwise by the message named in section 9, with an
   answer for each item where it is a batch.
6. A node keeps what it was given: ACCEPT is sent only when the attempt would survive the node's death, RESULT and
   LOG_DATA are repeated until RESULT_OK and LOG_ACK. What concerns an attempt carries its fence; a fence older than
   the job's present one changes nothing.
"""

SENDER_TITLES = {"client": "sent by clients", "broker": "sent by the broker", "node": "sent by nodes",
                 "shell": "inside the broker"}


def document(schema):
    parts = [INTRODUCTION.format(product=schema.product, version=schema.version, depth=DEPTH_MAX),
             errors_text(schema), limits_text(schema), enums_text(schema)]
    parts += [lifecycle_text(cycle) for cycle in schema.lifecycles.values()]
    parts += [messages_text(schema), structs_text(schema), events_text(schema), rows_text(schema)]
    return "\n".join(parts)


def table(titles, rows):
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def errors_text(schema):
    rows = [(e["code"], name, e["text"], e["http"], e["exit"], "yes" if e["retry"] else "no")
            for name, e in schema.errors.items()]
    return ("## 5. Refusals\n\nA code stands in REFUSED and in the answers to single items; 0 = not refused. Retry: the same"
            " request may succeed later.\n\n" + table(("code", "name", "text", "HTTP", "exit code", "retry"), rows))


def limits_text(schema):
    rows = [(name, limit["value"], limit["text"]) for name, limit in schema.limits.items()]
    return ("## 6. Limits\n\nWhat is above a limit is refused with LIMIT, a malformed frame with PROTO.\n\n"
            + table(("name", "value", "bounds"), rows))


def enums_text(schema):
    parts = ["## 7. Enums\n"]
    for enum in schema.enums.values():
        values = ", ".join(f"{code} {name}" for name, code in enum.values.items())
        parts.append(f"**{enum.name}**: {enum.doc}  \n{values}\n")
    return "\n".join(parts)


def lifecycle_text(cycle):
    first = " or ".join(f"`{state}`" for state in cycle.first)
    rows = [(start, end, text) for start, end, text in cycle.edges]
    states = list(cycle.enum.values)
    allowed = {(start, end) for start, end, _ in cycle.edges}
    grid = [(f"**{start}**", *("x" if (start, end) in allowed else "" for end in states)) for start in states]
    return (f"## 8. Life cycle of a {cycle.name}\n\nIt begins {first} and changes its {cycle.enum.name} in these ways only.\n\n"
            + table(("from", "to", "when"), rows) + "\nThe same at a glance (from the left, to the top):\n\n"
            + table(("", *states), grid))


def fields_text(shape):
    if not shape.fields:
        return "No fields.\n"
    return table(("field", "type", "meaning"), [(f"`{f.name}`", f.declared, f.doc) for f in shape.fields])


def messages_text(schema):
    parts = ["## 9. Messages\n"]
    index = [(m.type, f"[{m.name}](#{m.name.lower()})", m.sender, m.socket, m.answer) for m in
             sorted(schema.messages.values(), key=lambda message: message.type)]
    parts.append(table(("type", "name", "from", "socket", "answer"), index))
    for message in schema.messages.values():
        facts = f"Type {message.type}, {SENDER_TITLES[message.sender]}, socket `{message.socket}`"
        facts += ", a map" if message.is_map else ""
        facts += f"; answered by {message.answer} or REFUSED" if message.answer and message.sender != "broker" else ""
        facts += f"; answered by {message.answer}" if message.answer and message.sender == "broker" else ""
        parts.append(f"### {message.name}\n\n{facts}. {message.doc}\n\n{fields_text(message)}")
    return "\n".join(parts)


def structs_text(schema):
    parts = ["## 10. Structs\n"]
    parts += [f"### {shape.name}\n\n{shape.doc + chr(10) + chr(10) if shape.doc else ''}{fields_text(shape)}"
              for shape in schema.structs.values()]
    return "\n".join(parts)


def events_text(schema):
    rows = [(event["code"], event["name"]) for event in schema.events.values()]
    return ("## 11. Events\n\nThe `kind` of struct `event`. Events are ordered by (index, position); a follower that names"
            " the last one it has goes on behind it without gap or repetition.\n\n" + table(("kind", "name"), rows))


def rows_text(schema):
    held = {place: record for record in schema.records.values() for place in record.tables}
    rows = [(t["code"], name, t["db"], t["key"], held[name].name if name in held else "plain bytes")
            for name, t in schema.tables.items()]
    parts = ["## 12. Stored rows\n\nWhere rows live in the broker's store; numbers in keys are big endian.\n",
             table(("code", "table", "database", "key", "row"), rows)]
    parts += [f"### row {record.name}\n\n{record.doc + chr(10) + chr(10) if record.doc else ''}{fields_text(record)}"
              for record in schema.records.values()]
    return "\n".join(parts)
