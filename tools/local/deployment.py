"""Deploy the CDK app to the local AWS with the real `cdk`, exactly as ops deploy it to the real AWS."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from infra import build
from infra.stages import STAGES
from tools.local import aws
from tools.local.processes import Process, Processes
from tools.local.progress import Progress
from tools.local.workspace import NODE_FOLDER, REPOSITORY, Workspace

_CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
_UNATTENDED = ("--require-approval", "never", "--method", "direct", "--progress", "events")
# MiniStack takes the id of the API, which is a part of its address, from this tag.
_SAME_ADDRESS = ("--tags", "ms-custom-id=after-hours")


def deploy(
    workspace: Workspace, processes: Processes, endpoint_url: str, options: Mapping[str, str], progress: Progress
) -> dict[str, str]:
    """Bootstrap, synthesize with these context options and deploy. Return the stack's outputs.

    Raises CommandError with what `cdk` said when a step fails.
    """
    environment = {
        **os.environ,
        **aws.settings(endpoint_url),
        "PATH": os.pathsep.join([str(NODE_FOLDER), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "CDK_HOME": str(workspace.root / "cdk-home"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "true",
        "CDK_VALIDATION": "false",  # takes a third of the synthesis; the templates that ops deploy are validated
    }
    name, assembly, outputs = STAGES["local"].stack_name, workspace.root / "cdk.out", workspace.root / "outputs.json"

    def cdk(command: str, *arguments: str | Path, folder: Path = REPOSITORY) -> Process:
        line = [_CDK, command, "--no-notices", "--no-color", "--ci", *arguments]
        # An interrupted `cdk` has nothing to save: builds appear whole or not at all, and the local AWS ends as well.
        return processes.start(
            f"cdk-{command}", line, environment=environment, folder=folder, stop_signal=signal.SIGKILL
        )

    progress("building and synthesizing the CDK app, and bootstrapping the local AWS…")
    # They run side by side, because neither needs the other, and bootstrapping is mostly waiting.
    context = [word for option, value in options.items() for word in ("-c", f"{option}={value}")]
    synth = cdk("synth", "--quiet", "--output", assembly, *context)
    # Run in a folder without cdk.json: there, bootstrapping does not synthesize the app to look for environments in it.
    bootstrap = cdk("bootstrap", f"aws://{aws.ACCOUNT}/{aws.REGION}", folder=workspace.root)
    processes.finish("cdk-synth", synth, _steps(progress, build.ANNOUNCEMENT))
    processes.finish("cdk-bootstrap", bootstrap)

    progress("publishing what was built, and deploying…")
    deployment = cdk("deploy", name, "--app", assembly, *_UNATTENDED, *_SAME_ADDRESS, "--outputs-file", outputs)
    processes.finish("cdk-deploy", deployment, _steps(progress, f"{name}: creating"))
    result: dict[str, str] = json.loads(outputs.read_text())[name]
    return result


def _steps(progress: Progress, beginning: str) -> Callable[[str], None]:
    """Report a command's lines with this beginning: a command that says nothing for a minute seems to hang."""
    return lambda line: progress(f"  {line.rstrip('.')}…") if line.startswith(beginning) else None
