# SPDX-License-Identifier: Apache-2.0
"""Servers that tools/bench measures: Plexus and its peers, each on loopback with a fresh folder, ended by
process id. A configuration is (peer, variant); DURABLE lists those that flush before they acknowledge."""
import os
import shutil
import signal
import subprocess
import time

PACKAGES = ["beanstalkd", "redis-server", "nats-server", "rabbitmq-server", "librabbitmq-dev"]
PROGRAMS = {"beanstalkd": "beanstalkd", "redis": "redis-server", "nats": "nats-server",
            "rabbitmq": "/usr/lib/rabbitmq/bin/rabbitmq-server"}
DURABLE = {("beanstalkd", "f0"), ("redis", "always-list"), ("redis", "always-stream"),
           ("rabbitmq", "classic"), ("rabbitmq", "quorum")}
RABBIT_START_S = 60


def missing():
    """Peers whose server is not installed."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return [peer for peer, program in PROGRAMS.items() if not shutil.which(program)]


def install():
    """Install the peers from Debian's packages; none of them is started as a service."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
    subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES], check=True,
                   env=environment)


def memory_bytes(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def disk_bytes(folder):
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Server:
    """One server process; `environment` and `driver` are for the measuring programs."""

    driver_variant = "-"
    settle_s = 0.5

    def __init__(self, peer, variant, data):
        self.peer, self.variant = peer, variant
        self.folder = os.path.join(data, peer)
        self.driver = "q_" + peer
        self.environment = {}
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, keep=False):
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "out"), "ab") as out:
            self.process = subprocess.Popen(self.command(), stdout=out, stderr=out,
                                            env=dict(os.environ, **self.environment))
        if not keep:
            self.wait_ready()

    def wait_ready(self):
        time.sleep(self.settle_s)

    def pid(self):
        return self.process.pid

    def stop(self, how=signal.SIGTERM):
        os.kill(self.pid(), how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Beanstalkd(Server):
    def command(self):
        more = {"mem": [], "f50": ["-b", self.folder], "f0": ["-b", self.folder, "-f0"]}[self.variant]
        return ["beanstalkd", "-l", "127.0.0.1", "-p", "21300", *more]


class Redis(Server):
    def __init__(self, peer, variant, data):
        super().__init__(peer, variant, data)
        self.sync, self.driver_variant = variant.split("-")

    def command(self):
        more = {"rdb": ["--appendonly", "no"]}.get(
            self.sync, ["--appendonly", "yes", "--appendfsync", self.sync, "--save", ""])
        return ["redis-server", "--bind", "127.0.0.1", "--port", "21379", "--dir", self.folder, *more]


class Nats(Server):
    def __init__(self, peer, variant, data):
        super().__init__(peer, variant, data)
        self.driver_variant = "core" if variant == "core" else "js"

    def command(self):
        return ["nats-server", "-a", "127.0.0.1", "-p", "21222", "-js", "-sd", self.folder]


class Rabbitmq(Server):
    """Its script starts an Erlang node, and a small name server (epmd) that stays."""

    def __init__(self, peer, variant, data):
        super().__init__(peer, variant, data)
        self.driver_variant = variant
        self.environment = {
            "HOME": self.folder, "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": "21672",
            "RABBITMQ_MNESIA_BASE": self.folder + "/mnesia", "RABBITMQ_LOG_BASE": self.folder + "/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder + "/plugins",
            "RABBITMQ_CONFIG_FILE": self.folder + "/none", "RABBITMQ_PID_FILE": self.folder + "/pid",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"}

    def command(self):
        os.chmod(self.folder, 0o755)
        return ["setsid", PROGRAMS["rabbitmq"]]

    def wait_ready(self):
        end = time.monotonic() + RABBIT_START_S
        while time.monotonic() < end:
            with open(os.path.join(self.folder, "out"), encoding="utf-8", errors="replace") as out:
                if "broker... completed" in out.read():
                    return
            time.sleep(0.1)
        raise SystemExit("tools/bench: RabbitMQ did not start; see " + self.folder)

    def pid(self):
        try:
            with open(os.path.join(self.folder, "pid"), encoding="utf-8") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return self.process.pid


class Plexus(Server):
    """Variants: local (library over local sockets), curve (library over CURVE on TCP), each and hundred
    (jobs in a message, without the library)."""

    def __init__(self, peer, variant, data, build):
        super().__init__(peer, variant, data)
        self.build = build
        self.state = os.path.join(self.folder, "broker")
        if variant in ("each", "hundred"):
            self.driver = "q_plexus_wire"
            self.driver_variant = {"each": "1", "hundred": "100"}[variant]

    def command(self):
        more = []
        if self.variant == "curve":
            more = ["--listen", "127.0.0.1", "--port-cmd", "21539", "--port-node", "21540",
                    "--port-data", "21541", "--port-events", "21542"]
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.environment = {"PLEXUS_URL": f"local:{self.state}/run",
                            "PLEXUS_BENCH_CMD": f"ipc://{self.state}/run/cmd"}
        return [os.path.join(self.build, "broker/plexus-broker"), "--dir", self.state, *more]

    def wait_ready(self):
        token = os.path.join(self.state, "keys/admin.token")
        end = time.monotonic() + 20
        while not (os.path.exists(token) and os.path.exists(os.path.join(self.state, "run/cmd"))):
            if time.monotonic() > end:
                raise SystemExit("tools/bench: the broker did not start; see " + self.folder)
            time.sleep(0.01)
        time.sleep(self.settle_s)
        if self.variant == "curve":
            with open(token, encoding="utf-8") as file:
                self.environment = {"PLEXUS_URL": "plexus://127.0.0.1:21539",
                                    "PLEXUS_TOKEN": file.read().strip()}


def make(peer, variant, data, build):
    if peer == "plexus":
        return Plexus(peer, variant, data, build)
    kinds = {"beanstalkd": Beanstalkd, "redis": Redis, "nats": Nats, "rabbitmq": Rabbitmq}
    return kinds[peer](peer, variant, data)
