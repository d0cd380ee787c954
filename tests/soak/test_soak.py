"""How services fail by the soak's proxy, and a clock that is wrong."""

import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tools.local import calls
from tools.soak.clock import wrong_clock
from tools.soak.proxy import Ailment, Proxy, Service


class Upstream(BaseHTTPRequestHandler):
    """Answers with the body that came, and counts."""

    calls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).calls += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def call(url: str) -> tuple[int, bytes] | None:
    """Return the status and the content, None when no answer comes."""
    try:
        answer = calls.request("POST", url, body=b"hello")
    except OSError:
        return None
    return answer.status, answer.data


@pytest.mark.parametrize(
    ("ailment", "answer", "work_done", "kills"),
    [
        (Ailment.UNREACHABLE, None, 0, 0),
        (Ailment.FAILING, (503, b""), 0, 0),
        (Ailment.SLOW, (200, b"hello"), 1, 0),
        (Ailment.ANSWERS_LOST, None, 1, 0),
        (Ailment.CALLERS_KILLED, None, 1, 1),
    ],
)
def test_a_service_ails_while_the_others_are_well(
    ailment: Ailment, answer: tuple[int, bytes] | None, work_done: int, kills: int
) -> None:
    Upstream.calls, killed = 0, list[int]()
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()
        proxy = Proxy(f"http://127.0.0.1:{upstream.server_port}", killed.append)
        with proxy.serving():
            scheduler, s3 = proxy.urls[Service.SCHEDULER], proxy.urls[Service.S3]
            with proxy.ailing(Service.SCHEDULER, ailment):
                assert call(scheduler) == answer
                assert (Upstream.calls, len(killed)) == (work_done, kills)
                assert call(s3) == (200, b"hello")
                if ailment is Ailment.CALLERS_KILLED:  # the second and the third of three are spared
                    assert [call(scheduler) for _ in range(2)] == [(200, b"hello")] * 2
            assert call(scheduler) == (200, b"hello")
        upstream.shutdown()


def test_a_program_in_the_environment_of_a_wrong_clock_has_its_time(tmp_path: Path) -> None:
    program = "import datetime, time; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=wrong_clock(tmp_path, -300), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for clock in done.stdout.split():
        assert abs(float(clock) - time.time() + 300) < 60
