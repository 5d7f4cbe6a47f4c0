# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that breaks connections. It copies bytes both ways until a line on its standard input says:

    reset       forward half of the next bytes of each connection, then reset it: the cut is in a frame
    freeze      copy nothing more; what arrives waits
    thaw        go on

usage: proxy.py LISTEN-ADDRESS TARGET-ADDRESS PORT...   (the same ports on both sides)
Says READY on standard output. Ends when its standard input is closed.
"""
import os
import selectors
import socket
import struct
import sys

CHUNK = 65536
WAITING_MAX = 1 << 20  # bytes read and not yet written of one direction


class Side:
    """One socket of a pair, and what waits to be written to it."""

    def __init__(self, connection):
        self.socket = connection
        self.waiting = bytearray()
        self.other = None


class Proxy:
    def __init__(self, listen, target, ports):
        self.selector = selectors.DefaultSelector()
        self.target = target
        self.frozen = False
        self.pairs = set()
        self.armed = set()  # sides whose next bytes are cut
        for port in ports:
            listener = socket.create_server((listen, port), backlog=128)
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, ("listener", port))
        os.set_blocking(sys.stdin.fileno(), False)
        self.selector.register(sys.stdin, selectors.EVENT_READ, ("orders", None))

    def accept(self, listener, port):
        near, _ = listener.accept()
        try:
            far = socket.create_connection((self.target, port), timeout=5)
        except OSError:
            self.hang_up(near)
            return
        sides = Side(near), Side(far)
        for side, other in (sides, sides[::-1]):
            side.other = other
            side.socket.setblocking(False)
            side.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pairs.add(side)
            self.watch(side)

    def watch(self, side):
        """Read unless frozen or too much waits; write when something waits."""
        events = 0
        if not self.frozen and len(side.other.waiting) < WAITING_MAX:
            events |= selectors.EVENT_READ
        if not self.frozen and side.waiting:
            events |= selectors.EVENT_WRITE
        try:
            self.selector.unregister(side.socket)
        except KeyError:
            pass
        if events:
            self.selector.register(side.socket, events, ("side", side))

    @staticmethod
    def hang_up(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def close(self, side):
        for each in (side, side.other):
            if each in self.pairs:
                self.pairs.discard(each)
                self.armed.discard(each)
                try:
                    self.selector.unregister(each.socket)
                except KeyError:
                    pass
                self.hang_up(each.socket)

    def copy(self, side, events):
        if side not in self.pairs or self.frozen:
            return
        try:
            if events & selectors.EVENT_WRITE:
                del side.waiting[:side.socket.send(side.waiting)]
            if events & selectors.EVENT_READ:
                data = side.socket.recv(CHUNK)
                if not data:
                    self.close(side)
                    return
                if side in self.armed and len(data) > 1:
                    side.other.waiting += data[:len(data) // 2]
                    side.other.socket.send(side.other.waiting)
                    self.close(side)
                    return
                side.other.waiting += data
        except BlockingIOError:
            pass
        except OSError:
            self.close(side)
            return
        self.watch(side)
        self.watch(side.other)

    def order(self):
        """False: the end."""
        data = os.read(sys.stdin.fileno(), 4096)
        for word in data.decode().split():
            if word == "reset":
                self.armed |= self.pairs
            else:
                self.frozen = word == "freeze"
                for side in self.pairs:
                    self.watch(side)
        return bool(data)

    def run(self):
        print("READY", flush=True)
        while True:
            for key, events in self.selector.select():
                kind, value = key.data
                if kind == "listener":
                    self.accept(key.fileobj, value)
                elif kind == "side":
                    self.copy(value, events)
                elif not self.order():
                    return


if __name__ == "__main__":
    Proxy(sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]).run()
