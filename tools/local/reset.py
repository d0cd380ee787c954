"""`make reset`: forget all that members did, and make the members of the local system anew, whether it runs or not."""

import shutil
import sys
from contextlib import closing

from tools.local import aws, members
from tools.local.stack import Stack
from tools.local.workspace import Workspace, command_line, shows_errors


def reset(workspace: Workspace) -> str:
    """Begin with an empty After Hours. Return a sentence that says what was done.

    Raises CommandError while the system starts or stops.
    """
    if workspace.holder() is None:
        with workspace.occupied():
            shutil.rmtree(workspace.postgres, ignore_errors=True)
        return "The database is gone; the next `make run` makes a new one."
    with closing(Stack.load(workspace).connect()) as connection:
        members.begin_anew(connection)
    return "All members are as after a first start. The sweep deletes what is left of their photos within a minute."


@shows_errors
def main() -> int:
    workspace = command_line(__doc__).parse_args().workspace
    aws.keep_to_this_machine()
    print(reset(workspace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
