"""Start and end the whole system on this machine."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tools.local import aws, deployment, hot_reload, logs, members, postgres, samples, welcome
from tools.local.page import process as page
from tools.local.ports import Ports
from tools.local.postgres import Database
from tools.local.processes import Processes, interruptions_ignored
from tools.local.progress import Progress, clock
from tools.local.stack import Stack, User
from tools.local.workspace import Phase, Workspace


@contextmanager
def running_system(workspace: Workspace, ports: Ports, progress: Progress) -> Iterator[Stack]:
    """Bring up a whole system in this workspace, and end all of it when the block ends or fails.

    Raises CommandError when one is running there already or when this one cannot start.
    """
    with workspace.occupied():
        workspace.note(Phase.STARTING)
        processes = Processes(workspace)
        if leftovers := processes.end_all():
            progress(f"ended what an earlier run left behind: {', '.join(leftovers)}")
        ports.require_free()
        try:
            stack = _bring_up(workspace, ports, processes, progress)
            workspace.note(Phase.READY)
            page.start(stack.page_url, workspace, processes)
            yield stack
        finally:
            with interruptions_ignored():
                progress("stopping…")
                workspace.note(Phase.STOPPING)
                workspace.stack_file.unlink(missing_ok=True)
                processes.end_all()
                workspace.empty(workspace.temporary)
                progress("stopped")


def _bring_up(workspace: Workspace, ports: Ports, processes: Processes, progress: Progress) -> Stack:
    workspace.stack_file.unlink(missing_ok=True)
    workspace.empty(workspace.temporary, workspace.logs)

    progress("starting PostgreSQL and seeding its members…")
    database = postgres.start(workspace, processes, port=ports.postgres)
    with closing(database.connect()) as connection:
        members.create_host_tables(connection)
        members.save(connection, *members.SEEDED.values(), members.SAMPLE)
        members.forget_photos(connection)

    progress("starting the local AWS…")
    endpoint_url = aws.start(workspace, processes, ports.api)
    access = aws.access(endpoint_url)
    options = {
        "stage": "local",
        "databaseSecretArn": deployment.put_database_secret(access, "after-hours-database-owner", database),
        "appDatabaseSecretArn": deployment.put_database_secret(
            access, "after-hours-database", postgres.serving(database)
        ),
    }
    outputs = deployment.deploy(workspace, processes, endpoint_url, options, progress)
    stack = _complete(workspace, ports, endpoint_url, database, outputs)
    stack.save(workspace)
    welcome.write_exports(stack, workspace)
    samples.write(workspace.events, stack.token(members.SAMPLE.id))
    return stack


def _complete(
    workspace: Workspace, ports: Ports, endpoint_url: str, database: Database, outputs: dict[str, str]
) -> Stack:
    """Do what ops do after a first deployment, and describe the result."""
    access = aws.access(endpoint_url)
    r2 = deployment.create_r2_bucket(access)
    # Kept from one run to the next, so that a token that somebody has saved keeps working.
    jwt_secret = workspace.kept_secret("jwt-secret")
    deployment.complete_secrets(access, outputs, jwt_secret, r2)
    return Stack(
        api_url=f"{endpoint_url}/_aws/execute-api/{outputs['ApiId']}/api/after-hours",
        aws_endpoint_url=endpoint_url,
        database_url=database.url,
        jwt_secret=jwt_secret,
        upload_bucket=outputs["UploadBucket"],
        r2_bucket=r2["bucket"],
        r2_endpoint_url=r2["endpointUrl"],
        schedule_group=outputs["ScheduleGroup"],
        event_bus=outputs["EventBus"],
        photo_dead_letters_url=outputs["PhotoDeadLettersUrl"],
        functions=deployment.functions(access, outputs["FunctionNamePrefix"]),
        page_url=f"http://127.0.0.1:{ports.page}",
        users={
            name: User(id=member.id, token=members.token(member.id, jwt_secret))
            for name, member in members.SEEDED.items()
        },
    )


def run(workspace: Workspace, port: int) -> None:
    """`make run [PORT=4566]`: the whole system, until Ctrl-C. The API has this port; the next two are taken, too."""
    progress = clock()
    with suppress(KeyboardInterrupt), running_system(workspace, Ports.from_first(port), progress) as stack:
        progress("ready")
        print(f"\n{welcome.text(stack, workspace)}\n", flush=True)
        with hot_reload.watching(stack, progress), logs.requests_shown(stack):
            Processes(workspace).watch("postgresql", "ministack", "page")
