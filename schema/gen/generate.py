# SPDX-License-Identifier: Apache-2.0
"""Turn the schema into C, Python and a document: generate.py --schema plexus.toml --out DIR.

Run by the build; what it writes is never committed. A schema with a mistake is refused with one line,
file:line: reason, and exit status 1; then nothing is written.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True

import emit_c  # noqa: E402
import emit_doc  # noqa: E402
import emit_python  # noqa: E402
from model import read_schema  # noqa: E402
from source import SchemaError  # noqa: E402

OUTPUTS = {
    "px_schema.h": emit_c.schema_header,
    "px_schema.c": emit_c.schema_source,
    "px_codec.h": emit_c.codec_header,
    "px_codec.c": emit_c.codec_source,
    "px_messages.c": emit_c.messages_source,
    "plexus_schema.py": emit_python.constants,
    "protocol.md": emit_doc.document,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schema", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", help="how messages call the schema; its path when absent")
    arguments = parser.parse_args()
    try:
        schema = read_schema(arguments.schema, arguments.name)
    except (SchemaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    texts = {name: emit(schema) for name, emit in OUTPUTS.items()}
    for name, text in texts.items():
        with open(os.path.join(arguments.out, name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
