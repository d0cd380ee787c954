"""The system under the soak: a local stack of its own, its functions behind the proxy, its database audited."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any

import boto3
from botocore.config import Config

from tools.local import bus
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.progress import Progress
from tools.local.run import running_system
from tools.local.stack import Stack
from tools.local.workspace import Workspace
from tools.soak.clock import Clock, wrong_clock
from tools.soak.database import RetryingDatabase, Server
from tools.soak.proxy import Proxy
from tools.soak.workers import Workers

_AUDIT = Path(__file__).with_name("audit.sql")
_QUEUE = "soak"
_ALL = 1_000_000
_MOST_CALLS = 20  # of members at once; more than there ever are
_SECRET = re.compile(r"[\w-]{24,}")
# No retries: the soak itself decides when an event is delivered twice.
_ONCE = Config(read_timeout=90, retries={"total_max_attempts": 1}, max_pool_connections=20)


class Gate:
    """Calls of members share it. A leap of time holds it alone: it waits for calls under way, and new calls for it."""

    def __init__(self) -> None:
        self._door = Lock()  # without it, new calls would pass a leap that waits
        self._calls = Semaphore(_MOST_CALLS)

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._door:
            self._calls.acquire()
        try:
            yield
        finally:
            self._calls.release()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._door:
            for _ in range(_MOST_CALLS):
                self._calls.acquire()
            try:
                yield
            finally:
                self._calls.release(_MOST_CALLS)


@dataclass
class System:
    """Everything that the soak acts on: `stack` as callers see it, and the processes and services below it."""

    workspace: Workspace
    stack: Stack
    proxy: Proxy
    database: RetryingDatabase
    server: Server
    workers: Workers
    clock: Clock
    gate: Gate = field(default_factory=Gate)
    heard: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    longest_sweep_seconds: float = 0
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def client(self, service: str) -> Any:  # noqa: ANN401 (as boto3)
        """Return a client of the local AWS that does not go through the proxy."""
        with self._lock:  # boto3 cannot create two clients at once
            if service not in self._clients:
                self._clients[service] = boto3.client(service, config=_ONCE, **self.stack.aws)
            return self._clients[service]

    def invoke(self, function: str, event: object) -> Any:  # noqa: ANN401 (JSON)
        """Run a function to its end. Return its result, or None when it failed."""
        answer = self.client("lambda").invoke(
            FunctionName=self.stack.functions[function], Payload=json.dumps(event).encode()
        )
        result = json.load(answer["Payload"])
        return None if "FunctionError" in answer else result

    def sweep(self) -> None:
        """Run a sweep to its end, and note how long it took."""
        began = time.monotonic()
        self.invoke("sweep", {})
        self.longest_sweep_seconds = max(self.longest_sweep_seconds, time.monotonic() - began)

    def listen(self) -> None:
        """Take what the bus has delivered. To be called by one thread."""
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=_QUEUE)["QueueUrl"]
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                event = json.loads(message["Body"])
                self.heard[event["detail"]["eventId"]] = (event["detail-type"], event["detail"])
            sqs.delete_message_batch(
                QueueUrl=queue,
                Entries=[{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages],
            )

    def secrets(self) -> set[str]:
        """Return the secret values in Secrets Manager: those too long to be guessed."""
        client = self.client("secretsmanager")
        texts = [
            client.get_secret_value(SecretId=secret["ARN"])["SecretString"]
            for secret in client.list_secrets()["SecretList"]
        ]
        values = {value for text in texts for value in json.loads(text).values()}
        return {value for value in values if isinstance(value, str) and _SECRET.fullmatch(value)}

    def schedules(self) -> set[str]:
        """Return the names of all schedules, in one page: MiniStack has no further ones."""
        listed = self.client("scheduler").list_schedules(GroupName=self.stack.schedule_group, MaxResults=_ALL)
        return {schedule["Name"] for schedule in listed["Schedules"]}

    def objects(self, bucket: str) -> set[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", ())}


@contextmanager
def soaking_system(workspace: Workspace, progress: Progress, *, clock_off_seconds: int = 0) -> Iterator[System]:
    """Start the stack on an empty database, and put the proxy between its functions and the local AWS."""
    processes = Processes(workspace)
    with workspace.occupied():
        processes.end_all()
        shutil.rmtree(workspace.postgres, ignore_errors=True)
    with running_system(workspace, Ports.free(), progress) as stack:
        clock = Clock()
        workers = Workers(processes, workspace.temporary)
        with Proxy(stack.aws_endpoint_url, kill=workers.kill_at_port, now=clock.now) as proxy:
            database = RetryingDatabase(stack.database_url)
            system = System(workspace, stack, proxy, database, Server(processes, database), workers, clock)
            progress("pointing the functions at the proxy, and adding the audit to the database…")
            _point_functions_at_proxy(system, wrong_clock(workspace.root, clock_off_seconds))
            bus.subscribe(system.client, stack.event_bus, _QUEUE)
            database.run(_AUDIT.read_text())
            yield system


def _point_functions_at_proxy(system: System, environment: dict[str, str]) -> None:
    """Set AWS_ENDPOINT_URL of the functions to the proxy, and R2's address in the secret to the proxy's port for R2."""
    client = system.client("lambda")
    for name in system.stack.functions.values():
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=name,
            Environment={"Variables": variables | {"AWS_ENDPOINT_URL": system.proxy.url} | environment},
        )
    secrets = system.client("secretsmanager")
    for secret in secrets.list_secrets()["SecretList"]:
        text = secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        if system.stack.r2_endpoint_url in text:
            changed = text.replace(system.stack.r2_endpoint_url, system.proxy.r2_url)
            secrets.put_secret_value(SecretId=secret["ARN"], SecretString=changed)
