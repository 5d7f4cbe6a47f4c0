# SPDX-License-Identifier: Apache-2.0
"""Where things stand in a TOML file, so that a mistake is reported with its line.

tomllib gives values without positions. This scans the text once: it knows the lines of each section
and, inside a section, the line of a key or of a quoted field.
"""

import re

SECTION = re.compile(r"^\s*\[\[?([^\[\]]+)\]\]?\s*(#.*)?$")


class SchemaError(Exception):
    """A schema that cannot be used; its text says file, line and reason."""


class Source:
    """The text of a schema with the position of its sections."""

    def __init__(self, name, text):
        self.name = name
        self.lines = text.splitlines()
        self.sections = {}
        self._scan()

    def _scan(self):
        current = None
        for number, line in enumerate(self.lines, start=1):
            found = SECTION.match(line)
            if found:
                current = found.group(1).strip()
                self.sections.setdefault(current, [number, number])
            elif current is not None:
                self.sections[current][1] = number

    def line_of(self, section, item=None):
        """The line of `item` in `section`: a key (`name =`) or a quoted field (`"name: `)."""
        first, last = self.sections.get(section, (1, len(self.lines)))
        if item is None:
            return first
        quoted = re.compile(r'"' + re.escape(item) + r'(?=[\s:"]|$)')
        key = re.compile(r"(?:^\s*|[{,]\s*)" + re.escape(item) + r"\s*=")
        for pattern in (key, quoted):
            for number in range(first, last + 1):
                if pattern.search(self.lines[number - 1]):
                    return number
        return first

    def line_of_text(self, section, text, which=1):
        """The line of the `which`-th quoted string that begins with `text`."""
        first, last = self.sections.get(section, (1, len(self.lines)))
        for number in range(first, last + 1):
            which -= self.lines[number - 1].count('"' + text)
            if which <= 0:
                return number
        return first

    def fail(self, line, message):
        raise SchemaError(f"{self.name}:{line}: {message}")
