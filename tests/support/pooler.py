"""A pooler in front of a real PostgreSQL. As RDS Proxy, it takes TLS only.

It forwards what both sides send and records startup messages and statements. RDS Proxy refuses options in the former,
and some of the latter pin a connection.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import trustme

_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
_QUERY = b"Q"


class Pooler(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, server_port: int, certificate: trustme.LeafCert) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port: int = self.socket.getsockname()[1]
        self.server_port = server_port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        self.startups: list[bytes] = []
        self.statements: list[str] = []
        self.connections: list[_Connection] = []

    def forget(self) -> None:
        """Lose the answers on all connections that are open now, as a network does that dropped them."""
        for connection in self.connections:
            connection.is_forgotten = True


class _Connection(BaseRequestHandler):
    server: Pooler
    is_forgotten = False

    def handle(self) -> None:
        with suppress(OSError):  # a client that leaves, or that refuses the certificate
            assert self.request.recv(len(_SSL_REQUEST), socket.MSG_WAITALL) == _SSL_REQUEST
            self.request.sendall(b"S")
            with self.server.context.wrap_socket(self.request, server_side=True) as client:
                self._forward(client)

    def _forward(self, client: ssl.SSLSocket) -> None:
        messages = client.makefile("rb")
        length = messages.read(4)
        startup = messages.read(int.from_bytes(length) - 4)
        self.server.startups.append(startup)
        with socket.create_connection(("127.0.0.1", self.server.server_port)) as server:
            server.sendall(length + startup)
            self.server.connections.append(self)
            Thread(target=self._answer, args=(server, client), daemon=True).start()
            while kind := messages.read(1):
                length = messages.read(4)
                content = messages.read(int.from_bytes(length) - 4)
                if kind == _QUERY:
                    self.server.statements.append(content.rstrip(b"\0").decode())
                server.sendall(kind + length + content)

    def _answer(self, server: socket.socket, client: ssl.SSLSocket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                if not self.is_forgotten:
                    client.sendall(content)


@contextmanager
def pooler(server_port: int, certificate: trustme.LeafCert) -> Iterator[Pooler]:
    """Listen on a free port of loopback, with this certificate."""
    with Pooler(server_port, certificate) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
