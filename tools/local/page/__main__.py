"""`make page`: serve the page for the system that runs here, until Ctrl-C. `make run` does so by itself."""

import socket
import sys

import uvicorn

from tools.local import aws
from tools.local.arguments import number
from tools.local.page.server import application
from tools.local.stack import Stack
from tools.local.workspace import CommandError, command_line, shows_errors

_PORT = 8765
_GRACE_SECONDS = 1  # browsers keep the stream of events open, and would delay the end


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument(
        "--port", type=number(int, 0, 65535), default=_PORT, help=f"where to listen on 127.0.0.1 ({_PORT})"
    )
    arguments = parser.parse_args()
    aws.keep_to_this_machine()
    stack = Stack.load(arguments.workspace)
    listening = _listen(arguments.port)
    port = listening.getsockname()[1]
    print(f"The page is at http://127.0.0.1:{port}", flush=True)
    settings = uvicorn.Config(
        application(stack, port),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(settings).run(sockets=[listening])
    return 0


def _listen(port: int) -> socket.socket:
    """Return a socket that listens on the loopback interface alone. Raises CommandError when the port is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise CommandError(f"Port {port} is taken. Name another one: --port 0 finds one.") from error


if __name__ == "__main__":
    sys.exit(main())
