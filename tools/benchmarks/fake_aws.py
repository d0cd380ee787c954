"""A fake AWS for functions in processes of their own: by HTTP it gives secrets, and answers everything else at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, get_args

from after_hours.foundation import settings

from tools.local import postgres

JWT_SECRET = "a key of benchmarks that signs tokens"  # noqa: S105 (of benchmarks alone)
LOCATION_KEY = "a key of benchmarks that moves places"

_R2 = {"endpointUrl": "https://r2.example", "bucket": "b", "accessKeyId": "a", "secretAccessKey": "b"}


def secrets(database: postgres.Database) -> dict[str, Any]:
    """Return the functions' secrets by their ARNs, which are the names of the settings that hold them."""
    return {
        "DATABASE_SECRET_ARN": database.secret,
        "JWT_SECRET_ARN": {"jwtSecret": JWT_SECRET},
        "LOCATION_SECRET_ARN": {"locationKey": LOCATION_KEY},
        "R2_SECRET_ARN": _R2,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, database: postgres.Database) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets = secrets(database)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers.get("x-amz-target", "")
        answer: object = {}
        if operation == "secretsmanager.GetSecretValue":
            answer = {"SecretString": json.dumps(self.server.secrets[asked["SecretId"]])}
        elif operation == "AWSEvents.PutEvents":
            answer = {"Entries": [{"EventId": "1"}] * len(asked["Entries"])}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def environment(database: postgres.Database) -> Iterator[dict[str, str]]:
    """Run the fake AWS while the block runs. Yields the environment of a function that uses it and this database."""
    server = _Server(database)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield {
            **{name: name for name in get_args(settings.Setting.__value__)},
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        }
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
