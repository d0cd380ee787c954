"""What a newcomer needs to try the running system: lines to paste into a shell, and the variables that they use."""

import json
import sys
from shlex import quote

from tools.local import aws, members
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace, replace_file

# The status goes to the terminal and not into the pipe. No proxy leads to 127.0.0.1.
_CURL = r"curl --noproxy '*' -sS -w '\n%{stderr}HTTP %{http_code}\n'"


def write_exports(stack: Stack, workspace: Workspace) -> None:
    """Write the file that a shell sources: all addresses, and for each member a token that is valid for a month."""
    config = workspace.root / "aws-config"
    # Version 2 of AWS's command line would take a payload for base64.
    config.write_text("[default]\ncli_binary_format = raw-in-base64-out\n")
    # In a folder of its own: beside it are a Python and more, which must not hide the shell's.
    programs = workspace.root / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "aws").unlink(missing_ok=True)
    (programs / "aws").symlink_to(aws.COMMAND_LINE)
    function, deployed = next(iter(stack.functions.items()))
    variables = {
        "API": stack.api_url,
        "TOKEN": stack.users["entitled"].token,
        **{f"TOKEN_{_shell_name(name)}": user.token for name, user in stack.users.items()},
        "TOKEN_SAMPLE": stack.token(members.SAMPLE.id),
        "FUNCTION_PREFIX": deployed.removesuffix(function),
        "DATABASE_URL": stack.database_url,
        "AWS_CONFIG_FILE": str(config),
        **aws.settings(stack.aws_endpoint_url),
    }
    lines = [
        "# Written by `make run`. For a shell: source it.",
        *(f"export {name}={quote(value)}" for name, value in variables.items()),
        "unset AWS_PROFILE AWS_SESSION_TOKEN",
        f'export PATH={quote(str(programs))}:"$PATH"',
        'export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"',
        'export no_proxy="$NO_PROXY"',
    ]
    replace_file(workspace.exports, "\n".join(lines) + "\n")


def _calls() -> dict[str, str]:
    """Return the shell lines of the welcome text by what they do, to be pasted in this order.

    They work as they stand, in the repository's folder, in a shell that has sourced the exports.
    """
    camera = f"{quote(sys.executable)} -m tools.local.photo"
    position = {"latitude": 40.7411, "longitude": -73.9897}
    return {
        "Make an After Hours profile": _curl("POST", "/profile", {"description": "Here until the last train"}),
        "Send a photo straight to S3, as a phone does": f"{_curl('POST', '/profile/photo')} | {camera} send",
        "See what became of it": f"until {_curl('GET', '/profile/photo')} | {camera} look; do sleep 1; done",
        "Say whom to show": _curl("POST", "/preferences", {"maxDistanceKm": 5}),
        "Go live for 15 minutes": _curl("POST", "/session/start", {"duration": 15, **position}),
        "See the live session": _curl("GET", "/session"),
        "Stay a quarter of an hour longer": _curl("POST", "/session/extend", {"additionalMinutes": 15}),
        "End it": _curl("POST", "/session/end"),
        "Leave, and leave nothing behind": _curl("DELETE", "/profile"),
    }


def _curl(method: str, path: str, body: dict[str, object] | None = None) -> str:
    line = f'{_CURL} -X {method} "$API{path}" -H "Authorization: Bearer $TOKEN"'
    return line if body is None else f"{line} -H 'Content-Type: application/json' -d {quote(json.dumps(body))}"


def text(stack: Stack, workspace: Workspace) -> str:
    exports = workspace.exports.relative_to(REPOSITORY, walk_up=True)
    return "\n\n".join(
        [
            f"Play it all in a browser: {stack.page_url}",
            f"After Hours is running at {stack.api_url} until Ctrl-C",
            "Paste these one after the other, in a new terminal:",
            f"cd {quote(str(REPOSITORY))} && . {quote(str(exports))}",
            *(f"# {title}\n{line}" for title, line in _calls().items()),
            "There, too: make demo (the whole story), make events-run (all sample events), make stop, make help",
            f"All tokens: {exports} · all addresses: {workspace.stack_file} · logs: {workspace.logs}",
        ]
    )


def _shell_name(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)
