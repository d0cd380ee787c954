"""Start and end the whole system on this machine."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import boto3

from infra.options import FUNCTIONS
from tools.local import aws, deployment, hot_reload, logs, members, page, postgres, samples, welcome
from tools.local.ports import Ports
from tools.local.postgres import Database
from tools.local.processes import Processes, interruptions_ignored
from tools.local.progress import Progress, clock
from tools.local.stack import Stack, User
from tools.local.workspace import Workspace


@contextmanager
def running_system(workspace: Workspace, ports: Ports, progress: Progress) -> Iterator[Stack]:
    """Bring up a whole system in this workspace, and end all of it when the block ends or fails.

    Raises CommandError when one is running there already or when this one cannot start.
    """
    with workspace.occupied():
        workspace.stack_file.unlink(missing_ok=True)  # of a system that was killed
        processes = Processes(workspace)
        if leftovers := processes.end_all():
            progress(f"ended what an earlier run left behind: {', '.join(leftovers)}")
        ports.require_free()
        try:
            stack = _bring_up(workspace, ports, processes, progress)
            page.start(stack.page_url, workspace, processes)
            yield stack
        finally:
            with interruptions_ignored():
                progress("stopping…")
                workspace.stack_file.unlink(missing_ok=True)
                processes.end_all()
                workspace.empty(workspace.temporary)
                progress("stopped")


def _bring_up(workspace: Workspace, ports: Ports, processes: Processes, progress: Progress) -> Stack:
    workspace.empty(workspace.temporary, workspace.logs)
    progress("starting PostgreSQL and seeding its members…")
    database = postgres.start(workspace, processes, port=ports.postgres)
    with closing(database.connect()) as connection:
        members.create_host_tables(connection)
        members.save(connection, *members.SEEDED.values(), members.SAMPLE)
        members.forget_photos(connection)

    progress("starting the local AWS…")
    endpoint_url = aws.start(workspace, processes, ports.api)
    secrets = boto3.client("secretsmanager", **aws.access(endpoint_url))

    def secret(name: str, of: Database) -> str:
        return str(secrets.create_secret(Name=name, SecretString=json.dumps(of.secret))["ARN"])

    options = {
        "stage": "local",
        "databaseSecretArn": secret("after-hours-database-owner", database),
        "appDatabaseSecretArn": secret("after-hours-database", postgres.serving(database)),
    }
    outputs = deployment.deploy(workspace, processes, endpoint_url, options, progress)
    stack = _described(workspace, ports, endpoint_url, database, outputs)
    _complete(stack, outputs)
    welcome.write_exports(stack, workspace)
    samples.write(workspace.events, stack.token(members.SAMPLE.id))
    stack.save(workspace)  # last, for commands take it as a sign that the system is ready
    return stack


def _described(
    workspace: Workspace, ports: Ports, endpoint_url: str, database: Database, outputs: dict[str, str]
) -> Stack:
    # Kept from one run to the next, so that a saved token keeps working.
    jwt_secret = workspace.kept_secret("jwt-secret")
    return Stack(
        api_url=f"{endpoint_url}/_aws/execute-api/{outputs['ApiId']}/api/after-hours",
        aws_endpoint_url=endpoint_url,
        database_url=database.url,
        jwt_secret=jwt_secret,
        upload_bucket=outputs["UploadBucket"],
        r2_bucket="vlvt-photos",
        r2_endpoint_url=endpoint_url,  # MiniStack stands for Cloudflare R2, which speaks S3, too
        schedule_group=outputs["ScheduleGroup"],
        event_bus=outputs["EventBus"],
        photo_dead_letters_url=outputs["PhotoDeadLettersUrl"],
        functions={name: outputs["FunctionNamePrefix"] + name for name in sorted(FUNCTIONS)},
        page_url=f"http://127.0.0.1:{ports.page}",
        users={
            name: User(id=member.id, token=members.token(member.id, jwt_secret))
            for name, member in members.SEEDED.items()
        },
    )


def _complete(stack: Stack, outputs: dict[str, str]) -> None:
    """Put what only ops know into the secrets of the deployment, as ops do after their first one."""
    boto3.client("s3", **stack.aws).create_bucket(Bucket=stack.r2_bucket)
    r2 = {
        "endpointUrl": stack.r2_endpoint_url,
        "region": stack.aws["region_name"],
        "bucket": stack.r2_bucket,
        "accessKeyId": stack.aws["aws_access_key_id"],
        "secretAccessKey": stack.aws["aws_secret_access_key"],
    }
    secrets = boto3.client("secretsmanager", **stack.aws)
    for output, content in (("JwtSecretArn", {"jwtSecret": stack.jwt_secret}), ("R2SecretArn", r2)):
        secrets.put_secret_value(SecretId=outputs[output], SecretString=json.dumps(content))


def run(workspace: Workspace, port: int) -> None:
    """`make run [PORT=4566]`: the whole system, until Ctrl-C. The API has this port; the next two are taken, too."""
    progress = clock()
    with suppress(KeyboardInterrupt), running_system(workspace, Ports.from_first(port), progress) as stack:
        progress("ready")
        print(f"\n{welcome.text(stack, workspace)}\n", flush=True)
        with hot_reload.watching(stack, progress), logs.requests_shown(stack):
            Processes(workspace).watch("postgresql", "ministack", "page")
