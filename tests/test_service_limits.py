"""What a service refuses, and how it holds under more than it can do."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import safas
from safas.cli import main
from safas.service.running import bound
from serving import KEY, PHOTO, Halfway, Served, encoded, serving, until

FACE = encoded(PHOTO)
AT_ONCE = 200


@pytest.fixture(scope="module")
def narrow(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One at a time and nobody waiting, of 200 kB, for those with a key."""
    folder = tmp_path_factory.mktemp("narrow")
    (folder / "keys").write_text(f"# the door's\n{KEY}\n\nanother-key-of-enough\n")
    options = "--workers 1 --queue 0 --max-mb 0.2 --timeout 5"
    with serving(bundle, folder / "run", *options.split(), "--api-key-file", str(folder / "keys")) as running:
        yield running


def error(answer: httpx.Response) -> tuple[int, str]:
    assert set(answer.json()["error"]) == {"what", "where", "remedy"}
    return answer.status_code, answer.json()["error"]["what"]


def test_only_a_known_key_is_let_in(narrow: Served) -> None:
    assert error(narrow.post(FACE)) == (401, "a key is needed")
    assert error(narrow.post(FACE, X_API_Key=KEY[:-1])) == (401, "the key is not known")
    assert narrow.post(FACE, X_API_Key=KEY).status_code == 200
    assert narrow.post(FACE, X_API_Key="another-key-of-enough").status_code == 200
    assert KEY not in (narrow.folder / "log").read_text()


def test_health_and_page_need_no_key_but_the_rest_does(narrow: Served) -> None:
    for path in ("/healthz", "/readyz", "/", "/openapi.json"):
        assert narrow.get(path).status_code == 200, path
    for path in ("/metrics", "/v1/bundle", "/v1/bundle/files/MODEL_CARD.md"):
        assert narrow.get(path).status_code == 401, path
        assert narrow.get(path, headers={"X-API-Key": KEY}).status_code == 200, path


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_is_413(narrow: Served, announced: bool) -> None:
    """Whether the length is announced or only comes to light while reading."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + bytes(300_000)
    headers = {"X-API-Key": KEY, "content-type": "multipart/form-data; boundary=x"}
    content = body if announced else (body[i : i + 50_000] for i in range(0, len(body), 50_000))
    answer = httpx.post(f"{narrow.url}/v1/verdict", content=content, headers=headers, timeout=60)
    assert error(answer) == (413, "larger than 0.2 MB")
    assert narrow.files() == []


def test_no_form_is_400(narrow: Served) -> None:
    headers = {"X-API-Key": KEY, "content-type": "multipart/form-data"}
    assert error(httpx.post(f"{narrow.url}/v1/verdict", content=b"x", headers=headers, timeout=60))[0] == 400


def test_a_full_queue_says_when_to_come_back(narrow: Served) -> None:
    """One request is in flight, and there is room for one: the next is refused, and the first still answered."""
    first = Halfway(narrow, FACE)
    until(lambda: narrow.in_flight() == 1)
    refused = narrow.post(FACE, X_API_Key=KEY)
    assert error(refused) == (503, "the queue is full")
    assert int(refused.headers["retry-after"]) >= 1
    assert first.finish().status_code == 200
    assert narrow.post(FACE, X_API_Key=KEY).status_code == 200


def test_a_request_that_never_ends_is_given_up(narrow: Served) -> None:
    """Its place is free again after --timeout 5."""
    slow = Halfway(narrow, FACE)
    until(lambda: narrow.in_flight() == 1)
    until(lambda: narrow.in_flight() == 0)
    assert error(slow.finish()) == (503, "took too long")


def test_who_asks_too_often_is_told_to_wait(bundle: Path, tmp_path: Path) -> None:
    """Three a minute: the fourth waits for up to a third of a minute. Health and page are not counted."""
    with serving(bundle, tmp_path / "run", "--per-minute", "3") as running:
        for _ in range(5):
            running.get("/healthz")
        assert [running.post(FACE).status_code for _ in range(3)] == [200] * 3
        refused = running.post(FACE)
        assert error(refused) == (429, "too many requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 20


def test_on_sigterm_what_is_in_flight_is_finished(bundle: Path, tmp_path: Path) -> None:
    """One thread, so the second request shows in the queue: both have begun when the signal comes."""
    with serving(bundle, tmp_path / "run", "--workers", "1") as running:
        both = [Halfway(running, FACE) for _ in range(2)]
        until(lambda: running.in_flight() == 2)
        assert running.figures()["safas_queue_depth", ()] == 1
        running.process.send_signal(signal.SIGTERM)
        until(lambda: not _listens(running))
        assert running.process.poll() is None
        assert [one.finish().status_code for one in both] == [200, 200]
        assert running.process.wait(60) == 0
        assert running.log[-1]["event"] == "stopped"
        assert running.files() == []


def _listens(running: Served) -> bool:
    try:
        return running.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_two_hundred_at_once_are_answered_rightly_and_leave_no_memory(bundle: Path, tmp_path: Path) -> None:
    """Each gets the predictor's verdict on its own picture, or 503 and when to come back. Twice over, no growth.

    At least 100 + 2 of a round are judged, of 320 x 320 x 3 bytes each: if they were kept, a round would cost
    31 MB for the pictures alone. Allowed are 15 MB, for what allocators do.
    """
    pictures = [np.ascontiguousarray(np.roll(PHOTO, 9 * i, axis=1)) for i in range(8)]
    predictor = safas.Predictor(bundle)
    wanted = [predictor(picture) for picture in pictures]
    assert len({verdict.score for verdict in wanted}) == len(pictures)
    bodies = [encoded(picture) for picture in pictures]
    with serving(
        bundle, tmp_path / "run", "--queue", "100", "--workers", "2", "--per-minute", "0"
    ) as running:
        sizes = []
        for _ in range(3):  # the first fills what is allocated once
            answers = asyncio.run(_all_at_once(running.url, bodies))
            statuses = Counter(answer.status_code for answer in answers)
            assert sum(statuses.values()) == AT_ONCE  # not one was dropped
            assert set(statuses) <= {200, 503}
            assert statuses[200] >= 102
            for number, answer in enumerate(answers):
                verdict = wanted[number % len(pictures)]
                if answer.status_code == 200:
                    assert answer.json()["label"] == verdict.label
                    assert answer.json()["score"] == pytest.approx(verdict.score, rel=1e-5)
                else:
                    assert error(answer)[1] == "the queue is full"
                    assert int(answer.headers["retry-after"]) >= 1
            sizes.append(_resident(running.process.pid))
        assert running.files() == []
    if sys.platform == "linux":
        assert sizes[2] - sizes[1] < 15e6, sizes


async def _all_at_once(url: str, bodies: list[bytes]) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, timeout=120) as client:
        asked = [
            client.post(f"{url}/v1/verdict", files={"file": ("f", bodies[i % len(bodies)])})
            for i in range(AT_ONCE)
        ]
        return await asyncio.gather(*asked)


def _resident(process: int) -> int:
    """Bytes of memory, as Linux counts them; 0 elsewhere."""
    path = Path(f"/proc/{process}/statm")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if path.is_file() else 0


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    """Nagle's algorithm is off on the connections that asyncio accepts from the socket that is listened on."""

    async def off() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            told.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = bound("127.0.0.1", 0)
        async with await asyncio.start_server(accepted, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            result = await asyncio.wait_for(told, 60)
            writer.close()
            await writer.wait_closed()
            return result

    assert asyncio.run(off())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--api-key-file", "missing"], "the keys cannot be read"),
        (["--api-key-file", "short"], "shorter than 16 characters"),
        (["--api-key-file", "empty"], "no key in it"),
        (["--api-key-file", "foreign"], "other characters than ASCII"),
        (["--queue", "-1"], "--queue: -1 is too small"),
        (["--host", "203.0.113.1"], "cannot listen there"),
        (["--keep-evidence", "short/x"], "evidence cannot be kept"),
    ],
)
def test_what_is_set_wrongly_is_one_line(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("abc\n")
    Path("empty").write_text("# none yet\n")
    Path("foreign").write_text("ein schöner Schlüssel\n", encoding="utf-8")
    assert main(["serve", str(bundle), *options]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in told
    assert told.startswith("safas: error: ")


def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("safas.service", "safas.commands.serve"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", "bundle"]) == 2
    assert 'pip install "safas[serve]"' in capsys.readouterr().err
