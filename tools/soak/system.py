"""The system under the soak: a local stack of its own, its functions behind the proxy, its database audited."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import boto3
import psutil
from botocore.config import Config

from tools.local import bus, postgres
from tools.local.ports import Ports
from tools.local.processes import Processes
from tools.local.progress import Progress
from tools.local.run import running_system
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace
from tools.ops.redrive import redrive
from tools.soak.clock import Clock, wrong_clock
from tools.soak.database import RetryingDatabase
from tools.soak.proxy import Proxy, Service

QUEUE = "soak"
_AUDIT = Path(__file__).with_name("audit.sql")
_ALL = 1_000_000
# Where the functions find a service. R2's address is in its secret.
_VARIABLES = {
    Service.SCHEDULER: "AWS_ENDPOINT_URL_SCHEDULER",
    Service.BUS: "AWS_ENDPOINT_URL_EVENTBRIDGE",
    Service.S3: "AWS_ENDPOINT_URL_S3",
    Service.SECRETS: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
}
_SERVICES = ("events", "lambda", "logs", "s3", "scheduler", "secretsmanager", "sqs")
# No retries: the soak itself decides when an event is delivered twice.
_ONCE = Config(read_timeout=90, retries={"total_max_attempts": 1}, max_pool_connections=20)


@dataclass
class System:
    """Everything that the soak acts on: `stack` as callers see it, and the processes and services below it.

    `clients` are those of the local AWS, and not of the proxy.
    """

    workspace: Workspace
    stack: Stack
    proxy: Proxy
    database: RetryingDatabase
    processes: Processes
    clients: dict[str, Any]
    clock: Clock = field(default_factory=Clock)

    def invoke(self, function: str, event: object) -> None:
        """Run a function to its end, also one that fails."""
        self.clients["lambda"].invoke(FunctionName=self.stack.functions[function], Payload=json.dumps(event).encode())

    def sweep(self) -> None:
        """Run a sweep to its end, and note how long it took."""
        began = time.monotonic()
        self.invoke("sweep", {})
        self.database.run("INSERT INTO soak.sweeps VALUES (%s)", (time.monotonic() - began,))

    def redrive(self) -> None:
        """Send events of photos that failed too often to their function again, as `make redrive` does."""
        redrive(self.stack.photo_dead_letters_url, self.clients["sqs"], self.clients["lambda"])

    def signal_postgres(self, number: signal.Signals) -> None:
        """Send a signal to every process of PostgreSQL. SIGKILL ends them at once, as a loss of power does."""
        with suppress(psutil.NoSuchProcess, CommandError):
            postmaster = self.processes.running("postgresql")
            for process in [postmaster, *postmaster.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def restart_postgres(self) -> None:
        """Start PostgreSQL again on its port with its data. Raises CommandError when it does not answer."""
        postgres.start(self.workspace, self.processes, port=urlsplit(self.stack.database_url).port)

    def kill_worker(self, random: Random) -> None:
        """Kill one of the processes that run functions, if there is one."""
        if workers := self._workers():
            with suppress(psutil.NoSuchProcess):
                random.choice(workers).kill()

    def kill_worker_at(self, port: int) -> bool:
        """Kill the worker that has a connection from this port. Return whether there was one."""
        for process in self._workers():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(each.laddr and each.laddr.port == port for each in process.net_connections("tcp")):
                    process.kill()
                    return True
        return False

    def _workers(self) -> list[psutil.Process]:
        """Return the processes that MiniStack runs functions in. No other process of this machine is killed."""
        found = []
        for process in self.processes.running("ministack").children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(str(self.workspace.temporary) in word for word in process.cmdline()):
                    found.append(process)
        return found

    def schedules(self) -> set[str]:
        """Return the names of all schedules, in one page: MiniStack has no further ones."""
        listed = self.clients["scheduler"].list_schedules(GroupName=self.stack.schedule_group, MaxResults=_ALL)
        return {schedule["Name"] for schedule in listed["Schedules"]}


@contextmanager
def soaking_system(workspace: Workspace, progress: Progress, *, clock_off_seconds: int = 0) -> Iterator[System]:
    """Start the stack on an empty database, and put the proxy between its functions and the local AWS."""
    processes = Processes(workspace)
    with workspace.occupied():
        processes.end_all()
        shutil.rmtree(workspace.postgres, ignore_errors=True)
    with running_system(workspace, Ports.free(), progress) as stack:
        proxy = Proxy(stack.aws_endpoint_url, kill=lambda port: system.kill_worker_at(port))  # noqa: PLW0108 (made below)
        clients = {name: boto3.client(name, config=_ONCE, **stack.aws) for name in _SERVICES}
        system = System(workspace, stack, proxy, RetryingDatabase(stack.database_url), processes, clients)
        with proxy.serving():
            progress("pointing the functions at the proxy, and adding the audit to the database…")
            _point_functions_at_proxy(system, wrong_clock(workspace.root, clock_off_seconds))
            bus.subscribe(clients.__getitem__, stack.event_bus, QUEUE)
            system.database.run(_AUDIT.read_text())
            yield system


def _point_functions_at_proxy(system: System, environment: dict[str, str]) -> None:
    """Let the functions call AWS and R2 by the proxy."""
    client, secrets, urls = system.clients["lambda"], system.clients["secretsmanager"], system.proxy.urls
    environment = environment | {variable: urls[service] for service, variable in _VARIABLES.items()}
    for name in system.stack.functions.values():
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | environment})
    for secret in secrets.list_secrets()["SecretList"]:
        text = secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        if system.stack.r2_endpoint_url in text:
            changed = text.replace(system.stack.r2_endpoint_url, urls[Service.R2])
            secrets.put_secret_value(SecretId=secret["ARN"], SecretString=changed)
