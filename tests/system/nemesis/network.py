# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of the nemesis' own: a hub where the broker is, and one for each party, tied to
the hub by a pair of interfaces. They vanish with the last process in them.

Without the right to make them, everything stands on loopback addresses and what needs them is left
out, with the reason in `lacking`.
"""
import os
import shutil
import subprocess

import mesh as meshes

INSIDE = "PX_NEMESIS_INSIDE"


def tool(*command):
    """Run a tool of the machine: what it says if it fails, else None."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=20, check=False)
    return None if done.returncode == 0 else done.stdout.decode(errors="replace").strip() or "it failed"


def enter():
    """Become a process in a fresh network namespace, where that is possible. Call this first."""
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = path + ":/usr/sbin:/sbin"
    if INSIDE in os.environ or os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    if tool("unshare", "-n", "true") is None:
        import sys  # only here: the interpreter to begin again with
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable] + sys.argv)


class Network:
    def __init__(self):
        self.lacking = self.why_not()
        self.broker_address = "127.0.0.1"
        self.holders = {}
        self.count = 0
        if self.lacking is None:
            self.broker_address = "10.77.0.1"

    @staticmethod
    def why_not():
        if INSIDE not in os.environ:
            return "no right to make network namespaces"
        for name in ("ip", "nsenter"):
            if shutil.which(name) is None:
                return f"{name} is not installed"
        wrong = tool("ip", "link", "set", "lo", "up") or tool("ip", "address", "replace", "10.77.0.1/32",
                                                              "dev", "lo")
        wrong = wrong or tool("ip", "link", "add", "px-try", "type", "veth", "peer", "name", "px-tried")
        wrong = wrong or tool("ip", "link", "del", "px-try")
        return None if wrong is None else f"network namespaces: {wrong}"

    def add(self, name):
        """A party: (prefix of its commands, address of the hub as it sees it)."""
        self.count += 1
        if self.lacking is not None:
            return [], f"127.0.0.{self.count + 1}"
        hub, party = f"10.77.{self.count}.1", f"10.77.{self.count}.2"
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo READY; exec sleep infinity"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if holder.stdout.readline() != b"READY\n":
            raise meshes.Failure("a network namespace was not made")
        self.holders[name] = holder
        pid = str(holder.pid)
        inside = ["nsenter", "-t", pid, "-n", "--"]
        steps = [
            ["ip", "link", "add", "px-" + name, "type", "veth", "peer", "name", "eth0", "netns", pid],
            ["ip", "address", "add", hub + "/24", "dev", "px-" + name],
            ["ip", "link", "set", "px-" + name, "up"],
            inside + ["ip", "address", "add", party + "/24", "dev", "eth0"],
            inside + ["ip", "link", "set", "lo", "up"],
            inside + ["ip", "link", "set", "eth0", "up"],
            inside + ["ip", "route", "add", "default", "via", hub],
        ]
        for step in steps:
            wrong = tool(*step)
            if wrong is not None:
                raise meshes.Failure(f"{' '.join(step)}: {wrong}")
        return inside, hub

    # ---- what can be done to a party; each returns why it cannot be done, or None

    def cut(self, name, directions):
        """Drop all its packets of these directions: "input", "output"."""
        if self.lacking is not None:
            return self.lacking
        if shutil.which("nft") is None:
            return "nft is not installed"
        rules = "table inet px {\n" + "".join(
            f"chain {way} {{ type filter hook {way} priority 0; policy drop; }}\n"
            for way in directions) + "}\n"
        done = subprocess.run(self.inside(name) + ["nft", "-f", "-"], input=rules.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        return None if done.returncode == 0 else done.stdout.decode(errors="replace").strip()

    def join(self, name):
        return tool(*self.inside(name), "nft", "delete", "table", "inet", "px")

    def throttle(self, name, rate):
        if self.lacking is not None:
            return self.lacking
        if shutil.which("tc") is None:
            return "tc is not installed"
        return tool(*self.inside(name), "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                    rate, "burst", "4kb", "latency", "300ms")

    def unthrottle(self, name):
        return tool(*self.inside(name), "tc", "qdisc", "del", "dev", "eth0", "root")

    def inside(self, name):
        return ["nsenter", "-t", str(self.holders[name].pid), "-n", "--"]
