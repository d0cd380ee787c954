"""A fake AWS for processes that call it over HTTP: moto's server."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import get_args

import boto3
from after_hours.foundation import settings
from moto.server import ThreadedMotoServer

from tools.local import aws, calls, postgres

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
    url = "http://{}:{}".format(*server.get_host_and_port())
    calls.request("POST", f"{url}/moto-api/reset")  # moto still has the secrets of an earlier part
    access = aws.access(url)
    client = partial(boto3.client, **access)
    for name, secret in (
        ("DATABASE_SECRET_ARN", database.secret),
        ("JWT_SECRET_ARN", {"jwtSecret": JWT_SECRET}),
        ("LOCATION_SECRET_ARN", {"locationKey": LOCATION_KEY}),
        ("R2_SECRET_ARN", {"endpointUrl": url, "bucket": "b", "accessKeyId": "a", "secretAccessKey": "b"}),
    ):
        client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(secret))
    client("scheduler").create_schedule_group(Name="SCHEDULE_GROUP")
    client("events").create_event_bus(Name="EVENT_BUS")
    try:
        yield {
            **{name: name for name in get_args(settings.Setting.__value__)},
            "AWS_DEFAULT_REGION": access["region_name"],
            "AWS_ACCESS_KEY_ID": access["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": access["aws_secret_access_key"],
            "AWS_ENDPOINT_URL": url,
        }
    finally:
        server.stop()
