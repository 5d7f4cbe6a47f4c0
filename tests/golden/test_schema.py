# SPDX-License-Identifier: Apache-2.0
"""The generator: its output for a small schema, and the line and reason for each bad one.

usage: test_schema.py GENERATE_PY REAL_SCHEMA COMPILER...
schema/small.toml is generated and compared with the files of schema/small/. Each bad schema is
small.toml with one piece replaced, so that it holds one mistake; schema/bad.txt has what the generator
says to it. With PX_GOLDEN_WRITE=1 the expected files are written instead.
"""

import os
import pathlib
import py_compile
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "schema"
WRITE = os.environ.get("PX_GOLDEN_WRITE") == "1"
SMALL = (HERE / "small.toml").read_text(encoding="utf-8")

# name of the mistake: (piece of small.toml, what stands there instead)
BAD = {
    "not_toml": ('version = 3', 'version = = 3'),
    "key_twice": ('version = 3', 'version = 3\nversion = 4'),
    "section_is_a_number": ('[events]\nlamp_on = { code = 2, name = "lamp.on" }\n', '[[events]]\n'),
    "section_twice": ('[structs.inner]', '[structs.outer]'),
    "unknown_section": ('[events]', '[evnets]'),
    "head_without_product": ('product = "7.8.9"', ''),
    "head_of_wrong_type": ('version = 3', 'version = "3"'),
    "error_code_twice": ('BUSY   = { code = 4', 'BUSY   = { code = 1'),
    "error_without_text": (', text = "later"', ''),
    "error_with_unknown_key": ('text = "later"', 'text = "later", colour = 1'),
    "error_retry_is_no_bool": ('retry = true', 'retry = 1'),
    "error_http_is_no_refusal": ('http = 429', 'http = 200'),
    "error_exit_is_success": ('exit = 6', 'exit = 0'),
    "limit_of_frames_missing": ('MESSAGE_BYTES = { value = 4096, text = "a frame" }', ''),
    "limit_is_zero": ('ITEMS      = { value = 3', 'ITEMS      = { value = 0'),
    "limit_name_in_lower_case": ('ITEMS      =', 'items      ='),
    "enum_code_twice": ('green = 3', 'green = 1'),
    "enum_code_zero": ('red = 1', 'red = 0'),
    "enum_without_values": ('values = { red = 1, green = 3 }', 'values = {}'),
    "enum_is_basic_type": ('[enums.colour]', '[enums.text]'),
    "edge_of_unknown_state": ('"green -> red - stop"', '"green -> blue - stop"'),
    "edge_twice": ('"green -> red - stop"', '"red -> green - go"'),
    "edge_to_itself": ('"green -> red - stop"', '"green -> green - stay"'),
    "edge_without_reason": ('"green -> red - stop"', '"green -> red"'),
    "edge_is_a_number": ('"green -> red - stop"', '5'),
    "first_is_unknown": ('first = ["red"]', 'first = ["blue"]'),
    "state_is_unreachable": ('"red -> green - go",\n', ''),
    "life_of_unknown_enum": ('enum = "colour"', 'enum = "color"'),
    "field_of_unknown_type": ('"middle: u32"', '"middle: u33"'),
    "field_twice": ('"lower: i64"', '"low: i64"'),
    "field_is_the_count_of_a_list": ('"outer: outer"', '"names_count: u32"'),
    "field_is_a_keyword": ('"lower: i64"', '"long: i64"'),
    "field_malformed": ('"lower: i64"', '"lower i64"'),
    "text_without_max": ('name: text max NAME_BYTES"', 'name: text"'),
    "list_without_max": ('colours: list of colour max 4', 'colours: list of colour'),
    "list_of_text_without_item": (' item NAME_BYTES', ''),
    "list_too_large": ('colours: list of colour max 4', 'colours: list of colour max 65536'),
    "item_without_list": ('"raw: bytes max 32"', '"raw: bytes max 32 item 3"'),
    "max_is_unknown_limit": ('all: list of inner max ITEMS', 'all: list of inner max THINGS'),
    "max_above_its_type": ('small: u16 max 1000', 'small: u16 max 65536'),
    "max_above_a_message": ('raw: bytes max 32', 'raw: bytes max 2000000'),
    "max_is_zero": ('raw: bytes max 32', 'raw: bytes max 0'),
    "max_of_a_bool": ('flag: bool', 'flag: bool max 1'),
    "struct_in_itself": ('"raw: bytes max 32"', '"raw: outer"'),
    "record_of_unknown_table": ('table = ["lamp", "old"]', 'table = ["lamp", "new"]'),
    "message_type_twice": ('type = 6', 'type = 5'),
    "message_type_too_large": ('type = 6', 'type = 65536'),
    "message_from_nobody": ('from = "broker"', 'from = "stranger"'),
    "message_on_no_socket": ('socket = "any"', 'socket = "wire"'),
    "message_of_unknown_encoding": ('encoding = "map"', 'encoding = "list"'),
    "message_without_fields": ('encoding = "map"\nfields = []', 'encoding = "map"'),
    "answer_is_unknown": ('answer = "IS"', 'answer = "WAS"'),
    "event_without_name": (', name = "lamp.on"', ''),
    "table_code_too_large": ('old   = { code = 2', 'old   = { code = 256'),
}


def generate(text, out):
    """Run the generator on a schema; returns its exit status and what it says."""
    path = pathlib.Path(out) / "input.toml"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-B", GENERATOR, "--schema", path, "--out", out, "--name", "small.toml"],
        capture_output=True, text=True, timeout=60, check=False)
    path.unlink()
    return done.returncode, done.stderr


class Output(unittest.TestCase):
    maxDiff = 4000

    def test_small_schema_gives_the_files_kept(self):
        with tempfile.TemporaryDirectory() as out:
            self.assertEqual(generate(SMALL, out), (0, ""))
            names = sorted(os.listdir(out))
            if WRITE:
                for name in names:
                    text = (pathlib.Path(out) / name).read_text(encoding="utf-8")
                    (HERE / "small" / name).write_text(text, encoding="utf-8")
            self.assertEqual(names, sorted(os.listdir(HERE / "small")))
            for name in names:
                with self.subTest(name):
                    got = (pathlib.Path(out) / name).read_text(encoding="utf-8")
                    self.assertEqual((HERE / "small" / name).read_text(encoding="utf-8"), got)

    def test_output_is_the_same_each_time(self):
        real = pathlib.Path(REAL).read_text(encoding="utf-8")
        texts = []
        for _ in range(2):
            with tempfile.TemporaryDirectory() as out:
                self.assertEqual(generate(real, out), (0, ""))
                texts.append({name: (pathlib.Path(out) / name).read_bytes() for name in os.listdir(out)})
        self.assertEqual(texts[0], texts[1])

    def test_small_schema_gives_c_that_compiles(self):
        folder = pathlib.Path(GENERATOR).resolve().parent
        with tempfile.TemporaryDirectory() as out:
            generate(SMALL, out)
            for name in ("px_schema.c", "px_codec.c", "px_messages.c"):
                done = subprocess.run(
                    [*COMPILER, "-std=gnu17", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only",
                     "-I", out, "-I", folder, "-I", folder.parent / "base", os.path.join(out, name)],
                    capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_python_module_can_be_used(self):
        with tempfile.TemporaryDirectory() as out:
            generate(SMALL, out)
            py_compile.compile(os.path.join(out, "plexus_schema.py"), doraise=True)
            names = {}
            exec((pathlib.Path(out) / "plexus_schema.py").read_text(encoding="utf-8"), names)
            self.assertEqual(names["Colour"].GREEN, 3)
            self.assertEqual(names["ERRORS"][4].text, "later")
            self.assertEqual(names["LIMIT_ITEMS"], 3)
            self.assertEqual(names["MESSAGES"]["SET"], 5)


class Bad(unittest.TestCase):
    maxDiff = 4000

    def test_each_bad_schema_is_refused_with_line_and_reason(self):
        said = []
        for name, (piece, instead) in BAD.items():
            self.assertEqual(SMALL.count(piece), 1, name)
            with self.subTest(name), tempfile.TemporaryDirectory() as out:
                status, text = generate(SMALL.replace(piece, instead), out)
                self.assertEqual(status, 1)
                self.assertRegex(text, r"^small\.toml:\d+: [^\n]+\n$")
                self.assertEqual(os.listdir(out), [])
                said.append(f"{name}: {text}")
        if WRITE:
            (HERE / "bad.txt").write_text("".join(said), encoding="utf-8")
        self.assertEqual((HERE / "bad.txt").read_text(encoding="utf-8"), "".join(said))

    def test_a_schema_that_is_not_there_is_refused(self):
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run([sys.executable, "-B", GENERATOR, "--schema", out + "/none", "--out", out],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("No such file", done.stderr)


if __name__ == "__main__":
    GENERATOR, REAL, *COMPILER = sys.argv[1:]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
        unittest.TestLoader().loadTestsFromModule(sys.modules["__main__"]))
    failed = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(failed != 0)
