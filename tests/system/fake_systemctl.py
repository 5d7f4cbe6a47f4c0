#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service manager of the smallest kind, for test_setup.sh: it starts what a unit names, as its account,
with $NOTIFY_SOCKET, and waits until that says READY=1. Its folder is $FAKE_SYSTEMD.

usage: systemctl daemon-reload | enable NAME | restart NAME | show --value -p StatusText NAME
"""
import os
import pwd
import re
import shlex
import socket
import sys
import time

FOLDER = os.environ["FAKE_SYSTEMD"]
READY_S = 20


def settings(name):
    with open(f"/etc/systemd/system/{name}.service", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file if re.match(r"[A-Za-z]+=", line))


def become(account):
    if account:
        os.setgroups([])
        os.setgid(pwd.getpwnam(account).pw_gid)
        os.setuid(pwd.getpwnam(account).pw_uid)


def start(name, unit, address):
    """The service itself, a child of its own session."""
    number = os.fork()
    if number != 0:
        return number
    os.setsid()
    log = os.open(f"{FOLDER}/{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["NOTIFY_SOCKET"] = address
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(unit["ExecStart"])]
    become(unit.get("User"))
    os.execv(words[0], words)
    return 0


def listen(name, sock):
    """Keep the last STATUS= of the service for `show`, as long as it lives."""
    sock.settimeout(0.2)
    while True:
        try:
            text = sock.recv(4096).decode()
        except socket.timeout:
            if os.waitpid(-1, os.WNOHANG)[0] != 0:
                return
            continue
        for line in text.splitlines():
            kind = "status" if line.startswith("STATUS=") else "ready" if line == "READY=1" else None
            if kind:
                with open(f"{FOLDER}/{name}.{kind}", "w", encoding="utf-8") as file:
                    file.write(line.partition("=")[2])


def restart(name):
    unit = settings(name)
    if unit.get("RuntimeDirectory"):
        run = "/run/" + unit["RuntimeDirectory"]
        os.makedirs(run, 0o700, exist_ok=True)
        account = pwd.getpwnam(unit["User"])
        os.chown(run, account.pw_uid, account.pw_gid)
    address = f"@plexus-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address[1:])
        if os.fork() == 0:
            number = start(name, unit, address)
            with open(f"{FOLDER}/{name}.pid", "w", encoding="utf-8") as file:
                file.write(str(number))
            null = os.open("/dev/null", os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            listen(name, sock)
            os._exit(0)
    return 0 if wait_ready(name) else 1


def wait_ready(name):
    """Until the listener has heard it; the file is the event, looked at often."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if os.path.exists(f"{FOLDER}/{name}.ready"):
            return True
        time.sleep(0.02)
    return False


def main(words):
    with open(f"{FOLDER}/calls", "a", encoding="utf-8") as file:
        file.write(" ".join(words) + "\n")
    if words[0] == "restart":
        return restart(words[1])
    if words[0] == "show":
        try:
            with open(f"{FOLDER}/{words[-1]}.status", encoding="utf-8") as file:
                print(file.read())
        except FileNotFoundError:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
