import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from safas.bundle import open_bundle
from safas.capture.simulate import SimulateConfig
from safas.demo import DemoConfig, DemoResult, demo, protocols, stages_table
from safas.errors import ProtocolError
from safas.prepare import PrepareConfig
from safas.tables import to_markdown

TINY = SimulateConfig(people=4, size=96, frames=2, live_clips=1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DemoConfig:
    return DemoConfig(
        out=tmp_path_factory.mktemp("demo") / "out",
        simulate=TINY,
        prepare=PrepareConfig(size=48, frames=1),
        epochs=1,
        workers=2,
    )


@pytest.fixture(scope="module")
def done(config: DemoConfig) -> DemoResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFAS_FACE_DETECTOR", str(config.out / "none.onnx"))  # no test asks the network for it
        return demo(config, Console(quiet=True), "safas demo --tiny", progress=False)


def test_one_protocol_two_methods_one_page(config: DemoConfig, done: DemoResult) -> None:
    text = done.report.read_text()
    assert done.report == config.out / "report.html"
    assert "Trained on laptop, phone and tablet; tested on webcam, never seen" in text
    assert "Everything here is simulated." in text
    assert "safas demo --tiny" in text
    assert text.count('alt="webcam, ') >= 3
    methods = {json.loads(path.read_text())["config"]["method"]["name"] for path in _runs(config)}
    assert methods == {"erm", "sa-fas"}


def test_the_table_is_what_was_evaluated(config: DemoConfig, done: DemoResult) -> None:
    (table,) = done.tables
    assert "simulated faces" in table.caption
    results = [json.loads((path.parent / "evaluation.json").read_text()) for path in _runs(config)]
    by_method = {result["about"]["method"]: result["chosen"] for result in results}
    assert [row[0].text for row in table.groups[0].rows] == ["ERM", "SA-FAS"]
    assert [row[1].text for row in table.groups[0].rows] == [
        f"{100 * by_method[method]['hter']:.1f}" for method in ("erm", "sa-fas")
    ]


def test_where_the_time_went(done: DemoResult) -> None:
    text = to_markdown(stages_table(done.stages))
    stages = ("simulate", "prepare", "train ERM", "train SA-FAS", "evaluate", "report", "export", "total")
    for stage in stages:
        assert f"| {stage} | " in text


def test_it_ends_with_a_bundle_that_judges(config: DemoConfig, done: DemoResult) -> None:
    """Of the SA-FAS run, or none and a line that says why: one epoch may leave live faces below attacks."""
    if done.bundle is None:
        told = io.StringIO()
        demo(config, Console(file=told), progress=False)
        assert "no bundle: on source validation live faces score below attacks" in told.getvalue()
        return
    contract = open_bundle(done.bundle).contract
    training = contract.training
    assert (training.method, training.simulated, training.unseen) == ("sa-fas", True, "webcam")
    assert any("face detector could not be had (no such file)" in note for note in contract.notes)


def test_a_second_demo_goes_on_where_it_was(config: DemoConfig, done: DemoResult) -> None:
    """Nothing but the report and the timings is written again."""
    files = [path for path in config.out.rglob("*") if path.is_file()]
    kept = [
        path for path in files if path.suffix in (".mp4", ".avi", ".png", ".safetensors", ".jsonl", ".onnx")
    ]
    kept += [path for path in files if path.name in ("scores.parquet", "evaluation.json", "config.json")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) > 80
    told = io.StringIO()
    again = demo(config, Console(file=told), "safas demo --tiny", progress=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert again.tables == done.tables
    assert list(again.stages.seconds) == list(done.stages.seconds)
    assert "which it has never seen" in told.getvalue()


def test_a_domain_that_is_not_there_is_refused_before_any_work(tmp_path: Path) -> None:
    config = DemoConfig(out=tmp_path / "out", target="moon")
    with pytest.raises(ProtocolError, match=r"unknown domain 'moon'\. Known: laptop, phone"):
        demo(config, Console(quiet=True), progress=False)
    assert not config.out.exists()


def test_every_target_in_turn(config: DemoConfig, done: DemoResult) -> None:
    targets = [
        protocol.target for protocol in protocols(replace(config, every_target=True), config.out / "prepared")
    ]
    assert targets == ["laptop", "phone", "tablet", "webcam"]


def _runs(config: DemoConfig) -> list[Path]:
    return sorted((config.out / "runs").glob("*/config.json"))
