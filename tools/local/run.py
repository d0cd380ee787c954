"""`make run [PORT=4566]`: the whole system on this machine, until Ctrl-C."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tools.local import aws, deployment, hot_reload, logs, members, postgres, samples, welcome
from tools.local.arguments import number
from tools.local.page import process as page
from tools.local.ports import DEFAULT, HIGHEST_FIRST, LOWEST_FIRST, Ports
from tools.local.postgres import Database
from tools.local.processes import Processes, end_on_any_interruption, interruptions_ignored
from tools.local.progress import Progress, clock
from tools.local.stack import Stack, User
from tools.local.workspace import Phase, Workspace, command_line, shows_errors


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


@contextmanager
def services(stack: Stack, progress: Progress) -> Iterator[None]:
    """Run what developers want beside the system, until the block ends: edits take effect, and requests are shown."""
    with ExitStack() as running:
        running.enter_context(hot_reload.watching(stack, progress))
        running.enter_context(logs.requests_shown(stack))
        yield


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument(
        "--port",
        type=number(int, LOWEST_FIRST, HIGHEST_FIRST),
        default=DEFAULT,
        help="the port of the API; the next two are taken, too",
    )
    arguments = parser.parse_args()
    workspace = arguments.workspace
    end_on_any_interruption()
    aws.keep_to_this_machine()
    progress = clock()
    try:
        with running_system(workspace, Ports.from_first(arguments.port), progress) as stack:
            progress("ready")
            print(f"\n{welcome.text(stack, workspace)}\n", flush=True)
            with services(stack, progress):
                Processes(workspace).watch("postgresql", "ministack", "page")
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
