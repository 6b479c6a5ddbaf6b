import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

EXAMPLE = Path(__file__).parent.parent / "examples" / "toy.py"


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    """The script as a module; `toy` is the name of a helper of these tests already."""
    spec = importlib.util.spec_from_file_location("example_toy", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["example_toy"] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fits(toy: ModuleType) -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield toy.run(0)
    torch.set_num_threads(threads)


def test_the_domains_lean_as_they_are_said_to(toy: ModuleType) -> None:
    """The step between the means of n = 50 live and 50 spoof points scatters by 0.5 sqrt(2/50) = 0.1, 6 degrees."""
    data = toy.draw(toy.SOURCES | toy.UNSEEN, torch.Generator().manual_seed(0))
    for number, (_, lean) in enumerate((toy.SOURCES | toy.UNSEEN).values()):
        of = data.domains == number
        step = data.points[of & (data.labels == 1)].mean(dim=0) - data.points[of & (data.labels == 0)].mean(
            dim=0
        )
        assert math.degrees(math.atan2(*step.tolist())) == pytest.approx(lean, abs=20)
        assert (of & (data.labels == 1)).sum() == of.sum() / 2


def test_alignment_makes_the_heads_one_and_nothing_else_does(fits: Any) -> None:
    assert fits["SA-FAS"].numbers["cosine"] > 0.99
    assert fits["separable, not aligned"].numbers["cosine"] < 0.9


def test_unaligned_heads_know_their_own_domain_better_than_their_mean_knows_all(fits: Any) -> None:
    """That is what alignment is for: a face from elsewhere has no head of its own."""
    unaligned, aligned = fits["separable, not aligned"].numbers, fits["SA-FAS"].numbers
    assert unaligned["own"] + 10 < unaligned["inside"]
    assert aligned["inside"] + 10 < unaligned["inside"]


def test_lean_of_a_known_hyperplane(toy: ModuleType) -> None:
    """Features that start as the points themselves under one head (sin 25, cos 25): 25 degrees, everywhere."""
    method = toy.METHODS["erm"](toy.Features(), 2, 3, toy.ErmConfig(), 1, 1)
    with torch.no_grad():
        angle = math.radians(25)
        method.heads.weight.copy_(torch.tensor([[math.sin(angle), math.cos(angle)]]))
    data = toy.draw(toy.SOURCES, torch.Generator().manual_seed(0))
    assert toy.lean(method, data) == pytest.approx(25, abs=1e-3)


def test_what_is_drawn_is_what_was_measured(toy: ModuleType, fits: Any) -> None:
    """Of D's marks, errors on either side of the panel's threshold make up its HTER."""
    fit = fits["SA-FAS"]
    panel = toy.figures(fits, seed=0)[2]
    marks = {
        t["name"]: np.array(t["marker"]["color"]) for t in panel.spec["data"] if "cmin" in t.get("marker", {})
    }
    middle = next((t["zmin"] + t["zmax"]) / 2 for t in panel.spec["data"] if t["type"] == "contour")
    assert middle == pytest.approx(fit.threshold)
    refused, accepted = marks["D (unseen), live"] < middle, marks["D (unseen), spoof"] >= middle
    assert 100 * (refused.mean() + accepted.mean()) / 2 == pytest.approx(fit.numbers["unseen"], abs=1)
    assert f"{fit.numbers['unseen']:.1f} % on D" in panel.caption


def test_the_page_has_three_panels_and_says_that_it_is_made_up(
    toy: ModuleType,
    fits: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(toy, "run", lambda seed: fits)
    toy.main(tmp_path / "toy.html", seeds=2)
    printed, text = capsys.readouterr().out, (tmp_path / "toy.html").read_text(encoding="utf-8")
    assert text.count('class="plot"') == 3
    assert "Made-up points: not the data of the paper" in text
    assert "| SA-FAS | " in printed
    assert f"{fits['SA-FAS'].numbers['unseen']:.1f} ± 0.0" in printed
    assert "Made-up points, mean and std over 2 seeds" in printed
