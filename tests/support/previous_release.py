"""An evening with the functions of another release: run as a script, in a process that has nothing of this one.

Arguments: the folder of the release, then the functions to call; what each makes of its call is printed as JSON.
"""

import importlib.util
import json
import os
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

BODIES: dict[str, Any] = {
    "create_profile": {"description": "x"},
    "update_profile": {"description": "y"},
    "create_preferences": {"minAge": 20},
    "update_preferences": {"maxAge": 40},
    "start_session": {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d"}},
    "extend_session": {"additionalMinutes": 15},
}


class Context:
    function_name = aws_request_id = "previous"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:previous"


def main() -> None:
    release, *functions = sys.argv[1:]
    said: dict[str, Any] = {}
    for function in functions:
        said = call(Path(release), function, said)
        print(json.dumps({function: said.pop("outcome")}))  # noqa: T201 (what the test reads)


def call(release: Path, function: str, said: dict[str, Any]) -> dict[str, Any]:
    """Call a function; `said` has the session and the upload of earlier answers."""
    handler = load(release / "functions" / function / "handler.py")
    if function in {"sweep", "expire_session", "process_photo", "migrate_database"}:
        returned = json.loads(json.dumps(handler(event_of(function, said), Context())))
        return said | {"outcome": returned}
    answer = handler(request(function), Context())
    body = json.loads(answer.get("body") or "{}")
    known = {"session": body.get("session"), "upload": body.get("upload")}
    return said | {name: value for name, value in known.items() if value} | {"outcome": answer["statusCode"]}


def event_of(function: str, said: dict[str, Any]) -> dict[str, Any]:
    if function == "expire_session":
        return {"kind": "expiry", "sessionId": said["session"]["id"]}
    if function == "process_photo":
        key, jpeg = said["upload"]["fields"]["key"], photo()
        import boto3

        boto3.client("s3").put_object(Bucket=os.environ["UPLOAD_BUCKET"], Key=key, Body=jpeg)
        described = {"bucket": {"name": os.environ["UPLOAD_BUCKET"]}, "object": {"key": key, "size": len(jpeg)}}
        return {"Records": [{"s3": described}]}
    return {}


def photo() -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, "JPEG")
    return file.getvalue()


def request(function: str) -> dict[str, Any]:
    import jwt

    claims = {"userId": "local-entitled", "exp": int(time.time()) + 60}
    token = jwt.encode(claims, os.environ["JWT_SECRET"], algorithm="HS256")
    body = BODIES.get(function)
    return {
        "headers": {"authorization": f"Bearer {token}", "content-type": "application/json"},
        "requestContext": {"requestId": "1", "routeKey": "", "http": {"method": "POST"}},
        "isBase64Encoded": False,
        **({"body": json.dumps(body)} if body is not None else {}),
    }


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.parent.name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


if __name__ == "__main__":
    main()
