# SPDX-License-Identifier: Apache-2.0
"""Build Plexus, start a private mesh of two nodes, and summarise 13 brain volumes with it.

usage: tools/demo [--drill] [--keep]
  --drill   kill the broker, a link, a keeper and a whole node with SIGKILL on the way, then prove from
            the store that every job has exactly one accepted result and every log is complete
  --keep    leave the mesh's state behind

The jobs are tools/volume.py, an ordinary script. Exit status 0: every job ended ok (and the proof held).
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build-demo")
PLEXUS = os.path.join(BUILD, "client", "cli", "plexus")
VOLUMES = "/usr/share/mricron/templates/*.nii.gz"
LEASE = "3s"  # of the drill: a node that dies is noticed so soon
DEADLINE_S = 300
BAR_CELLS = 20
# What a job of the drill does beside its work: it keeps what it wrote, for the comparison.
RECORDED = '"$@" | tee "$RECORDS/$PLEXUS_JOB.$PLEXUS_ATTEMPT"; exit "${PIPESTATUS[0]}"'


def say(text):
    print(text, flush=True)


def quiet(command, **more):
    """Run a command; show what it said only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        quiet(["meson", "setup", BUILD, TOP, "--buildtype=release"])
    quiet(["ninja", "-C", BUILD])


def plexus(*arguments):
    done = subprocess.run([PLEXUS, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"plexus {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Mesh:
    """A private mesh in a folder of its own, apart from the user's contexts."""

    def __init__(self, top, options):
        self.dir = os.path.join(top, "mesh")
        for name in ("PLEXUS_URL", "PLEXUS_TOKEN", "PLEXUS_CONTEXT", "PLEXUS_LIBEXEC"):
            os.environ.pop(name, None)
        os.environ["XDG_CONFIG_HOME"] = os.path.join(top, "config")
        say(plexus("up", "--nodes", "2", "--dir", self.dir, *options).splitlines()[0])

    def process(self, name):
        with open(os.path.join(self.dir, "mesh"), encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if words[:2] == ["process", name]:
                    return int(words[2])
        return 0

    def keepers(self, node):
        """A node's keepers that run a job: {process: number of the job}. Each works in the folder of
        its attempt, SPOOL/a/JOB.ATTEMPT.EPOCH."""
        found = {}
        spool = os.path.join(os.path.realpath(self.dir), node) + "/"
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                with open(folder + "/comm", encoding="utf-8") as file:
                    if not file.read().startswith("plexus-keeper"):
                        continue
                attempt = os.readlink(folder + "/cwd")
            except OSError:
                continue
            job = os.path.basename(attempt).split(".")[0]
            if attempt.startswith(spool) and job.isdigit():
                found[int(os.path.basename(folder))] = int(job)
        return found

    def down(self):
        subprocess.run([PLEXUS, "down", "--kill", "--dir", self.dir], check=False,
                       stdout=subprocess.DEVNULL)


def submit(volumes, pictures, records):
    """Submit one job a volume; returns {number: name}."""
    jobs = {}
    os.environ["RECORDS"] = records or ""
    for path in volumes:
        name = os.path.basename(path).split(".nii")[0]
        command = [sys.executable, os.path.join(TOP, "tools", "volume.py"), path, pictures]
        if records:
            command = ["bash", "-c", RECORDED, "job", *command]
        number = plexus("submit", "--name", name, "--env", "RECORDS", "--", *command)
        jobs[int(number)] = name
    return jobs


# ---- watching ---------------------------------------------------------------------------------------


class Watch:
    """States and progress by asking, last log lines by following."""

    def __init__(self, jobs):
        self.jobs = jobs
        self.rows = {}
        self.lines = {number: "" for number in jobs}
        self.live = sys.stdout.isatty()
        self.drawn = 0
        self.follower = subprocess.Popen(
            [PLEXUS, "logs", "-f", "--color", "never", *map(str, jobs)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.follower.stdout:
            number, _, text = line.rstrip("\n").partition(" │ ")
            if number.isdigit() and int(number) in self.lines:
                self.lines[int(number)] = text
                if not self.live:
                    say(f"{self.jobs[int(number)]:>40} │ {text}")

    def look(self):
        for row in json.loads(plexus("ps", "-a", "-l", "1000", "-o", "json"))["jobs"]:
            before = self.rows.get(row["id"], {}).get("state")
            self.rows[row["id"]] = row
            if not self.live and row["id"] in self.jobs and row["state"] != before:
                say(f"{self.jobs[row['id']]:>40} is {row['state']}: {row['reason']}")
        if self.live:
            self.draw()

    def draw(self):
        width = shutil.get_terminal_size().columns
        if self.drawn:
            sys.stdout.write(f"\033[{self.drawn}A")
        for number, name in self.jobs.items():
            row = self.rows.get(number, {"state": "", "progress": None})
            done = 1 if row["state"] == "ok" else row["progress"] or 0
            cells = int(done * BAR_CELLS)
            line = (f"{name[:24]:24} {row['state']:10} {'█' * cells}{'░' * (BAR_CELLS - cells)} "
                    f"{self.lines[number]}")
            sys.stdout.write("\r\033[K" + line[:width - 1] + "\n")
        sys.stdout.flush()
        self.drawn = len(self.jobs)

    def ended(self):
        return [number for number in self.jobs if self.rows.get(number, {}).get("ended")]

    def close(self):
        try:
            self.follower.wait(20)
        except subprocess.TimeoutExpired:
            self.follower.kill()
        self.reader.join(5)


# ---- the drill --------------------------------------------------------------------------------------


class Drill:
    """One death after another, each when more jobs have ended."""

    def __init__(self, mesh, watch):
        self.mesh, self.watch = mesh, watch
        self.killed_keeper_of = None
        self.left = [(1, self.broker), (3, self.link), (5, self.keeper), (7, self.node)]

    def step(self):
        if self.left and len(self.watch.ended()) >= self.left[0][0] and self.left[0][1]():
            self.left.pop(0)

    def kill(self, what, numbers):
        for number in numbers:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                return False
        if not self.watch.live:
            say(f"--- SIGKILL: {what}")
        return True

    def broker(self):
        number = self.mesh.process("broker")
        return number and self.kill("the broker", [number])

    def link(self):
        number = self.mesh.process("node1")
        return number and self.kill("the link of node1", [number])

    def keeper(self):
        for node in ("node1", "node2"):
            for number, job in self.mesh.keepers(node).items():
                self.killed_keeper_of = job
                return self.kill(f"the keeper of job {job} on {node}", [number])
        return False

    def node(self):
        number = self.mesh.process("node2")
        keepers = self.mesh.keepers("node2")
        return number and keepers and self.kill("node2, link and keepers", [number, *keepers])


def prove(shown, records, drill):
    """Each job: exactly one accepted result; its stored log is what the job wrote. Returns failures."""
    wrong = []
    if drill.left:
        wrong.append(f"only {4 - len(drill.left)} of 4 deaths happened: the jobs were too quick")
    for job in shown:
        ok = [attempt for attempt in job["attempts"] if attempt["outcome"] == "ok"]
        if len(ok) != 1:
            wrong.append(f"job {job['id']} has {len(ok)} accepted results")
            continue
        with open(os.path.join(records, f"{job['id']}.{ok[0]['attempt']}"), "rb") as file:
            written = file.read()
        stored = subprocess.run(
            [PLEXUS, "logs", "--raw", "-p", "out", "--attempt", str(ok[0]["attempt"]), str(job["id"])],
            capture_output=True, check=False).stdout
        if stored != written or ok[0]["out_bytes"] != len(written):
            wrong.append(f"job {job['id']}: {len(written)} bytes written, {len(stored)} stored, "
                         f"{ok[0]['out_bytes']} counted")
        if job["id"] == drill.killed_keeper_of:
            words = [f"{attempt['outcome']}: {attempt['reason']}" for attempt in job["attempts"]
                     if attempt["outcome"] != "ok"]
            if not any("keeper" in word for word in words):
                wrong.append(f"job {job['id']} lost its keeper but says {words}")
            else:
                say(f"job {job['id']} lost its keeper: {'; '.join(words)}")
    return wrong


# ---- the end ----------------------------------------------------------------------------------------


def show(jobs):
    return json.loads(plexus("show", "-o", "json", *map(str, jobs)))["jobs"]


def print_table(shown, pictures):
    say(f"\n{'NAME':40} {'STATE':8} {'NODE':6} {'TIME':>7} {'PEAK':>8}  {'ATTEMPTS':8}  PICTURE")
    for job in shown:
        picture = os.path.join(pictures, job["name"] + ".png")
        say(f"{job['name']:40} {job['state']:8} {job['node']:6} {job['time_s']:6.1f}s "
            f"{job['memory_peak_bytes'] / 2**20:6.1f}M  {job['attempt']:8}  "
            f"{picture if os.path.exists(picture) else '-'}")


def work(top, drilling):
    volumes = sorted(glob.glob(VOLUMES))
    if not volumes:
        sys.exit(f"{VOLUMES}: no volumes; is mricron-data installed?")
    pictures = os.path.join(BUILD, "pictures")
    records = os.path.join(top, "records") if drilling else None
    shutil.rmtree(pictures, ignore_errors=True)
    for folder in (pictures, records):
        if folder:
            os.makedirs(folder)
    mesh = Mesh(top, ["--lease", LEASE] if drilling else [])
    try:
        jobs = submit(volumes, pictures, records)
        watch = Watch(jobs)
        drill = Drill(mesh, watch) if drilling else None
        deadline = time.monotonic() + DEADLINE_S
        while len(watch.ended()) < len(jobs) and time.monotonic() < deadline:
            watch.look()
            if drill:
                drill.step()
            time.sleep(0.1)
        watch.close()
        shown = show(jobs)
        print_table(shown, pictures)
        wrong = [f"{job['name']} is {job['state']}: {job['reason']}" for job in shown
                 if job["state"] != "ok"]
        wrong += prove(shown, records, drill) if drill else []
    finally:
        mesh.down()
    for text in wrong:
        say(f"WRONG: {text}")
    ended_ok = sum(job["state"] == "ok" for job in shown)
    say(f"\n{ended_ok} of {len(jobs)} jobs ok" + (
        "; one accepted result each, every log complete" if drill and not wrong else ""))
    return 1 if wrong else 0


def main():
    arguments = sys.argv[1:]
    if set(arguments) - {"--drill", "--keep"}:
        sys.exit(__doc__)
    build()
    top = tempfile.mkdtemp(prefix="plexus-demo-")
    try:
        return work(top, "--drill" in arguments)
    finally:
        if "--keep" in arguments:
            say(f"state is kept in {top}")
        else:
            shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
