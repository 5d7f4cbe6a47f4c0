#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check tests/model/claim.pml with spin: every state of each bounded world, and that the model fails
when a rule is taken out of it.

usage: tests/model/run.py [--long]

Needs spin and a C compiler (CC, else cc). --long adds larger worlds.
Closes with `N passed, N failed`; without spin all is skipped.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "claim.pml")
# How often each thing may happen in a world.
WORLDS = [
    dict(CRASHES=1, LAPSES=1, RESETS=0, CANCELS=0),
    dict(CRASHES=1, LAPSES=0, RESETS=0, CANCELS=1),
    dict(CRASHES=0, LAPSES=1, RESETS=0, CANCELS=1),
    dict(CRASHES=0, LAPSES=1, RESETS=1, CANCELS=0),
]
LONG_WORLDS = [
    dict(CRASHES=0, LAPSES=2, RESETS=0, CANCELS=0),
    dict(CRASHES=1, LAPSES=0, RESETS=1, CANCELS=0),
    dict(CRASHES=0, LAPSES=1, RESETS=1, CANCELS=1),
]
# Without the rule the model must fail, in this world.
RULES = [
    ("NO_FENCE", WORLDS[0]),
    ("NO_INVENTORY", WORLDS[3]),
    ("NO_GIVING_UP", WORLDS[0]),
    ("NO_AGE", WORLDS[0]),
]
MEMORY_MB = 6000
LIMIT_S = 1500


def words_of(world):
    return ", ".join(f"{value} {name.lower()}" for name, value in world.items())


def verify(world, rule=None):
    """(errors, states, what spin said) of one world."""
    with tempfile.TemporaryDirectory() as folder:
        defines = [f"-D{name}={value}" for name, value in world.items()]
        if rule:
            defines.append(f"-D{rule}")
        run = lambda *command: subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=LIMIT_S, text=True).stdout
        run("spin", *defines, "-a", MODEL)
        run(os.environ.get("CC", "cc"), "-w", "-O0" if rule else "-O1", "-DSAFETY", "-DNOREDUCE",
            f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c")
        said = run("./pan", "-m100000", "-n")
        errors = re.search(r"errors: (\d+)", said)
        states = re.search(r"(\S+) states, stored", said)
        whole = "max search depth too small" not in said and "out of memory" not in said
        if errors is None or states is None or not whole:
            return None, 0, said
        return int(errors.group(1)), int(float(states.group(1))), said


def main(arguments):
    if arguments not in ([], ["--long"]):
        sys.exit(__doc__)
    if shutil.which("spin") is None:
        print("SKIP spin is not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    passed = failed = 0
    tasks = [(world, None) for world in WORLDS + (LONG_WORLDS if arguments else [])]
    tasks += [(world, rule) for rule, world in RULES]
    for world, rule in tasks:
        started = time.monotonic()
        errors, states, said = verify(world, rule)
        good = errors is not None and (errors == 0) == (rule is None)
        verdict = {None: "is not finished", 0: "holds"}.get(errors, "fails")
        print(f"{'ok  ' if good else 'FAIL'} {rule or 'all rules'}: {verdict}, {states} states, "
              f"{time.monotonic() - started:.1f} s ({words_of(world)})")
        if not good:
            print(said)
        passed += good
        failed += not good
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
