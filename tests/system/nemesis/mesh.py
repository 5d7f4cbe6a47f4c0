# SPDX-License-Identifier: Apache-2.0
"""A mesh of real processes for the nemesis: one broker, nodes, players. Nothing outlives it."""
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time

READY_S = 60
END_S = 60
PR_SET_CHILD_SUBREAPER = 36
HUB = "127.0.0.1"
CRASH = re.compile(r".*(assertion failed|AddressSanitizer|LeakSanitizer|runtime error:).*(\n.*){0,12}")


class Failure(Exception):
    """The mesh did not do what it must; the run has failed."""


def adopt_orphans():
    """Keepers outlive their links: they shall become our children, not those of process 1."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid):
    found = []
    waiting = [pid]
    while waiting:
        below = children_of(waiting.pop())
        found += below
        waiting += below
    return found


def directory_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def is_keeper(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"plexus-keeper" in file.read().split(b"\0")[0]
    except OSError:
        return False


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def read_line(fd, seconds):
    """One line of a child's pipe; what came of it if the child ended or was silent."""
    line = b""
    until = time.monotonic() + seconds
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            break
        byte = os.read(fd, 1)
        if not byte:
            break
        line += byte
    return line.decode()


class Part:
    """One process of the mesh; started again under the same name after it was killed."""

    def __init__(self, mesh, name, command, prefix=(), environment=None, says_ready=False):
        self.mesh = mesh
        self.name = name
        self.command = command
        self.prefix = list(prefix)
        self.environment = environment or {}
        self.says_ready = says_ready
        self.says_on_output = False
        self.process = None
        self.ready_line = ""
        self.ready_fd = None  # kept open: who is not waited for says READY, too

    def start(self, wait=True):
        command = self.prefix + self.command
        write_end = None
        if self.ready_fd is not None:
            os.close(self.ready_fd)
            self.ready_fd = None
        if self.says_ready:
            self.ready_fd, write_end = os.pipe()
            command = command + ["--ready-fd", str(write_end)]
        with open(os.path.join(self.mesh.folder, self.name + ".err"), "ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=errors,
                stdout=subprocess.PIPE if self.says_on_output else errors,
                env={**os.environ, **self.environment},
                pass_fds=[write_end] if self.says_ready else [])
        if self.says_on_output and read_line(self.process.stdout.fileno(), READY_S) != "READY\n":
            raise Failure(f"{self.name} is not ready: {self.errors()[-600:]}")
        if self.says_ready:
            os.close(write_end)
            if wait:
                self.ready_line = read_line(self.ready_fd, READY_S)
                if not self.ready_line.startswith("READY"):
                    raise Failure(f"{self.name} is not ready: {self.errors()[-600:]}")

    def errors(self):
        with open(os.path.join(self.mesh.folder, self.name + ".err"), errors="replace",
                  encoding="utf-8") as file:
            return file.read()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """kill -9, and wait for its end."""
        if self.process is not None:
            if self.alive():
                self.process.kill()
            self.process.wait(END_S)
            self.process.stdin.close()

    def finish(self, seconds):
        """Close its input and let it end by itself: its exit status."""
        self.process.stdin.close()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None


class Mesh:
    def __init__(self, build, folder, seed, address=HUB, lease_ms=3000, broker_options=(),
                 environment=None):
        self.build = build
        self.folder = folder
        self.seed = seed
        self.jobs_folder = os.path.join(folder, "jobs")
        os.mkdir(self.jobs_folder)
        self.parts = {}
        self.ports = {}
        self.starts_ms = []
        self.address = address
        self.environment = environment or {}  # of broker and nodes
        command = [self.program("broker/plexus-broker"), "--dir", self.path("broker"),
                   "--run", self.path("run"), "--any-filesystem", "--map-bytes", str(4 << 30),
                   "--lease-ms", str(lease_ms), "--heartbeat-ms", str(lease_ms // 6),
                   "--listen", self.address, *broker_options]
        self.broker = Part(self, "broker", command, environment=environment, says_ready=True)

    def program(self, name):
        return os.path.join(self.build, name)

    def path(self, name):
        return os.path.join(self.folder, name)

    # ---- the broker

    def start_broker(self):
        wanted = [f"--port-{name}={self.ports.get(name, 0)}".split("=")
                  for name in ("cmd", "node", "data", "events")]
        base = self.broker.command
        self.broker.command = base + [word for pair in wanted for word in pair]
        self.broker.start()
        self.broker.command = base
        values = dict(word.split("=") for word in self.broker.ready_line.split()[1:])
        self.ports = {name: values[name] for name in ("cmd", "node", "data", "events")}
        self.starts_ms.append(int(values["ms"]))

    def local_url(self):
        return "local:" + self.path("run")

    def url(self, address=None):
        return f"plexus://{address or self.address}:{self.ports['cmd']}"

    def make_token(self, role, name):
        """A file with a new token."""
        path = self.path(name + ".token")
        with open(path, "w", encoding="ascii", opener=lambda at, how: os.open(at, how, 0o600)) as file:
            subprocess.run([self.program("client/cli/plexus"), "token", "create", "--url",
                            self.local_url(), "--role", role, "--user", name], stdout=file,
                           stdin=subprocess.DEVNULL, check=True, timeout=READY_S)
        return path

    # ---- the others

    def add(self, part, **start):
        self.parts[part.name] = part
        part.start(**start)
        return part

    def add_node(self, name, prefix=(), address=None, cpus=4):
        command = [self.program("node/plexus-node"), "--dir", self.path(name), "--name", name,
                   "--url", self.url(address), "--cpus", str(cpus), "--accounts", "self",
                   "--token-file", self.make_token("node", name)]
        return self.add(Part(self, name, command, prefix, self.environment, says_ready=True))

    def add_proxy(self, name, listen):
        """A proxy of one party; its other side is the broker."""
        command = [sys.executable, os.path.join(os.path.dirname(__file__), "proxy.py"), listen,
                   self.address, *self.ports.values()]
        part = Part(self, "proxy-" + name, command)
        part.says_on_output = True
        return self.add(part)

    def player(self, part, name, url=None, prefix=(), environment=None, **options):
        command = [self.program("tests/system/nemesis/nemesis_player"), part, "--name", name,
                   "--history", self.path(name + ".history"), "--dir", self.jobs_folder,
                   "--program", self.program("tests/system/nemesis/nemesis_job"),
                   "--seed", str(self.seed), "--url", url or self.local_url()]
        for option, value in options.items():
            command += ["--" + option.replace("_", "-"), str(value)]
        return Part(self, name, command, prefix, environment)

    def note_fault(self, name):
        """A line of the nemesis' own history."""
        with open(self.path("nemesis.history"), "a", encoding="ascii") as file:
            file.write(f"fault {name} {int(time.monotonic() * 1000)}\n")

    @staticmethod
    def send(pid, number):
        send(pid, number)

    def expect_alive(self, but=()):
        """Whoever was not killed by us lives, or has ended well."""
        for part in [self.broker, *self.parts.values()]:
            if part.name not in but and part.process is not None and part.process.poll():
                raise Failure(f"{part.name} died by itself with {part.process.poll()}: "
                              f"{part.errors()[-600:]}")

    def expect_no_crash(self):
        """No part said that it found an error of its own."""
        for name in sorted(os.listdir(self.folder)):
            if not name.endswith((".err", ".log")):
                continue
            with open(self.path(name), errors="replace", encoding="utf-8") as file:
                found = CRASH.search(file.read())
            if found:
                raise Failure(f"{name}: {found.group(0)}")

    def keepers_of(self, node):
        """The keepers of a node that have a job now, wherever they hang."""
        spool = os.path.join(self.path(node), "spool", "")
        return [pid for pid in descendants(os.getpid())
                if is_keeper(pid) and directory_of(pid).startswith(spool)]

    def end(self):
        """Kill everything that hangs below this process."""
        for _ in range(20):
            below = descendants(os.getpid())
            if not below:
                break
            for pid in below:
                send(pid, signal.SIGKILL)
            try:
                while os.waitpid(-1, 0)[0] > 0:
                    pass
            except ChildProcessError:
                pass
