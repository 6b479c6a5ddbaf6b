"""The page in a real browser, before a real server: what it says is what the predictor says, wherever it judges.

The camera shows a photograph that gets brighter to the right, which the tiny network takes for live, or to the left,
which it takes for a spoof. (Its limit of familiarity is lifted, else it would refuse both.) test_page_camera.py shows
it simulated people and attacks.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import safas
from browsing import chromium, judge_here, keep, need_runtime, objections, page_of, verdict_on, write_y4m
from safas.errors import InputError
from safas.faces import Box, Face, YuNet, aligned_crop
from safas.service import browser as runtime
from serving import KEY, PHOTO, serving

CLOSE = 1e-3


def tilted(way: int) -> np.ndarray:
    """The photograph, brighter to the right (1) or to the left (-1)."""
    ramp = np.linspace(-120, 120, PHOTO.shape[1])[None, :, None] * way
    return np.clip(PHOTO * 0.6 + 40 + ramp, 0, 255).astype(np.uint8)


PICTURES = {"live": tilted(1), "spoof": tilted(-1)}


@pytest.fixture(scope="module")
def easy(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, which calls nothing unfamiliar and accepts half-way between the two pictures.

    Trained for a moment on ramps, not on a photograph, it scores them otherwise on each kind of processor.
    """
    copy = shutil.copytree(bundle, tmp_path_factory.mktemp("easy") / "bundle")
    said = json.loads((copy / "bundle.json").read_text())
    for precision, model in said["models"].items():
        model["distance_limit"] = 1000.0
        judge = safas.Predictor(bundle, precision=precision)
        live, spoof = (judge(PICTURES[kind]).score for kind in ("live", "spoof"))
        assert live > 2 * spoof  # else it has learned nothing
        model["band"] |= {"pass_at": (live + spoof) / 2, "deny_below": (live + spoof) / 2}
    (copy / "bundle.json").write_text(json.dumps(said))
    return copy


@pytest.fixture(scope="module")
def has_runtime() -> None:
    need_runtime()


@pytest.fixture(scope="module")
def address(easy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(easy, tmp_path_factory.mktemp("served"), "--workers", "1") as served:
        yield served.url


@pytest.fixture(scope="module")
def predictor(easy: Path) -> safas.Predictor:
    return safas.Predictor(easy)


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], object]]:
    """browsers("live" or "spoof") -> a browser with that before its camera; one at a time."""
    folder, running = tmp_path_factory.mktemp("cameras"), {}

    def started(kind: str) -> object:
        if kind not in running:
            stop()
            manager = chromium(write_y4m(folder / f"{kind}.y4m", [PICTURES[kind]] * 4))
            running[kind] = (manager, manager.__enter__())
        return running[kind][1]

    def stop() -> None:
        for manager, _ in running.values():
            manager.__exit__(None, None, None)
        running.clear()

    yield started
    stop()


@pytest.mark.parametrize("where", ["server", "browser"])
def test_an_image(where: str, address, browsers, predictor, tmp_path: Path, request) -> None:
    """A PNG holds the pixels themselves: the page's score, with its four digits, and its words are the predictor's.

    Shrunk for detection (larger than 640 pixels), enlarged for the network (a small face), turned (on its side).
    """
    small = cv2.resize(PICTURES["live"], (110, 110), interpolation=cv2.INTER_AREA)
    large = cv2.resize(PICTURES["live"], (1100, 900), interpolation=cv2.INTER_LINEAR)
    pictures = {**PICTURES, "small": small, "large": large, "side": np.rot90(PICTURES["live"])}
    pictures["nobody"] = np.full((120, 160, 3), 90, np.uint8)
    if where == "browser":
        request.getfixturevalue("has_runtime")
    with page_of(browsers("live"), address) as page:
        if where == "browser":
            judge_here(page)
        for name, picture in pictures.items():
            cv2.imwrite(str(tmp_path / f"{name}.png"), picture[:, :, ::-1])
            wanted = predictor(np.ascontiguousarray(picture))
            page.set_input_files("#file", tmp_path / f"{name}.png")
            label, score, reason = verdict_on(page)
            assert (name, label) == (name, wanted.label)
            assert score == (None if wanted.score is None else pytest.approx(wanted.score, abs=1e-4))
            assert reason == wanted.reasons[0].text


def test_in_eight_bits(easy: Path, browsers, has_runtime, tmp_path: Path) -> None:
    """The browser's own kernels for 8 bits give the scores of the server's, to the four digits that are shown."""
    predictor = safas.Predictor(easy, precision="int8")
    options = ("--workers", "1", "--precision", "int8")
    with serving(easy, tmp_path / "run", *options) as served, page_of(browsers("live"), served.url) as page:
        judge_here(page)
        assert "8 bits" in page.inner_text("#card-body")
        for name, picture in PICTURES.items():
            cv2.imwrite(str(tmp_path / f"{name}.png"), picture[:, :, ::-1])
            wanted = predictor(picture)
            page.set_input_files("#file", tmp_path / f"{name}.png")
            label, score, _ = verdict_on(page)
            assert (label, score) == (wanted.label, pytest.approx(wanted.score, abs=1e-4))


@pytest.mark.parametrize("where", ["server", "browser"])
def test_a_video(where: str, address, browsers, predictor, write_video, tmp_path: Path, request) -> None:
    """VP9 in WebM, which every browser shows. The page's own decoder may differ a little from FFmpeg."""
    clip = write_video(tmp_path / "clip.webm", [PICTURES["live"]] * 12, codec="libvpx-vp9")
    wanted = predictor(clip)
    if where == "browser":
        request.getfixturevalue("has_runtime")
    with page_of(browsers("live"), address) as page:
        if where == "browser":
            judge_here(page)
        page.set_input_files("#file", clip)
        label, score, _ = verdict_on(page)
        assert label == wanted.label
        assert score == pytest.approx(wanted.score, abs=1e-4 if where == "server" else 0.05)
        assert page.inner_text("#history-text").startswith("2 frames")


def test_no_frame_leaves_the_device(address, browsers, has_runtime, tmp_path: Path) -> None:
    """Once the networks are loaded, camera and image are judged without one more request or socket."""
    cv2.imwrite(str(tmp_path / "face.png"), PICTURES["live"][:, :, ::-1])
    with page_of(browsers("live"), address) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        page.on("websocket", lambda socket: asked.append(socket.url))
        judge_here(page)
        loaded = [line for line in asked if not line.startswith(f"GET {address}/")]
        assert (loaded, len(asked) > 3) == ([], True)  # and this list does see requests
        asked.clear()
        page.click("#camera")
        verdict_on(page)
        page.click("#camera")
        page.set_input_files("#file", tmp_path / "face.png")
        verdict_on(page)
        assert asked == []


def test_nothing_is_judged_while_the_networks_are_loading(address, browsers, has_runtime) -> None:
    """It would be on the server, where the page is about to say that no frame leaves the device."""
    with page_of(browsers("live"), address) as page:
        held: list = []
        page.route("**/clusters.npz", lambda route: held.append(route))
        with page.expect_request("**/clusters.npz"):
            page.check("#in-browser")
        places = ("#camera", "#file", "input[value=server]", "#in-browser")
        assert all(page.is_disabled(place) for place in places)
        held[0].continue_()
        page.locator("#where-note", has_text="No frame leaves this device").wait_for()
        assert all(page.is_enabled(place) for place in places)


def test_a_stream_that_is_refused_ends_and_says_why(address, browsers) -> None:
    """The server closes after such a refusal: the camera is off again, and nothing is asked any more."""
    refusal = {"error": {"what": "too many streams", "where": "stream", "remedy": "Come back later."}}
    asked: list = []

    def refuse(socket) -> None:
        def answer(message) -> None:
            asked.append(message)
            socket.send(json.dumps(refusal))
            socket.close()

        socket.on_message(answer)

    with page_of(browsers("live"), address) as page:
        page.route_web_socket("**/v1/stream", refuse)
        page.click("#camera")
        page.locator("#error", has_text="Too many streams").wait_for()
        page.locator("#camera", has_text="Start camera").wait_for()
        assert len(asked) == 1


def test_a_stream_that_cannot_be_opened_leaves_the_camera_off(easy: Path, browsers, tmp_path: Path) -> None:
    with (
        serving(easy, tmp_path) as served,
        page_of(browsers("live"), served.url, expected="WebSocket") as page,
    ):
        page.locator("#card-body table >> nth=1").wait_for()
        served.process.terminate()
        served.process.wait(60)
        page.click("#camera")
        page.locator("#error", has_text="The stream cannot be opened").wait_for()
        page.locator("#camera", has_text="Start camera").wait_for()


def test_what_was_replaced_says_nothing_any_more(address, browsers, tmp_path: Path) -> None:
    """An image whose answer comes late, and fails, after another has been judged."""
    cv2.imwrite(str(tmp_path / "face.png"), PICTURES["live"][:, :, ::-1])
    with page_of(browsers("live"), address, expected="503") as page:
        held: list = []
        page.route("**/v1/verdict", lambda route: held.append(route) if not held else route.continue_())
        with page.expect_request("**/v1/verdict"):
            page.set_input_files("#file", tmp_path / "face.png")
        page.set_input_files("#file", tmp_path / "face.png")
        said = verdict_on(page)
        with page.expect_response("**/v1/verdict"):
            held[0].fulfill(status=503, json={"error": {"what": "took too long"}})
        page.wait_for_timeout(300)  # for what must not come
        assert verdict_on(page) == said
        assert page.is_hidden("#error")


def test_pixels_are_those_of_opencv(address, browsers, yunet_file: Path) -> None:
    """Resizing to the bit; a turned crop to one level of grey in few pixels; both written in JavaScript by hand."""
    face = PHOTO[60:130, 120:190]
    sizes = [(160, 160), (107, 91), (113, 200), (319, 300)]
    box, eyes = Box(118.3, 62.2, 88.1, 111.7), np.array([[143, 110], [183, 122.0]])
    with page_of(browsers("live"), address) as page:
        page.evaluate(_MODULES)
        for width, height in sizes:
            wanted = cv2.resize(PHOTO, (width, height), interpolation=cv2.INTER_AREA)
            assert np.array_equal(_run(page, "pixels.shrunk", PHOTO, width, height), wanted)
        for width, height in [(112, 112), (71, 140)]:
            wanted = cv2.resize(face, (width, height), interpolation=cv2.INTER_LINEAR)
            assert np.array_equal(_run(page, "pixels.stretched", face, width, height), wanted)
        seen = {"box": vars(box), "landmarks": eyes.tolist()}
        for size in (96, 64):
            how = {"margin": 0.1, "size": size, "align": True}
            wanted = aligned_crop(PHOTO, box, eyes, margin=0.1, size=size)
            gap = np.abs(_run(page, "crop.faceCrop", PHOTO, seen, how).astype(int) - wanted)
            assert (gap.max() <= 1, gap.mean() < 1e-2) == (True, True)


def test_faces_are_those_of_opencv(address, browsers, has_runtime, yunet_file: Path) -> None:
    """Boxes, eyes and scores of two people, one of them at 60 %, beside a detector that OpenCV drives."""
    small = cv2.resize(PHOTO, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.zeros((320, 320 + small.shape[1], 3), np.uint8)
    both[:, :320], both[: small.shape[0], 320:] = PHOTO, small
    wanted: list[Face] = YuNet(yunet_file).detect(both)
    with page_of(browsers("live"), address) as page:
        page.evaluate(_MODULES)
        found = page.evaluate(
            "([image, file]) => detected(image, file)", [_sent(both), _coded(yunet_file.read_bytes())]
        )
    assert len(wanted) == len(found) == 2
    for face, seen in zip(wanted, found, strict=True):
        assert [seen["box"][side] for side in "xywh"] == pytest.approx(
            list(vars(face.box).values()), abs=CLOSE
        )
        assert np.allclose(seen["landmarks"], face.landmarks, atol=CLOSE)
        assert seen["score"] == pytest.approx(face.score, abs=1e-5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it(width: int, scheme: str, address, browsers) -> None:
    """axe finds nothing to object to, before and with a verdict; nothing is wider than the screen."""
    view = {"width": width, "height": 850}
    with page_of(browsers("live"), address, viewport=view, color_scheme=scheme) as page:
        page.locator("#card-body table >> nth=1").wait_for()
        for state in ("before", "after"):
            assert objections(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            keep(page, f"{state}-{width}-{scheme}")
            if state == "before":
                page.click("#camera")
                verdict_on(page)


def test_by_keyboard_and_aloud(address, browsers) -> None:
    """In the order of reading; Enter starts the camera, and the verdict is said once, not with every frame."""
    with page_of(browsers("live"), address) as page:
        page.locator("#card-body table >> nth=1").wait_for()
        page.evaluate(
            "self.told = []; new MutationObserver(() => told.push(document.querySelector('#announce').textContent))"
            ".observe(document.querySelector('#announce'), { childList: true })"
        )
        order = []
        for _ in range(4):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert order == ["skip", "camera", "file", ""]  # then the choice of where, whose buttons need no id
        page.focus("#camera")
        page.keyboard.press("Enter")
        verdict_on(page)
        page.locator("#history-text", has_text=re.compile(r"\d\d frames in")).wait_for()
        assert [line.split(".")[0] for line in page.evaluate("told")] == ["Live"]


def test_a_key_is_asked_for(easy: Path, browsers, tmp_path: Path) -> None:
    """Without one nothing is told; a wrong one is refused; the right one serves files and the camera alike.

    This server's home has no onnxruntime-web: the switch is grey and says what to do.
    """
    (tmp_path / "keys").write_text(KEY)
    cv2.imwrite(str(tmp_path / "face.png"), PICTURES["live"][:, :, ::-1])
    options = ("--api-key-file", str(tmp_path / "keys"))
    with (
        serving(easy, tmp_path / "run", *options, HOME=str(tmp_path)) as served,
        page_of(browsers("live"), served.url, expected="401") as page,
    ):
        page.locator("#key-form").wait_for()
        keep(page, "key")
        for key in ("not-the-key-at-all", KEY):
            page.fill("#key", key)
            page.keyboard.press("Enter")
            if key != KEY:
                page.locator("#error", has_text="not known").wait_for()
        page.locator("#key-form").wait_for(state="hidden")
        page.locator("#where-note", has_text="--in-browser").wait_for()
        assert page.is_disabled("#in-browser")
        page.set_input_files("#file", tmp_path / "face.png")
        assert verdict_on(page)[0] == "live"
        page.click("#camera")
        page.locator("#history-text", has_text="frames in").wait_for()
        assert verdict_on(page)[0] == "live"


def test_what_is_no_picture(address, browsers, tmp_path: Path) -> None:
    """The server's own words, in an alert; and the page goes on."""
    (tmp_path / "notes.png").write_text("no picture")
    with page_of(browsers("live"), address, expected="422|ERR_") as page:
        page.locator("#card-body table >> nth=1").wait_for()
        page.set_input_files("#file", tmp_path / "notes.png")
        page.locator("#error").wait_for()
        assert page.get_attribute("#label", "data-label") == "none"
        page.click("#camera")
        assert verdict_on(page)[0] == "live"
        assert page.is_hidden("#error")


def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither npm nor archive: what to do. An archive that is not the one: refused, and nothing is unpacked."""
    folder = tmp_path / "runtime"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="npm is not here"):
        runtime.fetch_runtime(folder)
    (tmp_path / runtime.ARCHIVE).write_bytes(b"something else")
    with pytest.raises(InputError, match="SHA-512 is another"):
        runtime.fetch_runtime(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == [runtime.ARCHIVE]


_MODULES = """async () => {
  self.pixels = await import('/local/pixels.js');
  self.crop = await import('/local/crop.js');
  self.bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  self.image = ([width, height, text]) => ({ width, height, data: bytes(text) });
  self.text = (data) => btoa(Array.from(data, (x) => String.fromCharCode(x)).join(''));
  self.detected = async (sent, file) => {
    const ort = await import('/ort/ort.wasm.min.mjs');
    const { YuNet } = await import('/local/yunet.js');
    Object.assign(ort.env.wasm, { wasmPaths: '/ort/', numThreads: 1 });
    return new YuNet(ort, await ort.InferenceSession.create(bytes(file))).detect(image(sent));
  };
}"""


def _coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _sent(picture: np.ndarray) -> list[object]:
    return [picture.shape[1], picture.shape[0], _coded(np.ascontiguousarray(picture).tobytes())]


def _run(page, function: str, picture: np.ndarray, *more: object) -> np.ndarray:
    script = f"""([sent, more]) => {{
      const made = {function}(image(sent), ...more);
      return [made.width, made.height, text(made.data)];
    }}"""
    width, height, raw = page.evaluate(script, [_sent(picture), more])
    return np.frombuffer(base64.b64decode(raw), np.uint8).reshape(height, width, 3)
