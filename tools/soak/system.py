"""The system under the soak: a local stack of its own, its functions behind the proxy, its database audited."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
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

QUEUE = "soak"
_AUDIT = Path(__file__).with_name("audit.sql")
_ALL = 1_000_000
# No retries: the soak itself decides when an event is delivered twice.
_ONCE = Config(read_timeout=90, retries={"total_max_attempts": 1}, max_pool_connections=20)


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
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def client(self, service: str) -> Any:  # noqa: ANN401 (as boto3)
        """Return a client of the local AWS that does not go through the proxy."""
        with self._lock:  # boto3 cannot create two clients at once
            if service not in self._clients:
                self._clients[service] = boto3.client(service, config=_ONCE, **self.stack.aws)
            return self._clients[service]

    def invoke(self, function: str, event: object) -> None:
        """Run a function to its end, also one that fails."""
        self.client("lambda").invoke(FunctionName=self.stack.functions[function], Payload=json.dumps(event).encode())

    def sweep(self) -> None:
        """Run a sweep to its end, and note how long it took."""
        began = time.monotonic()
        self.invoke("sweep", {})
        self.database.run("INSERT INTO soak.sweeps VALUES (%s)", (time.monotonic() - began,))

    def schedules(self) -> set[str]:
        """Return the names of all schedules, in one page: MiniStack has no further ones."""
        listed = self.client("scheduler").list_schedules(GroupName=self.stack.schedule_group, MaxResults=_ALL)
        return {schedule["Name"] for schedule in listed["Schedules"]}


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
        with Proxy(stack.aws_endpoint_url, stack.r2_bucket, kill=workers.kill_at, now=clock.now) as proxy:
            database = RetryingDatabase(stack.database_url)
            system = System(workspace, stack, proxy, database, Server(processes, database), workers, clock)
            progress("pointing the functions at the proxy, and adding the audit to the database…")
            _point_functions_at_proxy(system, wrong_clock(workspace.root, clock_off_seconds))
            bus.subscribe(system.client, stack.event_bus, QUEUE)
            database.run(_AUDIT.read_text())
            yield system


def _point_functions_at_proxy(system: System, environment: dict[str, str]) -> None:
    """Let the functions call AWS and R2 by the proxy."""
    client, secrets = system.client("lambda"), system.client("secretsmanager")
    for name in system.stack.functions.values():
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=name,
            Environment={"Variables": variables | {"AWS_ENDPOINT_URL": system.proxy.url} | environment},
        )
    for secret in secrets.list_secrets()["SecretList"]:
        text = secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        if system.stack.r2_endpoint_url in text:
            changed = text.replace(system.stack.r2_endpoint_url, system.proxy.url)
            secrets.put_secret_value(SecretId=secret["ARN"], SecretString=changed)
