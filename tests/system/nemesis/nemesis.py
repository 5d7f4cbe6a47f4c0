#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A total-queue run over real sockets with a nemesis. Two clients submit with keys, tasks for volume and
commands that write to files of their own; two nodes and two workers work; followers follow logs and
events. The nemesis kills -9, stops past leases, partitions, throttles, resets connections within
frames, and jumps clocks. Then everything is healed, must end, and is judged by the checker.

usage: nemesis.py BUILD [--seconds N] [--jobs N] [--minutes M] [--seed N] [--only FAULT,FAULT] [--keep]
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import checker
import faults
import mesh as meshes
import network as networks

LEASE_MS = 3000
COMMANDS_PERMILLE = 100
PAUSE_S = (0.1, 0.7)  # between the beginnings of two faults
SETTLE_S = 150
SHOWN_MAX = 5
FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
            "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
            "/usr/lib/faketime/libfaketimeMT.so.1")
# Wall time decides what is kept: a clock ten years ahead must not end that before it is judged.
KEEP = [word for name in ("done", "log", "event")
        for word in (f"--keep-{name}-ms", str(100 * 365 * 24 * 3600 * 1000))]


def clock_environment(build, folder):
    """The environment of processes whose wall clock can be made to jump, and why there is none."""
    library = next((path for path in FAKETIME if os.path.exists(path)), None)
    if library is None:
        return {}, "libfaketime is not installed"
    linked = subprocess.run(["ldd", os.path.join(build, "broker/plexus-broker")], text=True,
                            stdout=subprocess.PIPE, check=True).stdout
    if "libasan" in linked:
        return {}, "libfaketime and the address sanitizer do not go together"
    return {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": os.path.join(folder, "clock"),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}, None


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.rand = random.Random(options.seed)
        self.network = networks.Network()
        self.build = os.path.abspath(options.build)
        environment, lacking = clock_environment(self.build, folder)
        self.mesh = meshes.Mesh(self.build, folder, options.seed, self.network.broker_address,
                                LEASE_MS, KEEP, environment)
        self.faults = faults.Faults(self.mesh, self.network, self.rand, LEASE_MS / 1000)
        self.faults.restart_client = self.restart_client
        self.faults.clock_lacking = lacking
        if lacking is None:
            self.faults.clock_file = environment["FAKETIME_TIMESTAMP_FILE"]
            with open(self.faults.clock_file, "w", encoding="ascii") as file:
                file.write("+0\n".ljust(24))
        if options.only:
            self.faults.rows = [row for row in self.faults.rows if row[0] in options.only.split(",")]
        self.begun = 0.0

    def place(self, name, proxied):
        """A namespace for a party, with a proxy before it or not: (prefix, address of the broker)."""
        prefix, hub = self.network.add(name)
        if proxied:
            self.mesh.add_proxy(name, hub)
        return prefix, hub if proxied else self.mesh.address

    def begin(self):
        mesh = self.mesh
        mesh.start_broker()
        for name, proxied in (("n1", False), ("n2", True)):
            prefix, address = self.place(name, proxied)
            mesh.add_node(name, prefix, address)
        for name, proxied in (("w1", False), ("w2", True)):
            prefix, address = self.place(name, proxied)
            mesh.add(mesh.player("work", name, mesh.url(address), prefix, slots=16,
                                 token_file=mesh.make_token("service", name)))
        mesh.add(mesh.player("events", "e1"))
        self.begun = time.monotonic()
        prefix, address = self.place("a", True)
        mesh.add(self.client("a", mesh.url(address), prefix,
                             token_file=mesh.make_token("admin", "a")))
        mesh.add(self.client("b"))

    def client(self, name, url=None, prefix=(), **options):
        return self.mesh.player("submit", name, url, prefix, count=self.options.jobs // 2,
                                seconds=self.options.seconds, commands_permille=COMMANDS_PERMILLE,
                                **options)

    def restart_client(self, name):
        """It goes on at the pace that is left."""
        part = self.mesh.parts[name]
        left = max(1, int(self.options.seconds - (time.monotonic() - self.begun)))
        part.command[part.command.index("--seconds") + 1] = str(left)
        part.start()

    def settle(self):
        """Nothing is disturbed any more: all clients see all ends."""
        mesh = self.mesh
        for name in ("a", "b"):
            status = mesh.parts[name].finish(SETTLE_S)
            if status != 0:
                raise meshes.Failure(f"{name} ended with {status}: {mesh.parts[name].errors()[-600:]}")
        audit = mesh.add(mesh.player("audit", "x1"))
        if audit.finish(SETTLE_S) != 0:
            raise meshes.Failure(f"the audit: {audit.errors()[-600:]}")
        for name in ("e1", "w1", "w2"):
            if mesh.parts[name].finish(SETTLE_S) != 0:
                raise meshes.Failure(f"{name}: {mesh.parts[name].errors()[-600:]}")

    def describe(self):
        """What the mesh says of what never ended, before it is taken down."""
        def say(*words):
            done = subprocess.run([self.mesh.program("client/cli/plexus"), *words, "--url",
                                   self.mesh.local_url()], stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                                  check=False)
            print(done.stdout)
            return done.stdout
        say("nodes")
        for line in say("ps").splitlines()[1:SHOWN_MAX]:
            if line.split() and line.split()[0].isdigit():
                say("why", line.split()[0])

    def run(self):
        try:
            self.begin()
            self.faults.run(self.options.seconds, PAUSE_S)
            healed = time.monotonic()
            self.settle()
            print(f"everything ended {time.monotonic() - healed:.1f} s after the last fault was healed")
            self.mesh.expect_no_crash()
            return checker.check(self.folder, self.options.seed, self.options.jobs // 2 * 2)
        except meshes.Failure:
            self.describe()
            raise
        finally:
            self.mesh.end()


def report(run):
    print("faults: " + ", ".join(f"{count} {name}" for name, count in run.faults.done.items() if count))
    for name, why in run.faults.skipped.items():
        print(f"SKIP {name}: {why}")


def run_once(options, seed):
    """One mesh from its beginning to its end: (failed, kinds of faults that were left out)."""
    options.seed = seed
    folder = tempfile.mkdtemp(prefix="plexus-nemesis-", dir=os.environ.get("TMPDIR", "/tmp"))
    print(f"seed {seed}: {options.jobs} jobs in {options.seconds} s", flush=True)
    run = Run(options, folder)
    failed = True
    try:
        verdict = run.run()
        verdict.print()
        failed = verdict.failed()
    except meshes.Failure as failure:
        print(f"FAIL {failure}")
    report(run)
    if failed or options.keep:
        print(f"histories, stores and what was said are kept in {folder}; again: nemesis.py BUILD "
              f"--seconds {options.seconds} --jobs {options.jobs} --seed {seed}", flush=True)
    else:
        shutil.rmtree(folder)
    return failed, len(run.faults.skipped)


def main():
    networks.enter()
    parser = argparse.ArgumentParser(description="real processes, disturbed")
    parser.add_argument("build")
    parser.add_argument("--seconds", type=int, default=45)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--minutes", type=int, default=0, help="begin again until so long has passed")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", help="these faults, separated by commas")
    parser.add_argument("--keep", action="store_true", help="keep the folder also when all is well")
    options = parser.parse_args()
    meshes.adopt_orphans()
    end = time.monotonic() + options.minutes * 60
    seed = options.seed
    runs, failed = 0, False
    while not failed and (runs == 0 or time.monotonic() < end):
        failed, skipped = run_once(options, seed + runs)
        runs += 1
    print(f"ledger nemesis_jobs {(runs - failed) * (options.jobs // 2 * 2)}")
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed, {skipped} skipped")
    return failed


if __name__ == "__main__":
    sys.exit(main())
