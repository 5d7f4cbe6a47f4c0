# SPDX-License-Identifier: Apache-2.0
"""What libplexus exports: exactly the names kept beside this file. Removing one needs a new soversion.

Usage: test_exports.py LIBRARY KEPT (PX_GOLDEN_WRITE=1 writes KEPT instead)."""

import os
import subprocess
import sys


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return sorted(line.split()[-1] for line in lines)


def main():
    library, kept_path = sys.argv[1:]
    names = exported(library)
    if os.environ.get("PX_GOLDEN_WRITE"):
        with open(kept_path, "w", encoding="ascii") as kept:
            kept.write("\n".join(names) + "\n")
    with open(kept_path, encoding="ascii") as kept:
        expected = kept.read().split()
    for name in sorted(set(expected) - set(names)):
        print(f"gone: {name}")
    for name in sorted(set(names) - set(expected)):
        print(f"new: {name} (wanted? run with PX_GOLDEN_WRITE=1)")
    same = names == expected and len(names) > 0
    print(f"{1 if same else 0} passed, {0 if same else 1} failed")
    return 0 if same else 1


sys.exit(main())
