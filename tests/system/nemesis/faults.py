# SPDX-License-Identifier: Apache-2.0
"""What the nemesis does. Each fault is begun on one target and healed later; one target has one at a time.

A fault is (name, targets, begin, heal, seconds): begin(target) returns why it cannot be done, None if it
was done, or NOTHING if there is nothing to do it to now. heal may be None.
"""
import heapq
import signal
import time

NOTHING = ""
YEAR_S = 365 * 24 * 3600
JUMPS_S = (3600, -3600, 10 * YEAR_S, -10 * YEAR_S, 90, -90, 0)


class Faults:
    def __init__(self, mesh, network, rand, lease_s):
        self.mesh = mesh
        self.network = network
        self.rand = rand
        self.clock_file = None
        self.clock_lacking = "libfaketime is not used"
        self.restart_client = None  # starts a client anew
        nodes, workers, clients = ("n1", "n2"), ("w1", "w2"), ("a", "b")
        past_lease = (lease_s * 1.1, lease_s * 1.8)
        short = (0.2, 1.5)
        self.rows = [
            ("kill_broker", ("broker",), self.kill, self.start_broker, (0.0, 0.8)),
            ("kill_link", nodes, self.kill, self.start, (0.0, 1.0)),
            ("kill_node", nodes, self.kill_node, self.start, (0.0, lease_s * 1.5)),
            ("kill_keeper", nodes, self.kill_keeper, None, (0.0, 0.1)),
            ("kill_worker", workers, self.kill, self.start, (0.0, 1.0)),
            ("kill_client", clients, self.kill, self.start_client, (0.0, 0.5)),
            ("stop_broker", ("broker",), self.stop, self.go_on, short),
            ("stop_link", nodes, self.stop, self.go_on, past_lease),
            ("stop_node", nodes, self.stop_node, self.go_on_node, past_lease),
            ("stop_worker", workers, self.stop, self.go_on, past_lease),
            ("stop_client", clients, self.stop, self.go_on, short),
            ("partition", nodes + workers + ("a",), self.cut, self.join, (0.3, lease_s * 1.8)),
            ("half_partition", nodes + workers, self.cut_half, self.join, (0.3, lease_s * 1.8)),
            ("throttle", nodes + workers + ("a",), self.throttle, self.unthrottle, (0.5, 3.0)),
            ("reset", ("n2", "w2", "a"), self.reset, None, (0.1, 0.2)),
            ("freeze", ("n2", "w2", "a"), self.freeze, self.thaw, (0.3, lease_s * 1.5)),
            ("clock", ("clock",), self.jump, None, (0.5, 1.0)),
        ]
        self.deck = []
        self.done = {row[0]: 0 for row in self.rows}
        self.skipped = {}
        self.begun = set()  # targets
        self.stopped = {}   # node -> keepers that were stopped with it
        self.heals = []     # heap of (time, number, heal, target)
        self.number = 0

    # ---- the campaign

    def draw(self):
        """Each fault once, in random order, then again."""
        if not self.deck:
            self.deck = [row for row in self.rows if row[0] not in self.skipped]
            self.rand.shuffle(self.deck)
        return self.deck.pop() if self.deck else None

    def step(self):
        """Begin one fault, if the drawn one can be begun now."""
        self.mesh.expect_alive(self.begun)
        row = self.draw()
        if row is None:
            return
        name, targets, begin, heal, seconds = row
        target = self.rand.choice(targets)
        length = self.rand.uniform(*seconds)
        if target in self.begun:
            self.deck.insert(0, row)  # later
            return
        if target != "clock" and target != "broker" and not self.mesh.parts[target].alive():
            return
        self.mesh.note_fault(name)
        answer = begin(target)
        if answer == NOTHING:
            self.deck.insert(0, row)
            return
        if answer is not None:
            self.skipped[name] = answer
            return
        self.done[name] += 1
        self.begun.add(target)
        self.number += 1
        heapq.heappush(self.heals, (time.monotonic() + length, self.number, heal, target))

    def heal_due(self, until):
        """Sleep until `until`, healing what is due on the way."""
        while True:
            next_s = min(until, self.heals[0][0]) if self.heals else until
            time.sleep(max(0.0, next_s - time.monotonic()))
            if not self.heals or self.heals[0][0] > time.monotonic():
                return
            _, _, heal, target = heapq.heappop(self.heals)
            if heal is not None:
                heal(target)
            self.begun.discard(target)

    def heal_all(self):
        while self.heals:
            self.heal_due(self.heals[0][0])

    def run(self, seconds, pause_s):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
            self.heal_due(time.monotonic() + self.rand.uniform(*pause_s))
        self.heal_all()

    # ---- processes

    def part(self, name):
        return self.mesh.broker if name == "broker" else self.mesh.parts[name]

    def kill(self, name):
        self.part(name).kill()

    def kill_node(self, name):
        """The link and every keeper at once, as when the memory killer goes round."""
        keepers = self.mesh.keepers_of(name)
        self.part(name).kill()
        for pid in keepers:
            self.mesh.send(pid, signal.SIGKILL)

    def kill_keeper(self, name):
        keepers = self.mesh.keepers_of(name)
        if not keepers:
            return NOTHING
        self.mesh.send(self.rand.choice(keepers), signal.SIGKILL)
        return None

    def start(self, name):
        self.part(name).start(wait=False)

    def start_broker(self, _name):
        self.mesh.start_broker()

    def start_client(self, name):
        self.restart_client(name)

    def stop(self, name):
        self.part(name).signal(signal.SIGSTOP)

    def go_on(self, name):
        self.part(name).signal(signal.SIGCONT)

    def stop_node(self, name):
        """Those and no others go on later: a keeper may have left its job just before it was stopped."""
        self.stopped[name] = self.mesh.keepers_of(name)
        for pid in self.stopped[name]:
            self.mesh.send(pid, signal.SIGSTOP)
        self.stop(name)

    def go_on_node(self, name):
        self.go_on(name)
        for pid in self.stopped.pop(name):
            self.mesh.send(pid, signal.SIGCONT)

    # ---- the network

    def cut(self, name):
        return self.network.cut(name, ("input", "output"))

    def cut_half(self, name):
        return self.network.cut(name, (self.rand.choice(("input", "output")),))

    def join(self, name):
        self.network.join(name)

    def throttle(self, name):
        return self.network.throttle(name, self.rand.choice(("64kbit", "256kbit", "1mbit")))

    def unthrottle(self, name):
        self.network.unthrottle(name)

    def order(self, name, word):
        proxy = self.mesh.parts["proxy-" + name].process
        proxy.stdin.write((word + "\n").encode())
        proxy.stdin.flush()

    def reset(self, name):
        self.order(name, "reset")

    def freeze(self, name):
        self.order(name, "freeze")

    def thaw(self, name):
        self.order(name, "thaw")

    # ---- the wall clock of broker and nodes

    def jump(self, _name):
        if self.clock_file is None:
            return self.clock_lacking
        # Read by libfaketime; written whole, so that no half of it is read.
        jump_s = self.rand.choice(JUMPS_S)
        with open(self.clock_file, "r+", encoding="ascii") as file:
            file.write(f"{jump_s:+d}\n".ljust(24))
        return None
