"""The types that openapi-typescript generates compile in strict mode, and know each error by its code."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.contract.document import FILE
from tools.local.workspace import NODE_FOLDER, REPOSITORY

CALL = """
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const body = { duration: 15, latitude: 40.7411, longitude: -73.9897 } as const;
const { data, error } = await createClient<paths>().POST("/session/start", { body });
if (error?.code === "SESSION_ALREADY_ACTIVE") error.session.id satisfies string;
if (error?.code === "VALIDATION_ERROR") error.errors[0]?.field satisfies string | undefined;
// @ts-expect-error: only some errors have a session
error?.session;
data?.session.expiresAt satisfies string | undefined;
// @ts-expect-error: a duration that there is not
await createClient<paths>().POST("/session/start", { body: { ...body, duration: 20 } });
"""
OPTIONS = "--noEmit --strict --exactOptionalPropertyTypes --target es2024 --module nodenext --lib es2024,dom"


def run(folder: Path, tool: str, *arguments: str | Path) -> None:
    path = os.pathsep.join((str(NODE_FOLDER), os.environ["PATH"]))
    command = [REPOSITORY / "node_modules/.bin" / tool, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_generated_types_are_strict_and_know_each_error_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(REPOSITORY / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "call.ts").write_text(CALL)
    run(tmp_path, "openapi-typescript", FILE, "--output", "api.ts")
    run(tmp_path, "tsc", *OPTIONS.split(), "call.ts")
