"""The AWS on the far side of a function in a process of its own: it gives secrets and takes everything, by HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, get_args

from after_hours import config

from local import postgres

JWT_SECRET = "j" * 32

# The names of the settings are the ARNs of the secrets.
_SECRETS: dict[str, Any] = {
    "JWT_SECRET_ARN": {"jwtSecret": JWT_SECRET},
    "LOCATION_SECRET_ARN": {"locationKey": "l" * 32},
    "R2_SECRET_ARN": {"endpointUrl": "https://r2.example", "bucket": "b", "accessKeyId": "a", "secretAccessKey": "b"},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers.get("x-amz-target", "")
        answer: object = {}
        if operation == "secretsmanager.GetSecretValue":
            answer = {"SecretString": json.dumps(_SECRETS[asked["SecretId"]])}
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
    """Stand for AWS meanwhile. Yields the environment of a function that uses it and this database."""
    _SECRETS["DATABASE_SECRET_ARN"] = database.secret
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield {
            **{name: name for name in get_args(config.Setting.__value__)},
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        }
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
