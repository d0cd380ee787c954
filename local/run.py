"""`make run`: the whole system on this machine, until Ctrl-C."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote

from local import aws, deployment, members, postgres
from local.processes import Processes, end_on_any_interruption, interruptions_held_back
from local.progress import Progress, clock
from local.stack import Stack, User
from local.workspace import REPOSITORY, CommandError, Workspace, command_line


@contextmanager
def running_system(workspace: Workspace, progress: Progress) -> Iterator[Stack]:
    """Bring up a whole system in this workspace, and end all of it on the way out, however that is.

    Raises CommandError when one is running there already or when this one cannot start.
    """
    with workspace.occupied():
        processes = Processes(workspace)
        if leftovers := processes.end_all():
            progress(f"ended what an earlier run left behind: {', '.join(leftovers)}")
        try:
            yield _bring_up(workspace, processes, progress)
        finally:
            with interruptions_held_back():
                progress("stopping…")
                workspace.stack_file.unlink(missing_ok=True)
                processes.end_all()
                workspace.empty(workspace.temporary)
                progress("stopped")


def _bring_up(workspace: Workspace, processes: Processes, progress: Progress) -> Stack:
    workspace.stack_file.unlink(missing_ok=True)
    workspace.empty(workspace.temporary, workspace.logs)

    progress("starting PostgreSQL and seeding its members…")
    database = postgres.start(workspace, processes)
    with closing(database.connect()) as connection:
        members.create_host_tables(connection)
        members.save(connection, *members.SEEDED.values())
        members.forget_photos(connection)

    progress("starting the local AWS…")
    endpoint_url = aws.start(workspace, processes)
    access = aws.access(endpoint_url)
    options = {
        "stage": "local",
        "databaseSecretArn": deployment.put_database_secret(access, "after-hours-database-owner", database),
        "appDatabaseSecretArn": deployment.put_database_secret(
            access, "after-hours-database", postgres.serving(database)
        ),
    }
    outputs = deployment.deploy(workspace, processes, endpoint_url, options, progress)
    r2 = deployment.create_r2_bucket(access)
    jwt_secret = deployment.complete_secrets(access, outputs, r2)
    stack = Stack(
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
        users={
            name: User(id=member.id, token=members.token(member.id, jwt_secret))
            for name, member in members.SEEDED.items()
        },
    )
    stack.save(workspace)
    return stack


def calls(stack: Stack, photo: Path) -> dict[str, str]:
    """What `welcome_text` offers to paste: shell lines by what they do, each making sense after the one before.

    They work as they stand, in the repository's folder. `photo` is the file that the member's photo is made in.
    """
    camera, file = f"{sys.executable} -m local.photo", quote(str(photo))
    see_photo = f"{_curl(stack, 'GET', '/profile/photo')} | {camera} look"
    place = {"latitude": 40.7411, "longitude": -73.9897}
    return {
        "Make an After Hours profile": _curl(stack, "POST", "/profile", {"description": "Here until the last train"}),
        "Take a photo as a phone does: lying on its side, and with the place in it": f"{camera} take {file}",
        "Send it straight to S3": f"{_curl(stack, 'POST', '/profile/photo')} | {camera} form {file} | curl -sS -K -",
        "See what became of it": f"until {see_photo}; do sleep 1; done",
        "Say whom to show": _curl(stack, "POST", "/preferences", {"maxDistanceKm": 5}),
        "Go live for 15 minutes": _curl(stack, "POST", "/session/start", {"duration": 15, **place}),
        "See the live session": _curl(stack, "GET", "/session"),
        "Stay a quarter of an hour longer": _curl(stack, "POST", "/session/extend", {"additionalMinutes": 15}),
        "End it": _curl(stack, "POST", "/session/end"),
        "Leave, and leave nothing behind": _curl(stack, "DELETE", "/profile"),
    }


def _curl(stack: Stack, method: str, path: str, body: dict[str, object] | None = None) -> str:
    words = ["curl", "-sS", "-w", r"\n", "-X", method, stack.api_url + path]
    words += ["-H", f"Authorization: Bearer {stack.users['entitled'].token}"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return " ".join(quote(word) for word in words)


def welcome_text(stack: Stack, workspace: Workspace) -> str:
    """What a newcomer needs to play with the running system."""
    exports = [f"export API={quote(stack.api_url)}"] + [
        f"export TOKEN_{_shell_name(name)}={quote(user.token)}" for name, user in stack.users.items()
    ]
    return "\n\n".join(
        [
            f"After Hours is running at {stack.api_url}",
            "Members and where to reach them, for your shell:\n\n" + "\n".join(exports),
            f"Paste these one after the other, in {REPOSITORY}:",
            *(f"# {title}\n{line}" for title, line in calls(stack, workspace.photo).items()),
            "In another terminal: make demo (the whole story), make invoke FUNCTION=start_session (a sample event)",
            "All addresses: .local/stack.json · logs: .local/logs · Ctrl-C stops everything",
        ]
    )


def _shell_name(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)


def main() -> int:
    workspace = command_line(__doc__).parse_args().workspace
    end_on_any_interruption()
    aws.forget_own_account()
    progress = clock()
    try:
        with running_system(workspace, progress) as stack:
            progress("ready")
            print(f"\n{welcome_text(stack, workspace)}\n", flush=True)
            processes = Processes(workspace)
            processes.watch()
    except KeyboardInterrupt:
        return 0
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
