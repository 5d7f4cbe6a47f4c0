# SPDX-License-Identifier: Apache-2.0
"""The C side of the schema: names and tables (px_schema), typed codecs (px_codec), messages."""

from model import BASIC, IDS, SIGNED, UNSIGNED

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* {name} - {about}\n * Generated from the schema; not to be edited. Layer: L1. */\n"

C_TYPES = {
    "bool": "bool", "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
    "i32": "int32_t", "i64": "int64_t", "f64": "double", "text": "struct px_slice", "bytes": "struct px_slice",
    "fence": "struct px_fence", **{name: f"struct px_{name}" for name in IDS},
}
KINDS = {
    "bool": "BOOL", "f64": "F64", "text": "TEXT", "bytes": "BYTES", "fence": "FENCE",
    **{name: "UNSIGNED" for name in UNSIGNED}, **{name: "SIGNED" for name in SIGNED},
}


def c_string(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def comment(text):
    return text.replace("*/", "* /")


def c_type(field):
    if field.kind == "basic":
        return C_TYPES[field.type]
    return "int" if field.kind == "enum" else f"struct px_{field.type}"


def all_shapes(schema):
    return [*schema.structs.values(), *schema.records.values(), *schema.messages.values()]


# ---- px_schema: numbers and names ----


def schema_header(schema):
    parts = [HEAD.format(name="px_schema.h", about="numbers and names: errors, limits, enums, events, tables."),
             "#ifndef PX_SCHEMA_H\n#define PX_SCHEMA_H\n\n#include \"px_lookup.h\"\n",
             f"#define PX_SCHEMA_VERSION {schema.version}\n#define PX_PRODUCT_VERSION {c_string(schema.product)}\n",
             errors_header(schema), limits_header(schema), numbers_header(schema)]
    parts += [enum_header(enum) for enum in schema.enums.values()]
    parts += [lifecycle_header(cycle) for cycle in schema.lifecycles.values()]
    parts.append("#endif\n")
    return "\n".join(parts)


def errors_header(schema):
    lines = [f"#define PX_E_{name} {error['code']} /* {comment(error['text'])} */"
             for name, error in schema.errors.items()]
    return "\n".join([
        "/* ---- refusals ---- */", *lines, f"#define PX_ERRORS_COUNT {len(schema.errors)}",
        "extern const struct px_error_info px_errors[PX_ERRORS_COUNT];",
        "const struct px_error_info *px_error_find(int code); /* NULL when unknown */", ""])


def limits_header(schema):
    lines = [f"#define PX_LIMIT_{name} {limit['value']} /* {comment(limit['text'])} */"
             for name, limit in schema.limits.items()]
    return "\n".join(["/* ---- limits ---- */", *lines, ""])


def numbers_header(schema):
    lines = ["/* ---- messages, events, tables ---- */"]
    lines += [f"#define PX_M_{name} {message.type}" for name, message in schema.messages.items()]
    lines += [f"#define PX_EV_{name.upper()} {event['code']}" for name, event in schema.events.items()]
    lines += [f"#define PX_TABLE_{name.upper()} {table['code']}" for name, table in schema.tables.items()]
    count = 1 + max((table["code"] for table in schema.tables.values()), default=0)
    lines += [
        f"#define PX_TABLE_COUNT {count} /* highest code + 1 */", "",
        "extern const struct px_enum_info px_events;", "extern const struct px_enum_info px_tables;",
        *named_functions("event", "px_events"), *named_functions("table", "px_tables"),
        "const char *px_table_db(int table);  /* database it lives in, \"?\" when unknown */",
        "const char *px_table_key(int table); /* parts of its key in words, \"?\" when unknown */", ""]
    return "\n".join(lines)


def named_functions(name, info):
    return [
        f"static inline const char *px_{name}_name(int code)", "{", f"        return px_enum_name(&{info}, code);", "}",
        f"static inline int px_{name}_from_name(struct px_slice name)", "{",
        f"        return px_enum_from_name(&{info}, name);", "}"]


def enum_header(enum):
    prefix = f"PX_{enum.name.upper()}"
    values = [f"        {prefix}_{name.upper()} = {code}," for name, code in enum.values.items()]
    return "\n".join([
        f"/* {comment(enum.doc)} */", f"enum px_{enum.name} {{", *values, "};",
        f"#define {prefix}_COUNT {1 + max(enum.values.values())} /* highest code + 1 */",
        f"extern const struct px_enum_info px_enum_{enum.name};",
        *named_functions(enum.name, f"px_enum_{enum.name}"), ""])


def lifecycle_header(cycle):
    name, upper = cycle.name, cycle.name.upper()
    return "\n".join([
        f"/* The only ways a {name} changes its {cycle.enum.name}. */",
        f"#define PX_{upper}_EDGES_COUNT {len(cycle.edges)}",
        f"extern const struct px_edge px_{name}_edges[PX_{upper}_EDGES_COUNT];",
        f"bool px_{name}_edge(int from, int to);", f"const char *px_{name}_edge_text(int from, int to); /* NULL when there is no such edge */",
        f"bool px_{name}_first(int state); /* whether it may begin in this state */", ""])


def names_table(symbol, name, codes):
    """`codes`: text -> code."""
    entries = [f"        [{code}] = {c_string(text)}," for text, code in codes.items()]
    return "\n".join([
        f"static const char *const {symbol}_names[] = {{", *entries, "};",
        f"const struct px_enum_info {symbol} = {{{c_string(name)}, {symbol}_names, PX_COUNT_OF({symbol}_names)}};", ""])


def schema_source(schema):
    parts = [HEAD.format(name="px_schema.c", about="tables of errors, names and life cycles."),
             '#include "px_schema.h"\n']
    errors = sorted(schema.errors.items(), key=lambda item: item[1]["code"])
    lines = [f"        {{{e['code']}, {c_string(name)}, {c_string(e['text'])}, {e['http']}, {e['exit']}, "
             f"{str(e['retry']).lower()}}}," for name, e in errors]
    parts.append("\n".join(["const struct px_error_info px_errors[PX_ERRORS_COUNT] = {", *lines, "};", """
const struct px_error_info *px_error_find(int code)
{
        for (size_t i = 0; i < PX_ERRORS_COUNT; i++) {
                if (px_errors[i].code == code)
                        return &px_errors[i];
        }
        return NULL;
}
"""]))
    parts.append(names_table("px_events", "event", {e["name"]: e["code"] for e in schema.events.values()}))
    parts.append(names_table("px_tables", "table", {name: t["code"] for name, t in schema.tables.items()}))
    parts += [table_texts(schema, "db"), table_texts(schema, "key")]
    parts += [names_table(f"px_enum_{e.name}", e.name, e.values) for e in schema.enums.values()]
    parts += [lifecycle_source(cycle) for cycle in schema.lifecycles.values()]
    return "\n".join(parts)


def table_texts(schema, key):
    lines = [f"        case {table['code']}:\n                return {c_string(table[key])};"
             for table in schema.tables.values()]
    return "\n".join([f"const char *px_table_{key}(int table)", "{", "        switch (table) {", *lines,
                      "        default:", '                return "?";', "        }", "}", ""])


def lifecycle_source(cycle):
    name, upper, codes = cycle.name, cycle.name.upper(), cycle.enum.values
    edges = [f"        {{{codes[start]}, {codes[end]}, {c_string(text)}}}," for start, end, text in cycle.edges]
    find = f"px_edge_find(px_{name}_edges, PX_{upper}_EDGES_COUNT, from, to)"
    first = " || ".join(f"state == {codes[state]}" for state in cycle.first)
    return f"""const struct px_edge px_{name}_edges[PX_{upper}_EDGES_COUNT] = {{
{chr(10).join(edges)}
}};

bool px_{name}_edge(int from, int to)
{{
        return {find} != NULL;
}}

const char *px_{name}_edge_text(int from, int to)
{{
        const struct px_edge *edge = {find};

        return edge == NULL ? NULL : edge->text;
}}

bool px_{name}_first(int state)
{{
        return {first};
}}
"""


# ---- px_codec: structs and their codecs ----

CODEC_ABOUT = """structs of the schema and their codecs.
 *
 * For each X:  X_encode(in, out) appends one msgpack value; limits are asserted.
 *              X_decode(body, arena, ret) checks the whole body and returns enum px_wire_result; ret
 *              is untouched on failure. text and bytes point into body, lists live in the arena.
 *              X_write, X_read do the same inside a larger value; after X_read look at the
 *              reader's error.
 * For messages X_frame(in, correlation, flags, frame) writes header and body into an empty frame;
 * a frame above PX_LIMIT_MESSAGE_BYTES is a bug of the caller and asserted.
 * Layouts, encoding and limits: px_layout.h."""


def codec_header(schema):
    parts = [HEAD.format(name="px_codec.h", about=CODEC_ABOUT),
             '#ifndef PX_CODEC_H\n#define PX_CODEC_H\n\n#include "px_layout.h"\n#include "px_schema.h"\n']
    parts += [struct_text(shape) + codec_functions(shape) for shape in all_shapes(schema)]
    parts.append("#endif\n")
    return "\n".join(parts)


def struct_text(shape):
    lines = []
    for field in shape.fields:
        note = f" /* {comment(field.doc)} */" if field.doc else ""
        if field.is_list:
            lines.append(f"        const {c_type(field)} *{field.name};{note}")
            lines.append(f"        size_t {field.name}_count;")
        else:
            names = f" /* enum px_{field.type}{'; ' + comment(field.doc) if field.doc else ''} */"
            lines.append(f"        {c_type(field)} {field.name};{names if field.kind == 'enum' else note}")
    if not lines:
        lines.append("        char unused; /* a body without fields */")
    doc = f"/* {comment(shape.doc)} */\n" if shape.doc else ""
    return f"{doc}struct {shape.c_name} {{\n" + "\n".join(lines) + "\n};\n"


def codec_functions(shape):
    name = shape.c_name
    text = f"""extern const struct px_layout {name}_layout;
static inline void {name}_write(const struct {name} *in, struct px_buf *out)
{{
        px_layout_write(&{name}_layout, in, out);
}}
static inline void {name}_encode(const struct {name} *in, struct px_buf *out)
{{
        px_layout_write(&{name}_layout, in, out);
}}
static inline void {name}_read(struct px_reader *reader, struct px_arena *arena, struct {name} *ret)
{{
        px_layout_read(&{name}_layout, reader, arena, ret);
}}
static inline int {name}_decode(struct px_slice body, struct px_arena *arena, struct {name} *ret)
{{
        return px_layout_decode(&{name}_layout, body, arena, ret);
}}
"""
    if shape.role == "message":
        text += f"""static inline void {name}_frame(const struct {name} *in, uint64_t correlation, uint16_t flags,
                                {' ' * len(name)}struct px_buf *frame)
{{
        px_layout_frame(&{name}_layout, PX_M_{shape.name}, in, correlation, flags,
                        PX_LIMIT_MESSAGE_BYTES, frame);
}}
"""
    return text


def codec_source(schema):
    parts = [HEAD.format(name="px_codec.c", about="the tables of fields behind px_codec.h."), '#include "px_codec.h"\n']
    parts += [layout_text(shape) for shape in all_shapes(schema)]
    return "\n".join(parts)


def layout_text(shape):
    name = shape.c_name
    fields = [field_text(shape, field) for field in shape.fields]
    table = f"static const struct px_field_info {name}_fields[] = {{\n" + "\n".join(fields) + "\n};\n" if fields else ""
    return f"""{table}_Static_assert(sizeof(struct {name}) <= PX_LAYOUT_BYTES_MAX, "a struct above the decoder's room");
const struct px_layout {name}_layout = {{
        .name = {c_string(shape.name)},
        .fields = {name + '_fields' if fields else 'NULL'},
        .fields_count = {len(fields)},
        .bytes = sizeof(struct {name}),
        .is_map = {str(shape.is_map).lower()},
}};
"""


def field_text(shape, field):
    kind = KINDS[field.type] if field.type in BASIC else field.kind.upper()
    parts = [f".name = {c_string(field.name)}", f".type = {c_string(field.declared)}", f".kind = PX_FIELD_{kind}",
             f".value_bytes = sizeof({c_type(field)})", f".offset = offsetof(struct {shape.c_name}, {field.name})"]
    if field.is_list:
        parts += [f".count_offset = offsetof(struct {shape.c_name}, {field.name}_count)", f".list_max = {field.list_max}"]
    if field.value_min:
        # The smallest number of a type cannot be written as one literal.
        parts.append(f".value_min = -INT64_C({-field.value_min - 1}) - 1")
    if field.value_max:
        parts.append(f".value_max = UINT64_C({field.value_max})")
    if field.kind == "enum":
        parts.append(f".names = &px_enum_{field.type}")
    if field.kind == "struct":
        parts.append(f".layout = &px_{field.type}_layout")
    return "        {" + ",\n         ".join(parts) + "},"


# ---- px_messages: what a frame or row is ----


def messages_source(schema):
    messages = sorted(schema.messages.values(), key=lambda message: message.type)
    lines = [f"        {{{m.type}, {c_string(m.name)}, {c_string(m.sender)}, {c_string(m.socket)}, &{m.c_name}_layout}},"
             for m in messages]
    rows = [f"        {{PX_TABLE_{table.upper()}, &{record.c_name}_layout}},"
            for record in schema.records.values() for table in record.tables]
    return "\n".join([
        HEAD.format(name="px_messages.c", about="the tables of messages and stored rows behind px_tables.h."),
        '#include "px_codec.h"\n#include "px_tables.h"\n',
        f"const size_t px_messages_count = {len(lines)};",
        "const struct px_message_info px_messages[] = {", *(lines or ["        {0},"]), "};", "",
        f"const size_t px_rows_count = {len(rows)};",
        "const struct px_row_info px_rows[] = {", *(rows or ["        {0},"]), "};", ""])
