"""A fake AWS for processes that call it over HTTP: moto's server."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args
from urllib.request import urlopen

import boto3
from after_hours.foundation import settings
from moto.server import ThreadedMotoServer

from tools.local import postgres

JWT_SECRET = "a key of benchmarks that signs tokens"  # noqa: S105 (of benchmarks alone)
LOCATION_KEY = "a key of benchmarks that moves places"


@contextmanager
def environment(database: postgres.Database) -> Iterator[dict[str, str]]:
    """Run moto's AWS while the block runs. Yields the environment of a function that uses it and this database.

    The value of each setting is its own name, so the names of the settings are those of the secrets, too.
    """
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each call
    host, port = server.get_host_and_port()
    urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()  # moto still has the secrets of an earlier part
    access: Any = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "endpoint_url": f"http://{host}:{port}"}
    client = {name: boto3.client(name, "eu-west-1", **access) for name in ("secretsmanager", "scheduler", "events")}
    r2 = {"endpointUrl": access["endpoint_url"], "bucket": "b", "accessKeyId": "a", "secretAccessKey": "b"}
    for name, secret in (
        ("DATABASE_SECRET_ARN", database.secret),
        ("JWT_SECRET_ARN", {"jwtSecret": JWT_SECRET}),
        ("LOCATION_SECRET_ARN", {"locationKey": LOCATION_KEY}),
        ("R2_SECRET_ARN", r2),
    ):
        client["secretsmanager"].create_secret(Name=name, SecretString=json.dumps(secret))
    client["scheduler"].create_schedule_group(Name="SCHEDULE_GROUP")
    client["events"].create_event_bus(Name="EVENT_BUS")
    try:
        yield {
            **{name: name for name in get_args(settings.Setting.__value__)},
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": access["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": access["aws_secret_access_key"],
            "AWS_ENDPOINT_URL": access["endpoint_url"],
        }
    finally:
        server.stop()
