"""Verdicts over HTTP from a real process: the same as the predictor's, and nothing left behind."""

import asyncio
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

import safas
from safas.files import sha256
from safas.service.app import service
from safas.service.settings import Settings
from serving import PHOTO, Served, encoded, serving

LOGGED = {"time", "level", "event", "route", "status", "ms", "id", "verdict"}


@pytest.fixture(scope="module")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(bundle, tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., Path]) -> Path:
    return write_video(
        tmp_path_factory.mktemp("clip") / "clip.mp4", [np.roll(PHOTO, 3 * i, 1) for i in range(5)]
    )


def same(answer: dict[str, object], verdict: safas.Verdict) -> None:
    """But for how long it took; to six digits, since sums may be taken in another order."""
    wanted = json.loads(json.dumps(verdict.to_dict()))
    assert set(answer) == {*wanted, "thresholds", "id"}
    for name in ("score", "probability", "distance", "frame_scores"):
        assert answer[name] == pytest.approx(wanted[name], rel=1e-5), name
    for name in set(wanted) - {"score", "probability", "distance", "frame_scores", "timings"}:
        assert answer[name] == wanted[name], name


def test_an_image_and_a_video_get_the_predictors_verdict(
    served: Served, bundle: Path, clip: Path, tmp_path: Path
) -> None:
    predictor = safas.Predictor(bundle)
    (tmp_path / "face.jpg").write_bytes(encoded(PHOTO, ".jpg"))
    for path in (tmp_path / "face.jpg", clip):
        answer = served.post(path.read_bytes())
        assert answer.status_code == 200, answer.text
        same(answer.json(), predictor(path))
        assert set(answer.json()["timings"]) == {"decode", "detect", "crop", "score"}
        assert answer.json()["id"] == answer.headers["x-request-id"]
    band = predictor.model.band
    assert answer.json()["thresholds"] == {
        "pass_at": band.pass_at,
        "deny_below": band.deny_below,
        "distance_limit": predictor.model.distance_limit,
    }


def test_no_face_is_an_answer(served: Served) -> None:
    answer = served.post(encoded(np.full((90, 120, 3), 120, np.uint8)))
    assert answer.status_code == 200
    assert (answer.json()["label"], answer.json()["score"]) == ("no_face", None)


@pytest.mark.parametrize(
    ("content", "field", "what"),
    [
        (b"", "file", "empty"),
        (b"no picture at all", "file", "not a readable video"),
        (encoded(PHOTO)[:5000], "file", "damaged"),
        (encoded(PHOTO), "photo", "no file"),
    ],
)
def test_what_cannot_be_judged_is_422_in_one_shape(
    served: Served, content: bytes, field: str, what: str
) -> None:
    answer = served.post(content, field)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert set(error) == {"what", "where", "remedy"}
    assert what in error["what"]
    assert error["remedy"].startswith(("Send ", "Give "))
    assert str(served.folder) not in answer.text  # where the temporary file was is nobody's business


def test_half_a_video_is_refused(served: Served, clip: Path) -> None:
    answer = served.post(clip.read_bytes()[:-3000])
    assert (answer.status_code, answer.json()["error"]["where"]) == (422, "file")


def test_a_bomb_of_an_image_is_not_unfolded(served: Served) -> None:
    """8,000 x 8,000 grey pixels are 64 million, beyond the limit of 50, in a file of some kilobytes."""
    bomb = encoded(np.full((8000, 8000, 3), 90, np.uint8))
    assert len(bomb) < 1_000_000
    answer = served.post(bomb)
    assert answer.status_code == 422
    assert "50 million" in answer.json()["error"]["what"]
    assert "SAFAS_MAX_PIXELS" in answer.json()["error"]["remedy"]


def test_no_such_route_has_the_same_shape(served: Served) -> None:
    nothing = served.get("/v1/nothing")
    assert (nothing.status_code, set(nothing.json())) == (404, {"error"})
    assert served.get("/docs").status_code == 404  # it would load scripts from elsewhere


def test_a_fault_has_the_same_shape_and_headers(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = service(safas.Predictor(bundle), bundle, Settings())

    async def fault(request: Request) -> Response:
        raise ZeroDivisionError

    async def gone(request: Request) -> Response:
        raise ClientDisconnect

    app.router.routes[:0] = [Route("/fault", fault), Route("/gone", gone)]

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            with suppress(AssertionError):  # the transport's, which wants an answer: who has left gets none
                await client.get("/gone")
            return await client.get("/fault")

    with caplog.at_level(logging.INFO, "safas.service"):
        answer = asyncio.run(asked())
    assert answer.status_code == 500
    assert set(answer.json()["error"]) == {"what", "where", "remedy"}
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert [r.__dict__["told"]["status"] for r in caplog.records if r.message == "request"] == [499, 500]
    told = [record for record in caplog.records if record.exc_info]
    assert [record.__dict__["told"]["id"] for record in told] == [answer.headers["x-request-id"]]


def test_every_answer_keeps_browsers_to_this_origin(served: Served) -> None:
    """Everything that the policy lets in is this origin, or made by the page itself."""
    for path in ("/", "/healthz", "/v1/bundle", "/v1/nothing"):
        headers = served.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        for rule in headers["content-security-policy"].split("; "):
            sources = set(rule.split()[1:])
            assert sources <= {"'self'", "'none'", "'wasm-unsafe-eval'", "blob:", "data:"}, rule
    assert "default-src 'self'" in headers["content-security-policy"]


def test_the_page_loads_nothing_from_elsewhere(served: Served) -> None:
    page = served.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.text)


def test_the_interface_is_described_with_examples(served: Served) -> None:
    described = served.get("/openapi.json").json()
    verdict = described["paths"]["/v1/verdict"]["post"]
    assert "multipart/form-data" in verdict["requestBody"]["content"]
    examples = {
        status: answer["content"]["application/json"].get("example")
        for status, answer in verdict["responses"].items()
    }
    example = examples.pop("200")
    assert all(refused["error"]["remedy"] for refused in examples.values())
    fields = described["components"]["schemas"]["Answer"]["properties"]
    assert set(example) == set(fields) == {*safas.Verdict.__dataclass_fields__, "thresholds", "id"}
    assert {"400", "401", "413", "422", "429", "503"} <= set(verdict["responses"])


def test_the_bundle_without_what_is_its_makers_business(served: Served, bundle: Path) -> None:
    told = served.get("/v1/bundle").json()
    contract = json.loads((bundle / "bundle.json").read_text())
    assert told["bundle"]["files"] == contract["files"]
    assert set(contract["origin"]) - set(told["bundle"]["origin"]) == {"settings"}
    assert told["service"]["keeps_evidence"] is False
    for name, digest in contract["files"].items():
        file = served.get(f"/v1/bundle/files/{name}")
        assert sha256(file.content) == digest
        again = served.get(f"/v1/bundle/files/{name}", headers={"If-None-Match": file.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_file_that_was_changed_since_the_start_is_not_given_out(bundle: Path, tmp_path: Path) -> None:
    """Exported anew, and one deleted: neither is what the verdicts are made by."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    with serving(copy, tmp_path / "served") as served:
        (copy / "MODEL_CARD.md").write_text("another")
        (copy / "clusters.npz").unlink()
        for name in ("MODEL_CARD.md", "clusters.npz"):
            answer = served.get(f"/v1/bundle/files/{name}")
            assert answer.status_code == 503
            assert answer.json()["error"]["what"] == "the file was changed"
        assert served.get("/v1/bundle/files/model.onnx").status_code == 200


@pytest.mark.parametrize(
    "name", ["bundle.json", "bundle.sig", "stress.html", "..%2Fbundle.json", "%2Fetc%2Fpasswd"]
)
def test_nothing_else_of_the_folder_is_given(served: Served, name: str) -> None:
    assert served.get(f"/v1/bundle/files/{name}").status_code == 404


def test_metrics_count_what_happened(served: Served) -> None:
    """One face and one wall more: two answers, two verdicts, one score."""
    before = served.figures()
    label = served.post(encoded(PHOTO)).json()["label"]
    served.post(encoded(np.full((90, 120, 3), 120, np.uint8)))
    after = served.figures()

    def grown(name: str, *labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0)

    assert grown("safas_requests_total", "/v1/verdict", "200") == 2
    assert grown("safas_request_seconds_count", "/v1/verdict") == 2
    assert grown("safas_verdicts_total", label) == 1
    assert grown("safas_verdicts_total", "no_face") == 1
    assert grown("safas_score_count") == 1
    assert after["safas_score_bucket", ("+Inf",)] == after["safas_score_count", ()]
    distances = [
        sum(value for (name, _), value in figures.items() if name == "safas_domain_distance_count")
        for figures in (before, after)
    ]
    assert distances[1] - distances[0] == 1
    assert after["safas_queue_depth", ()] == 0
    assert not [key for key in after if "127.0.0.1" in str(key)]


def test_nothing_is_kept_and_nothing_personal_logged(served: Served, clip: Path) -> None:
    """Working directory and temporary files are as empty as before; a line holds none but the named fields."""
    for content in (encoded(PHOTO), clip.read_bytes(), b"broken"):
        served.post(content, X_Forwarded_For="203.0.113.7")
    assert served.files() == []
    first, *lines = served.log
    assert first["event"] == "serving"
    assert len(lines) >= 3
    for line in lines:
        assert set(line) <= LOGGED
    assert "203.0.113.7" not in str(lines)
    assert "127.0.0.1" not in str(lines)


def test_evidence_is_kept_where_it_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    """The bytes as they came and the answer as it went, readable by their owner alone."""
    kept = tmp_path / "kept"
    with serving(bundle, tmp_path / "served", "--keep-evidence", str(kept)) as running:
        content = encoded(PHOTO)
        answer = running.post(content).json()
        assert running.post(b"broken").status_code == 422  # no verdict, no evidence
        assert running.get("/v1/bundle").json()["service"]["keeps_evidence"] is True
        assert running.files() == []
    verdict, upload = sorted(kept.iterdir())
    assert upload.read_bytes() == content
    assert json.loads(verdict.read_text()) == answer
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z-{answer['id']}", upload.stem)
    assert {path.stat().st_mode & 0o777 for path in (verdict, upload)} == {0o600}
