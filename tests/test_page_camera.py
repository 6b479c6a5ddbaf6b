"""Before the page's camera: a live person and an attack out of `safas simulate`, and a network trained on such clips.

All of it is real but the people: the laptop's clips of eight people are simulated, cropped, learned and exported as a
user would do it, and a ninth, whom nobody has seen, is shown to the browser's camera. The rule for his two clips knows
nothing of any verdict: his first live clip and his first attack in the order of the table. It held for the seeds 0, 1
and 2 of the training alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

import safas
from browsing import (
    chromium,
    film,
    judge_here,
    keep,
    need_chromium,
    need_runtime,
    objections,
    page_of,
    verdict_on,
)
from serving import serving

DOMAIN, PEOPLE, SHOWN = (
    "laptop",
    12,
    9,
)  # of twelve people six train and two validate; the others wait for a test


@dataclass(frozen=True)
class Film:
    """A bundle, and the file of a clip of each label."""

    bundle: Path
    clips: dict[str, Path]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory, yunet_file: Path) -> Film:
    """Some 60 clips of two frames, and ERM after the steps that it needs to tell most of them."""
    from safas.capture.simulate import SimulateConfig, Task, rows_of, simulate_person
    from safas.export import ExportConfig, export
    from safas.parallel import each
    from safas.prepare import PrepareConfig, prepare
    from safas.prepared import prepared_samples
    from safas.protocols import Protocol, source_data
    from safas.table import write_table
    from safas.training import preset, train

    need_chromium()  # before minutes are spent
    root = tmp_path_factory.mktemp("film")
    people = SimulateConfig(seed=0, people=PEOPLE, size=160, frames=2)
    tasks = [Task(root / "clips", people, DOMAIN, person) for person in range(SHOWN)]
    list(each(simulate_person, tasks, None))
    samples = pl.concat(rows_of(task) for task in tasks)
    write_table(samples, root / "clips" / "samples.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
        cropping = PrepareConfig(size=64, frames=2, margin=0.05, detector="yunet", workers=1)
        prepare(samples, root / "clips", root / "prepared", cropping, progress=False)
        small = replace(preset("demo", "erm"), image_size=64, epochs=24, batch=16, lr_every=8)
        settings = replace(small, evaluate_every=4, threads=1, precision="fp32")
        data = source_data(Protocol((DOMAIN,), DOMAIN), prepared_samples(root / "prepared"))
        run = train(settings, data, root / "prepared", root / "runs", progress=False)
        made = export(run, root / "prepared", root / "bundle", ExportConfig(int8=False), progress=False)
    shown = samples.filter(split="test").sort("video").unique("label", keep="first", maintain_order=True)
    return Film(made.folder, {row["label"]: root / "clips" / row["path"] for row in shown.to_dicts()})


@pytest.fixture(scope="module")
def address(shot: Film, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(shot.bundle, tmp_path_factory.mktemp("served"), "--workers", "1") as served:
        yield served.url


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["live", "spoof"])
@pytest.mark.parametrize("where", ["server", "browser"])
def test_the_camera(kind: str, where: str, shot: Film, address: str, tmp_path: Path) -> None:
    """A live clip comes out live and an attack spoof, with the predictor's score on the file.

    Between the two lie the browser's colours and, to the server, one more JPEG. They move the score a little.
    """
    wanted = safas.Predictor(shot.bundle)(shot.clips[kind])
    if where == "browser":
        need_runtime()
    with (
        chromium(film(shot.clips[kind], tmp_path / "camera.y4m")) as browser,
        page_of(browser, address) as page,
    ):
        if where == "browser":
            judge_here(page)
        page.click("#camera")
        label, score, _ = verdict_on(page)
        assert (label, wanted.label) == (kind, kind)
        assert score == pytest.approx(wanted.score, abs=0.1)
        page.locator("#history-text", has_text="frames in").wait_for()
        keep(page, f"camera-{kind}-{where}")
        assert objections(page) == []
        card = page.inner_text("#card-body")
        assert "ERM, seed 0" in card  # as the contract spells it
        assert "New people, known domain" in card  # who was tested was of the domain of training
        page.click("#camera")
        assert page.inner_text("#camera") == "Start camera"
