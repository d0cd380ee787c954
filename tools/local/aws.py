"""MiniStack, a local AWS from PyPI, on a loopback port; the settings of this machine's own AWS account are hidden."""

import os
import signal
from typing import TypedDict

from tools.local.processes import Processes, answers
from tools.local.workspace import NODE_FOLDER, REPOSITORY, Workspace

REGION = "us-east-1"
ACCOUNT = "000000000000"
_PYTHON = REPOSITORY / ".local" / "ministack" / "bin" / "python"
COMMAND_LINE = _PYTHON.with_name("aws")
_MINISTACK = REPOSITORY / "tools" / "local" / "ministack.py"


class Access(TypedDict):
    """The keyword arguments that point a boto3 client at the local AWS."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


def access(endpoint_url: str) -> Access:
    return {
        "endpoint_url": endpoint_url,
        "region_name": REGION,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


def keep_to_this_machine() -> None:
    """Hide this machine's AWS settings from this process and its children, and keep calls to it from any HTTP proxy.

    So no mistake can reach a real account.
    """
    for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_"))]:
        del os.environ[name]
    already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    hosts = ",".join(filter(None, ["127.0.0.1,localhost", already]))
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY=hosts,
        no_proxy=hosts,  # programs read either spelling
    )


def settings(endpoint_url: str) -> dict[str, str]:
    """Return the variables that point SDKs and tools at the local AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def start(workspace: Workspace, processes: Processes, port: int) -> str:
    """Start MiniStack and wait until it answers. Return its URL."""
    url = f"http://127.0.0.1:{port}"
    processes.start_server(
        "ministack",
        [_PYTHON, "-P", _MINISTACK],
        environment=_environment(workspace, port),
        is_ready=lambda: answers(f"{url}/_ministack/ready"),
        stop_signal=signal.SIGKILL,  # it holds everything in memory, and would take 12 s to end in order
    )
    return url


def _environment(workspace: Workspace, port: int) -> dict[str, str]:
    """Return the whole environment of MiniStack, which the workers of its functions inherit."""
    return {
        "PATH": os.pathsep.join([str(NODE_FOLDER), os.defpath]),  # the CDK's helper functions run on Node.js
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(workspace.temporary),
        "TMPDIR": str(workspace.temporary),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",  # each call is checked against its caller's rights
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "PYTHONBREAKPOINT": "0",  # an edit with a breakpoint() is deployed, and a debugger there could not be typed to
        # Both would listen on fixed ports, which a second system could not have.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
