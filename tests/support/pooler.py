"""A pooler in front of a real PostgreSQL, as particular as RDS Proxy: TLS only, and no options at a connection's start.

It passes on what both sides say and writes down the statements, so that a test can see what would pin a connection.
"""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

_SSL_REQUEST = 80877103
_QUERY = b"Q"
# SQLSTATE feature_not_supported, and RDS Proxy's own words
_REFUSAL = b"SFATAL\0C0A000\0MFeature not supported: RDS Proxy currently doesn't support command-line options.\0\0"


@dataclass
class Pooler:
    port: int
    statements: list[str] = field(default_factory=list)
    _connections: list[Event] = field(default_factory=list)  # set: nothing comes through to the client any more

    def forget(self) -> None:
        """Lose the answers on all connections that are open now, as a network does that forgot them."""
        for forgotten in self._connections:
            forgotten.set()

    def _serve(self, client: socket.socket, server_port: int, context: ssl.SSLContext) -> None:
        with client, suppress(OSError):
            assert struct.unpack(">II", _exactly(client, 8)) == (8, _SSL_REQUEST)
            client.sendall(b"S")
            with context.wrap_socket(client, server_side=True) as encrypted:
                (length,) = struct.unpack(">I", _exactly(encrypted, 4))
                startup = _exactly(encrypted, length - 4)
                if b"\0options\0" in startup[4:]:
                    encrypted.sendall(b"E" + struct.pack(">I", 4 + len(_REFUSAL)) + _REFUSAL)
                    return
                with socket.create_connection(("127.0.0.1", server_port)) as server:
                    server.sendall(struct.pack(">I", length) + startup)
                    self._connections.append(forgotten := Event())
                    Thread(target=_answer, args=(server, encrypted, forgotten), daemon=True).start()
                    self._ask(encrypted, server)

    def _ask(self, client: ssl.SSLSocket, server: socket.socket) -> None:
        while kind := client.recv(1):
            head = _exactly(client, 4)
            body = _exactly(client, struct.unpack(">I", head)[0] - 4)
            if kind == _QUERY:
                self.statements.append(body.rstrip(b"\0").decode())
            server.sendall(kind + head + body)


def _answer(server: socket.socket, client: ssl.SSLSocket, forgotten: Event) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            if not forgotten.is_set():
                client.sendall(data)


@contextmanager
def pooler(server_port: int, certificate: str, key: str) -> Iterator[Pooler]:
    """Listen on a free port of loopback, with the certificate and key of these files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Pooler(listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    Thread(target=made._serve, args=(client, server_port, context), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield made


def _exactly(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        part = connection.recv(length - len(content))
        if not part:
            raise ConnectionError("the other side left")
        content += part
    return content
