"""What a grid runs, in which order, and what it refuses before anything is trained."""

from dataclasses import replace

import pytest

from safas.benchmark.grid import Grid, Variant, changed, plain_variants
from safas.errors import InputError, ProtocolError
from safas.methods.sa_fas import SaFasConfig
from safas.protocols import Protocol
from safas.training import preset

TWO = (Protocol(("a", "b"), "c"), Protocol(("a", "c"), "b"))
PLAIN = plain_variants(("erm", "sa-fas"), (3, 4, 3), "demo", 2, 1)


def test_cells_go_seed_by_seed() -> None:
    """A table of one seed is whole before the second begins; a seed that is named twice is no second run."""
    cells = Grid(TWO[:1], PLAIN).cells()
    assert [(cell.config.seed, cell.name) for cell in cells] == [
        (3, "ERM"), (3, "SA-FAS"), (4, "ERM"), (4, "SA-FAS"),
    ]  # fmt: skip
    assert all((cell.config.epochs, cell.config.threads) == (2, 1) for cell in cells)
    assert all(cell.config.method == preset("demo", cell.config.method.name).method for cell in cells)


def test_a_variant_may_have_seeds_of_its_own() -> None:
    more = replace(PLAIN[0], seeds=(0, 1, 2))
    cells = Grid(TWO, (more, replace(PLAIN[1], seeds=(7,)))).cells()
    assert [(cell.protocol.target, cell.name, cell.config.seed) for cell in cells] == [
        ("c", "ERM", 0), ("c", "SA-FAS", 7), ("b", "ERM", 0), ("b", "SA-FAS", 7),
        ("c", "ERM", 1), ("b", "ERM", 1), ("c", "ERM", 2), ("b", "ERM", 2),
    ]  # fmt: skip


def test_what_cannot_be_told_apart_or_run_is_refused() -> None:
    with pytest.raises(InputError, match="'ERM' and 'ERM' have the same name"):
        Grid(TWO, (PLAIN[0], replace(PLAIN[0], config=replace(PLAIN[0].config, lr=1.0))))
    with pytest.raises(InputError, match="'ERM' and 'plain' have the same settings"):
        Grid(TWO, (PLAIN[0], replace(PLAIN[0], name="plain")))
    with pytest.raises(InputError, match="nothing to run"):
        Grid(TWO, ())
    with pytest.raises(InputError, match="'ERM' has no seed, so nothing to run"):
        Grid(TWO, (replace(PLAIN[0], seeds=()),))
    with pytest.raises(InputError, match="'DANN' is the name of another method than erm"):
        Grid(TWO, (replace(PLAIN[0], name="DANN"),))
    with pytest.raises(InputError, match="'Sa-Fas' is the name of another method than erm"):
        Grid(TWO, (replace(PLAIN[0], name="Sa-Fas"),))
    with pytest.raises(InputError, match="'group-dro' is the name of another method than erm"):
        Grid(TWO, (replace(PLAIN[0], name="group-dro"),))
    with pytest.raises(InputError, match="trials = 0 is below 1"):
        Grid(TWO, PLAIN, trials=0)
    with pytest.raises(ProtocolError, match="SA-FAS needs at least 2 source domains"):
        Grid((*TWO, Protocol(("a",), "c")), PLAIN)
    with pytest.raises(InputError, match="no method is called 'irm2'"):
        plain_variants(("irm2",), (0,), "demo", None, None)


def test_changed_names_what_differs() -> None:
    config = preset("demo")
    other = replace(config, lr=1.0, method=SaFasConfig(alpha=0.5, align_epoch=4))
    other = replace(other, augment=replace(config.augment, flip=False))
    assert changed(other, config) == {"lr": 1.0, "augment.flip": False, "method.alpha": 0.5}
    assert changed(config, config) == {}
    assert Variant("x", config, (0,)).told == frozenset()


def test_a_student_is_no_method_of_a_grid() -> None:
    with pytest.raises(InputError, match=r"a student needs a teacher\. Use `safas distill"):
        plain_variants(("erm", "distill"), (0,), "demo", None, None)
