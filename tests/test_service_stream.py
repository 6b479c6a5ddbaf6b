"""Frames over a WebSocket to a real process: the running verdict is the predictor's on the last k frames."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import safas
from safas.service.window import look, together
from serving import KEY, PHOTO, Served, encoded, serving

FRAMES = [np.ascontiguousarray(np.roll(PHOTO, 4 * i, axis=1)) for i in range(5)]
WALL = np.full((320, 320, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With a key, and room for two streams that may be silent for 3 seconds."""
    folder = tmp_path_factory.mktemp("stream")
    (folder / "keys").write_text(KEY)
    options = ("--api-key-file", str(folder / "keys"), "--streams", "2", "--timeout", "3")
    with serving(bundle, folder / "run", *options) as running:
        yield running


def opened(served: Served, **more: Any) -> ClientConnection:
    url = served.url.replace("http", "ws") + "/v1/stream"
    return connect(url, additional_headers={"X-API-Key": KEY}, **more)


def ask(stream: ClientConnection, message: bytes | str) -> dict[str, Any]:
    stream.send(message)
    told: dict[str, Any] = json.loads(stream.recv(timeout=120))
    return told


def test_the_running_verdict_is_that_of_the_last_frames(served: Served, bundle: Path) -> None:
    """The bundle looks at 2 frames: after each, the verdict is the predictor's on it and the one before it."""
    predictor = safas.Predictor(bundle)
    assert predictor.bundle.policy.frames == 2
    with opened(served) as stream:
        for number, frame in enumerate(FRAMES, start=1):
            told = ask(stream, encoded(frame))
            wanted = predictor(FRAMES[max(0, number - 2) : number])
            assert (told["number"], told["complete"]) == (number, number >= 2)
            assert told["frame"]["score"] == pytest.approx(predictor(frame).score, rel=1e-5)
            for name in ("score", "probability", "distance"):
                assert told["verdict"][name] == pytest.approx(getattr(wanted, name), rel=1e-5)
            assert told["verdict"]["label"] == wanted.label
            assert told["verdict"]["frames_used"] == wanted.frames_used == min(number, 2)


def test_the_rotation_is_of_the_frame_whose_box_is_shown(bundle: Path) -> None:
    """Of two frames the second's box, of one lying and one without a face the lying one's."""
    predictor = safas.Predictor(bundle)
    lying = np.ascontiguousarray(np.rot90(PHOTO))
    turned = look(predictor, encoded(lying)).seen
    upright, nobody = (look(predictor, encoded(frame)).seen for frame in (PHOTO, WALL))
    assert (upright.crops.rotation, turned.crops.rotation) == (0, 90)
    for frames, rotation in (([turned, nobody], 90), ([nobody, turned], 90), ([turned, upright], 0)):
        assert together(frames).crops.rotation == rotation


def test_a_jpeg_is_a_frame_and_reset_begins_anew(served: Served) -> None:
    with opened(served) as stream:
        assert ask(stream, encoded(PHOTO, ".jpg"))["number"] == 1
        assert ask(stream, encoded(PHOTO, ".jpg"))["complete"] is True
        assert ask(stream, "reset") == {"reset": True}
        again = ask(stream, encoded(PHOTO, ".jpg"))
        assert (again["number"], again["complete"], again["verdict"]["frames"]) == (1, False, 1)


def test_no_face_and_then_one(served: Served) -> None:
    with opened(served) as stream:
        nobody = ask(stream, encoded(WALL))
        assert (nobody["verdict"]["label"], nobody["frame"]["score"]) == ("no_face", None)
        one = ask(stream, encoded(PHOTO))["verdict"]
        assert (one["frames"], one["frames_used"]) == (2, 1)
        assert one["frame_scores"][0] is None


def test_two_people_are_not_averaged(served: Served) -> None:
    """A face, and then one of a third of its size in the far corner: the second frame counts as one without a face.

    Their boxes are farther apart than a face moves between two frames, so a live person cannot lend his score to
    what is held up after him.
    """
    far = np.full((320, 1600, 3), 90, np.uint8)
    near, other = far.copy(), far.copy()
    near[:, :320] = PHOTO
    other[:160, -160:] = cv2.resize(PHOTO, (160, 160), interpolation=cv2.INTER_AREA)
    with opened(served) as stream:
        first = ask(stream, encoded(near))
        second = ask(stream, encoded(other))
    assert second["frame"]["score"] is not None
    assert second["verdict"]["frames_used"] == 1
    assert second["verdict"]["score"] == pytest.approx(first["verdict"]["score"], rel=1e-5)


def test_a_broken_frame_does_not_end_the_stream(served: Served) -> None:
    with opened(served) as stream:
        broken = ask(stream, encoded(PHOTO)[:4000])["error"]
        assert (broken["where"], broken["remedy"][:5]) == ("frame", "Give ")
        assert ask(stream, "hello")["error"]["what"] == "an unknown message"
        assert ask(stream, encoded(PHOTO))["number"] == 1


def test_a_page_sends_its_key_first(served: Served) -> None:
    """Browsers cannot set headers on a WebSocket."""
    url = served.url.replace("http", "ws") + "/v1/stream"
    with connect(url, origin=served.url) as stream:
        stream.send(json.dumps({"key": KEY}))
        assert ask(stream, encoded(PHOTO))["number"] == 1


@pytest.mark.parametrize(
    "first",
    ['{"key": "not the key, but long"}', '{"key": "\\ud800"}', "[" * 100_000, "[]", "reset", encoded(PHOTO)],
)
def test_without_a_key_nothing_is_judged(served: Served, first: str | bytes) -> None:
    with connect(served.url.replace("http", "ws") + "/v1/stream") as stream:
        assert "key" in ask(stream, first)["error"]["what"]
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=120)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_page_of_another_site_is_refused(served: Served) -> None:
    with opened(served, origin="https://elsewhere.example") as stream:
        assert json.loads(stream.recv(timeout=120))["error"]["where"] == "Origin"


def test_a_third_stream_is_told_to_come_back(served: Served) -> None:
    """Two have begun, and are not ended by the third."""
    with opened(served) as first, opened(served) as second:
        assert ask(first, encoded(PHOTO))["number"] == ask(second, encoded(PHOTO))["number"] == 1
        with opened(served) as third:
            assert json.loads(third.recv(timeout=120))["error"]["what"] == "too many streams"
        assert ask(second, encoded(PHOTO))["number"] == 2


def test_a_silent_stream_is_closed(served: Served) -> None:
    with opened(served) as stream:
        ask(stream, "reset")
        with pytest.raises(ConnectionClosed, match="silent"):
            stream.recv(timeout=120)
    assert served.files() == []
