#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker under load, again and again: clients submit with keys, workers work, and the
broker is killed at a random moment after each start. Nothing acknowledged may be lost, nothing may
end twice, each start must be quick. Prints the seed, a summary, `ledger kill_cycles N` and
`N passed, N failed`.

usage: kill_cycles.py BUILD [--cycles N] [--minutes M] [--seed N] [--keep]
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

import checker
import mesh as meshes

CLIENTS = ("a", "b")
JOBS_OF_CYCLE = 60
ROUND_CYCLES = 200  # then a new broker: histories and lists stay small
LIFE_S = (0.02, 0.35)  # of the broker between READY and kill
SETTLE_S = 120


def run_round(build, folder, seed, cycles):
    """One broker directory, `cycles` kills; the verdict, starts in ms."""
    rand = random.Random(seed)
    mesh = meshes.Mesh(build, folder, seed)
    try:
        mesh.start_broker()
        count = JOBS_OF_CYCLE * cycles // len(CLIENTS)
        worker = mesh.add(mesh.player("work", "w1", slots=32))
        events = mesh.add(mesh.player("events", "e1"))
        seconds = max(1, int(cycles * sum(LIFE_S) / 2))
        clients = [mesh.add(mesh.player("submit", name, count=count, seconds=seconds))
                   for name in CLIENTS]
        for _ in range(cycles):
            time.sleep(rand.uniform(*LIFE_S))  # when it happens is the test
            mesh.note_fault("kill_broker")
            mesh.broker.kill()
            mesh.start_broker()
        for client in clients:
            status = client.finish(SETTLE_S)
            if status != 0:
                raise meshes.Failure(f"{client.name} ended with {status}: {client.errors()[-600:]}")
        audit = mesh.add(mesh.player("audit", "x1"))
        if audit.finish(SETTLE_S) != 0:
            raise meshes.Failure(f"the audit: {audit.errors()[-600:]}")
        for part in (events, worker):
            if part.finish(SETTLE_S) != 0:
                raise meshes.Failure(f"{part.name}: {part.errors()[-600:]}")
        mesh.expect_no_crash()
        return checker.check(folder, seed, count * len(CLIENTS)), mesh.starts_ms
    finally:
        mesh.end()


def main():
    parser = argparse.ArgumentParser(description="kill -9 of the broker under load")
    parser.add_argument("build")
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--minutes", type=int, default=0, help="go on for so long instead")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="keep the folder also when all is well")
    options = parser.parse_args()
    meshes.adopt_orphans()
    done, failed, starts_ms = 0, 0, []
    end = time.monotonic() + options.minutes * 60
    while not failed and (time.monotonic() < end if options.minutes else done < options.cycles):
        cycles = ROUND_CYCLES if options.minutes else min(ROUND_CYCLES, options.cycles - done)
        seed = options.seed + done
        folder = tempfile.mkdtemp(prefix="plexus-kill-", dir=os.environ.get("TMPDIR", "/tmp"))
        print(f"seed {seed}: {cycles} cycles", flush=True)
        try:
            verdict, starts = run_round(os.path.abspath(options.build), folder, seed, cycles)
            verdict.print()
            failed += verdict.failed()
            starts_ms += starts
            done += cycles
        except meshes.Failure as failure:
            print(f"FAIL {failure}")
            failed += 1
        if failed or options.keep:
            print(f"histories and stores are kept in {folder}; "
                  f"again: kill_cycles.py BUILD --cycles {cycles} --seed {seed}")
        else:
            shutil.rmtree(folder)
    if starts_ms:
        starts_ms.sort()
        print(f"kill -9 of the broker: {done} cycles, serving again after {starts_ms[len(starts_ms) // 2]} "
              f"ms (median), {starts_ms[-1]} ms (longest)")
    print(f"ledger kill_cycles {done}")
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
