"""The functions of another release, run as a script in a process that has nothing of this one.

Each line of the input has the name of a function and its event, as JSON. The script calls the function, and writes its
result as a line of JSON with the key `returned`; other lines of the output are the function's log.
"""

import json
import runpy
import sys


class Context:
    function_name = aws_request_id = "previous"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:previous"


if __name__ == "__main__":
    for line in sys.stdin:
        function, event = json.loads(line)
        handler = runpy.run_path(f"functions/{function}/handler.py")["handler"]
        print(json.dumps({"returned": handler(event, Context())}), flush=True)  # noqa: T201 (what the test reads)
