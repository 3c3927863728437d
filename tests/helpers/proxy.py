"""A TCP proxy between a driver and its server, which cuts, swallows, or cuts behind a word that it has passed on."""

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Rule = Callable[[bytes], bool]


class Proxy:
    """Listens on loopback. ``cut`` drops all connections; while ``refusing``, new ones are dropped at once; while
    ``swallowing``, nothing is passed on in either direction, though it is acknowledged. After ``cut_behind`` a packet
    that meets the rule reaches the server, and its answer is never passed on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.refusing = self.swallowing = False
        self._rule: Rule | None = None
        self._kept: list[socket.socket] = []
        self.cuts = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for line in (line for pair in pairs for line in pair):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Drop the connections of clients, and keep those to the server open, as a network that is gone does."""
        pairs, self._pairs = self._pairs, []
        for client, server in (pair for pair in pairs if -1 not in (pair[0].fileno(), pair[1].fileno())):
            self._kept.append(server.dup())
            client.shutdown(socket.SHUT_RDWR)

    def cut_behind(self, rule: Rule | None) -> None:
        self._rule = rule

    def close(self) -> None:
        self.refusing = True
        self.cut()
        self._listener.close()
        for line in self._kept:
            line.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.refusing:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        both = selectors.DefaultSelector()
        both.register(client, selectors.EVENT_READ, server)
        both.register(server, selectors.EVENT_READ, client)
        deaf = False
        with client, server, suppress(OSError):
            while True:
                for key, _ in both.select():
                    data = key.fileobj.recv(65536)
                    if self.swallowing:
                        continue
                    if not data:
                        return
                    if key.fileobj is server and deaf:  # it has answered, so it has done it
                        self.cuts += 1
                        return
                    key.data.sendall(data)
                    if key.fileobj is client and self._rule is not None and self._rule(data):
                        deaf = True
