# SPDX-License-Identifier: Apache-2.0
"""tools/bench peers: the same tests on Plexus, its peers and the machine's limits, in interleaved rounds;
rows while it runs, medians and ratios at the end."""
import os
import signal
import statistics
import subprocess
import sys
import time

import servers

# test: [(peer, variant, arguments of the driver)]; jobs are few where each is flushed by itself.
ONE, MANY = "1", "1000"
SUBMIT_ONE = [("beanstalkd", "f0", 4000), ("redis", "always-list", 4000), ("rabbitmq", "quorum", 2000),
              ("nats", "js", 10000), ("plexus", "local", 4000), ("plexus", "curve", 4000),
              ("plexus", "each", 4000)]
SUBMIT_MANY = [("beanstalkd", "f0", 10000), ("redis", "always-list", 100000), ("rabbitmq", "quorum", 50000),
               ("nats", "js", 200000), ("plexus", "local", 200000), ("plexus", "curve", 200000),
               ("plexus", "each", 200000)]
SUBMIT_BULK = [("plexus", "hundred", 300000)]
CYCLE = [("beanstalkd", "f0", 10000), ("redis", "always-list", 50000), ("redis", "always-stream", 50000),
         ("rabbitmq", "quorum", 30000), ("nats", "js", 50000), ("plexus", "local", 50000),
         ("plexus", "curve", 50000)]
CYCLE_ONE = [("beanstalkd", "f0", 5000), ("redis", "always-list", 10000), ("redis", "always-stream", 10000),
             ("rabbitmq", "quorum", 5000), ("nats", "js", 20000), ("plexus", "local", 10000),
             ("plexus", "curve", 10000)]
LATENCY = [("beanstalkd", "f0", 2000), ("redis", "always-list", 2000), ("redis", "always-stream", 2000),
           ("rabbitmq", "classic", 2000), ("rabbitmq", "quorum", 1000), ("nats", "core", 2000),
           ("plexus", "local", 2000), ("plexus", "curve", 2000)]
BACKLOG = [("redis", "everysec-list"), ("beanstalkd", "f50"), ("plexus", "hundred")]
FANOUT = [(1, 300000), (10, 60000), (50, 12000)]
BACKLOG_JOBS = 1000000
DRIVER_S = 180


class Runner:
    def __init__(self, build, data, out, absent, scale):
        self.build, self.data, self.out, self.absent, self.scale = build, data, out, absent, scale
        self.rows = []
        os.makedirs(data, exist_ok=True)

    def say(self, line):
        print(line, flush=True)
        self.out.write(line + "\n")
        self.out.flush()

    def row(self, *words):
        test, peer, variant, metric, value, unit = words
        self.rows.append((test, peer, variant, metric, float(value), unit))
        self.say("\t".join(map(str, words)))

    def program(self, name, *arguments, environment=None, rename=None):
        """Run a measuring program and take its rows; rename: (test, metric) instead of its own."""
        path = os.path.join(self.build, "tools/peers", name)
        done = subprocess.run([path, *map(str, arguments)], check=False, text=True, timeout=DRIVER_S,
                              stdout=subprocess.PIPE, env=dict(os.environ, **(environment or {})))
        if done.returncode != 0:
            print(f"tools/bench: {name} {arguments} failed with {done.returncode}", file=sys.stderr)
        for line in done.stdout.splitlines():
            test, peer, variant, metric, value, unit = line.split("\t")
            test, metric = rename or (test, metric)
            self.row(test, peer, variant, metric, value, unit)

    def number(self, count):
        return max(20, int(count * self.scale))

    def queue(self, test, peer, variant, count, *more):
        if peer in self.absent:
            return
        server = servers.make(peer, variant, self.data, self.build)
        server.start()
        try:
            self.program(server.driver, test, server.driver_variant, variant, self.number(count), *more,
                         environment=server.environment)
        except subprocess.TimeoutExpired:
            print(f"tools/bench: {peer} {variant} {test} took too long", file=sys.stderr)
        finally:
            server.stop()

    # ---- the tests --------------------------------------------------------------------------------

    def submit(self):
        for peer, variant, count in SUBMIT_ONE:
            self.queue("submit", peer, variant, count, 1)
        for peer, variant, count in SUBMIT_MANY:
            self.queue("submit", peer, variant, count, 1000)
        for peer, variant, count in SUBMIT_BULK:
            self.queue("submit", peer, variant, count, 3200)

    def cycle(self):
        for peer, variant, count in CYCLE:
            self.queue("cycle", peer, variant, count, 1000, 64, 2)
        for peer, variant, count in CYCLE_ONE:
            self.queue("cycle", peer, variant, count, 1000, 1, 2)

    def latency(self):
        for peer, variant, count in LATENCY:
            self.queue("latency", peer, variant, count)

    def limits(self):
        self.program("limit_disk", self.data, 1)
        local = f"ipc://{self.data}/limit"
        for label, endpoint in (("ipc", local), ("tcp", "tcp://127.0.0.1:21556")):
            self.program("limit_zmq", "rtt", endpoint, label)
            self.program("limit_zmq", "latency", endpoint, label, self.number(5000))
            self.program("limit_zmq", "cycle", endpoint, label, self.number(100000), 1000, 64)
            self.program("limit_zmq", "cycle", endpoint, label, self.number(20000), 1000, 1)

    def fanout(self):
        for followers, lines in FANOUT:
            for peer, variant in (("redis", "rdb-list"), ("nats", "core")):
                if peer in self.absent:
                    continue
                server = servers.make(peer, variant, self.data, self.build)
                server.start()
                try:
                    self.program("fanout", peer, followers, self.number(lines))
                finally:
                    server.stop()
            self.fanout_plexus(followers, self.number(lines))

    def fanout_plexus(self, followers, lines):
        folder = os.path.join(self.data, "mesh")
        environment = dict(os.environ, XDG_CONFIG_HOME=folder, XDG_STATE_HOME=folder)
        plexus = os.path.join(self.build, "client/cli/plexus")
        subprocess.run([plexus, "up", "--nodes", "1", "--cpus", "2", "--dir", folder + "/state", "-q"],
                       check=True, env=environment)
        try:
            self.program("fanout", "plexus", followers, lines,
                         environment={"PLEXUS_URL": f"local:{folder}/state/run"})
        finally:
            subprocess.run([plexus, "down", "--dir", folder + "/state", "--kill", "-q"], check=False,
                           env=environment)
            subprocess.run(["rm", "-rf", folder], check=False)

    def backlog(self):
        for peer, variant in BACKLOG:
            if peer not in self.absent:
                self.backlog_of(servers.make(peer, variant, self.data, self.build))

    def backlog_of(self, server):
        """A million jobs wait; memory and disk of each; kill -9, and the time to the first handed out."""
        jobs = self.number(BACKLOG_JOBS)
        server.start()
        before = {field: servers.memory_bytes(server.pid(), field) for field in ("VmRSS", "RssAnon")}
        self.program(server.driver, "submit", server.driver_variant, server.variant, jobs, 1000,
                     environment=server.environment, rename=("D_backlog", "submit_rate"))
        time.sleep(20)  # until what the burst took was given back
        for field, metric in (("VmRSS", "rss_per_job"), ("RssAnon", "anon_per_job")):
            used = servers.memory_bytes(server.pid(), field) - before[field]
            self.row("D_backlog", server.peer, server.variant, metric, f"{used / jobs:.1f}", "B")
        folders = [("disk", server.folder)]
        if server.peer == "plexus":
            folders += [("disk_" + name, os.path.join(server.state, name)) for name in ("db", "journal", "feed")]
        for name, folder in folders:
            self.row("D_backlog", server.peer, server.variant, name + "_per_job",
                     f"{servers.disk_bytes(folder) / jobs:.1f}", "B")
        server.stop(signal.SIGKILL)
        time.sleep(1)
        begun = time.monotonic_ns()
        server.start(keep=True)
        driver = "q_plexus" if server.peer == "plexus" else server.driver
        self.program(driver, "probe", server.driver_variant, server.variant, begun,
                     environment=server.environment)
        server.stop(signal.SIGKILL)


# ---- medians and ratios ---------------------------------------------------------------------------


def medians(rows):
    values = {}
    for test, peer, variant, metric, value, unit in rows:
        values.setdefault((test, peer, variant, metric, unit), []).append(value)
    return {key: (statistics.median(found), min(found), max(found), len(found))
            for key, found in values.items()}


def best(table, test, metric, durable, most):
    found = [(value[0], f"{peer} {variant}") for (t, peer, variant, m, _), value in table.items()
             if t == test and m == metric and peer not in ("plexus", "limit")
             and (not durable or (peer, variant) in servers.DURABLE)]
    if not found:
        return None, "-"
    return max(found) if most else min(found)


def value_of(table, test, peer, variant, metric):
    return next((value[0] for (t, p, v, m, _), value in table.items()
                 if (t, p, v, m) == (test, peer, variant, metric)), None)


# title, test, variant of Plexus, metric, metric of the peers (None = the same), more is better, goal in words
RATIOS = [
    ("A submit, 100 a message", "A_submit", "hundred", "rate_depth3200", "rate_depth1000", True, ">= 1.5"),
    ("A submit, 1 a message, pipelined", "A_submit", "each", "rate_depth1000", None, True, ">= 1"),
    ("A submit, library, 1,000 in flight", "A_submit", "local", "rate_depth1000", None, True, ">= 1"),
    ("A submit, library, CURVE on TCP", "A_submit", "curve", "rate_depth1000", None, True, ""),
    ("A submit, one at a time", "A_submit", "each", "rate_depth1", None, True, ""),
    ("B cycle, 2 workers holding 64", "B_cycle", "local", "rate_held64_workers2", None, True, ">= 1.3"),
    ("B cycle, CURVE on TCP", "B_cycle", "curve", "rate_held64_workers2", None, True, ">= 1"),
    ("B cycle, 2 workers holding 1", "B_cycle", "local", "rate_held1_workers2", None, True, ">= 1"),
    ("C round trip p50", "C_latency", "local", "roundtrip_p50", None, False, "<= 1.2"),
    ("C round trip p99", "C_latency", "local", "roundtrip_p99", None, False, ""),
    ("C receipt p50", "C_latency", "local", "receipt_p50", None, False, "<= 0.75"),
    ("C round trip p50, CURVE on TCP", "C_latency", "curve", "roundtrip_p50", None, False, ""),
]
FANOUT_RATIOS = [(followers, f"F lines to {followers} followers") for followers, _ in FANOUT]


def show(number):
    return "-" if number is None else f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def ratio_rows(table):
    for title, test, variant, metric, of_peers, most, goal in RATIOS:
        mine = value_of(table, test, "plexus", variant, metric)
        theirs, name = best(table, test, of_peers or metric, True, most)
        if mine is not None:
            yield title, mine, theirs, name, goal
    for followers, title in FANOUT_RATIOS:
        variant = f"followers{followers}"
        mine = value_of(table, "F_fanout", "plexus", variant, "delivered")
        for peer in ("nats", "redis"):
            theirs = value_of(table, "F_fanout", peer, variant, "delivered")
            if mine is not None:
                yield title, mine, theirs, peer, ">= 1"
    yield from limit_rows(table)


def limit_rows(table):
    """Plexus beside what the machine can do."""
    flush = value_of(table, "G_flush", "limit", "overwrite_batch1", "flush_p50")
    trip = value_of(table, "G_zmq", "limit", "ipc", "rtt_p50")
    router = value_of(table, "C_latency", "limit", "ipc", "roundtrip_p50")
    rate = value_of(table, "A_submit", "plexus", "each", "rate_depth1")
    if None not in (flush, trip, rate):
        yield "A one at a time, us", 1e6 / rate, flush + trip, "one flush + one ZeroMQ round trip", "<= 1.5"
    mine = value_of(table, "C_latency", "plexus", "local", "roundtrip_p50")
    if None not in (flush, router, mine):
        yield "C round trip p50, us", mine, 2 * flush + router, "two flushes + bare ROUTER", "<= 1.3"
    for held in (64, 1):
        metric = f"rate_held{held}_workers2"
        mine = value_of(table, "B_cycle", "plexus", "local", metric)
        bare = value_of(table, "B_cycle", "limit", "ipc", metric)
        if None not in (mine, bare):
            yield f"B cycle, {held} held", mine, bare, "bare ROUTER that keeps nothing", ""


def print_tables(runner):
    table = medians(runner.rows)
    runner.say("\ntest\tpeer\tvariant\tmetric\tmedian\tmin\tmax\tunit\trounds")
    for (test, peer, variant, metric, unit), (median, least, most, count) in sorted(table.items()):
        runner.say("\t".join((test, peer, variant, metric, f"{median:.6g}", f"{least:.6g}", f"{most:.6g}",
                              unit, str(count))))
    runner.say("\nwhat\tplexus\tother\tratio\tgoal\twhich other")
    for title, mine, theirs, name, goal in ratio_rows(table):
        ratio = mine / theirs if theirs else None
        runner.say("\t".join((title, show(mine), show(theirs), show(ratio), goal, name)))


def run(build, rounds, only, scale):
    """Measure; returns the results file."""
    absent = servers.missing()
    if absent:
        print("tools/bench: not installed, so left out: " + ", ".join(absent)
              + " (tools/bench --install-peers)", file=sys.stderr)
    name = os.path.join(build, time.strftime("bench-%Y%m%d-%H%M%S.tsv"))
    data = os.path.join("/var/tmp", f"plexus-bench-{os.getpid()}")
    with open(name, "w", encoding="utf-8") as out:
        runner = Runner(build, data, out, absent, scale)
        runner.say("test\tpeer\tvariant\tmetric\tvalue\tunit")
        tests = {"submit": runner.submit, "cycle": runner.cycle, "latency": runner.latency,
                 "fanout": runner.fanout, "limits": runner.limits}
        for _ in range(rounds):
            for test, measure in tests.items():
                if not only or test in only:
                    measure()
        if not only or "backlog" in only:
            runner.backlog()
        print_tables(runner)
    subprocess.run(["rm", "-rf", data], check=False)
    return name
