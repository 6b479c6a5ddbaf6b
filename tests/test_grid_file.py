"""The YAML of a grid: what it means, what typed options change, and that every slip is named."""

import re
from pathlib import Path
from typing import Any

import pytest

from safas.benchmark.grid_file import read_grid
from safas.errors import InputError
from safas.methods.erm import ErmConfig
from safas.methods.sa_fas import SaFasConfig
from safas.training import preset

TEXT = """
protocols: ["a,b->c", ocim]
splits: whole-target
seeds: [0, 1]
trials: 3
training: {lr: 1e-3, augment: {scale: [0.5, 1]}}
methods:
  - erm
  - {name: SA-FAS without SupCon, method: sa-fas, contrastive_weight: 0, seeds: [0, 1, 2], training: {batch: 16}}
  - {method: sa-fas, alpha: 1, rule: probability}
"""


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_is_what_it_says(tmp_path: Path) -> None:
    grid = read_grid(written(tmp_path))
    assert (grid.protocols, grid.splits, grid.trials) == (("a,b->c", "ocim"), "whole-target", 3)
    erm, without, unnamed = grid.variants
    assert [v.name for v in grid.variants] == [
        "ERM", "SA-FAS without SupCon", "SA-FAS (alpha=1, rule=probability)",
    ]  # fmt: skip
    assert [v.seeds for v in grid.variants] == [(0, 1), (0, 1, 2), (0, 1)]
    assert [v.config.batch for v in grid.variants] == [32, 16, 32]
    for variant in grid.variants:  # all of them, the rest of the views as in the preset
        assert (variant.config.lr, variant.config.augment.scale) == (0.001, (0.5, 1.0))
        assert variant.config.augment.rotation_deg == preset("demo").augment.rotation_deg
        assert {"lr", "augment"} <= variant.told
    assert erm.config.method == ErmConfig()
    assert without.config.method == SaFasConfig(contrastive_weight=0, alpha=0.99, align_epoch=4)
    assert without.told == {"lr", "augment", "batch", "method.contrastive_weight"}
    assert unnamed.config.method == SaFasConfig(alpha=1, align_epoch=4, rule="probability")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    grid = read_grid(written(tmp_path, "# nothing\n"))
    assert [variant.name for variant in grid.variants] == ["ERM", "ERM + SupCon", "SA-FAS"]
    assert {variant.seeds for variant in grid.variants} == {(0, 1, 2)}
    assert (grid.protocols, grid.splits, grid.trials) == ((), "official", 1)
    assert grid.variants[2].config == preset("demo")


def test_typed_options_count_instead(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("{lr: 1e-3,", "{lr: 1e-3, epochs: 9,"))
    assert {v.config.epochs for v in read_grid(path).variants} == {9}
    grid = read_grid(
        path, seeds=(5,), epochs=4, threads=1, protocols=("single",), splits="all", trials=1, preset="paper"
    )
    assert {v.seeds for v in grid.variants} == {(5,)}
    assert {(v.config.epochs, v.config.threads, v.config.lr) for v in grid.variants} == {(4, 1, 0.001)}
    assert (grid.protocols, grid.splits, grid.trials) == (("single",), "all", 1)
    assert grid.variants[0].config.image_size == 256
    assert read_grid(path, seeds=None) == read_grid(path)


def test_a_typed_option_that_cannot_be_is_named_as_typed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--epochs: epochs = -3 is below 1"):
        read_grid(written(tmp_path), epochs=-3)


def test_methods_are_picked_by_name_or_key(tmp_path: Path) -> None:
    path = written(tmp_path)
    for erm in ("erm", "ERM"):
        assert [v.name for v in read_grid(path, methods=(erm, "SA-FAS without SupCon")).variants] == [
            "ERM", "SA-FAS without SupCon",
        ]  # fmt: skip
    assert len(read_grid(path, methods=("sa-fas",)).variants) == 2
    with pytest.raises(
        InputError, match=r"grid\.yaml: none of its methods is 'irm'\. There are: ERM, erm, SA-FAS"
    ):
        read_grid(path, methods=("erm", "irm"))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("alpha: 1", "alfa: 1", r"methods[2]: alfa: no such setting. Allowed: method, name, seeds, training, al"),
        ("alpha: 1", "alpha: 2", r"methods[2]: alpha = 2.0 is not in (0, 1]"),
        ("alpha: 1", "alpha: yes", r"methods[2]: alpha: True: Input should be a valid number"),
        ("probability", "mean", r"methods[2]: rule: 'mean': Input should be 'hyperplane' or 'probability'"),
        ("lr: 1e-3", "lrr: 1", r"training: lrr: no such setting. Allowed: backbone, weights, image_size"),
        ("lr: 1e-3", "seed: 1", r"training: seed: no such setting"),
        ("lr: 1e-3", "lr: high", r"training: lr: 'high': Input should be a valid number"),
        ("lr: 1e-3", "lr: -1", r"training: lr = -1.0 is below 0"),
        ("lr: 1e-3", "lr: 1e-3, lr: 2", r"not YAML (the key 'lr' stands twice"),
        ("scale", "scales", r"training: augment.scales: no such setting. Allowed: rotation_deg, scale, flip, pad"),
        ("[0.5, 1]", "[1, 0.5]", r"training.augment: the scale"),
        ("batch: 16", "batch: 1.5", r"methods[1].training: batch: 1.5: Input should be a valid integer"),
        ("batch: 16", "bath: 16", r"methods[1].training: bath: no such setting"),
        ("trials: 3", "trial: 3", r"trial: no such setting. Allowed: protocols, splits, preset, seeds, trials, tr"),
        ("trials: 3", "trials: 0", r"trials: 0: Input should be greater than or equal to 1"),
        ("seeds: [0, 1]\n", "seeds: 3\n", r"seeds: 3: Input should be a valid array"),
        ("- erm", "- erma", r"methods[0]: no method is called 'erma'. Choose from: erm, erm-supcon"),
        ("- erm", "- {alpha: 1}", r"methods[0]: no method is named. Choose from"),
        ("trials: 3", "preset: big", r"preset: no preset is called 'big'"),
        ("seeds: [0, 1]\n", "seeds: [0, 1\n", r"not YAML"),
        ("lr: 1e-3", "lr: .inf", r"training: lr = inf is too large"),
        ("seeds: [0, 1]\n", "seeds: [9223372036854775808]\n", r"seeds: seed = 9223372036854775808 is too large"),
        ("- erm", "- distill", r"methods[0]: a student needs a teacher"),
        ("- erm", "- &a {method: erm, training: {augment: &b {flip: [*b]}}}", r"a value of a kind that no setting has"),
        ("trials: 3", "trials: 2026-01-01", r"a value of a kind that no setting has"),
        ("trials: 3", "trials: 2026-13-45", r"not YAML (month must be"),
        ("trials: 3", "trials: " + "[" * 3000, r"not YAML ("),
        ("whole-target", "most", r"splits: unknown splits 'most'. Known: official"),
        ("- erm", "- {method: [erm]}", r"methods[0]: no method is called ['erm']. Choose from"),
        ("- erm", "- erm\n  - erm", r"methods: 'ERM' and 'ERM' have the same name"),
        ("- erm", "- {method: erm, name: DANN}", r"methods: 'DANN' is the name of another method than erm"),
        ("- erm", "- {method: erm, seeds: []}", r"methods: 'ERM' has no seed"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_file_key_and_what_is_allowed(
    old: str, new: str, error: str, tmp_path: Path
) -> None:
    path = written(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(f"{path}: {error}")) as caught:
        read_grid(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["- erm\n", "erm\n", "[]\n", "false\n"])
def test_a_file_that_is_no_mapping_is_refused(text: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"valid dictionary|an object"):
        read_grid(written(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_grid(tmp_path / "none.yaml")
