"""One contract for every method, and what is SA-FAS's own."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from safas.benchmark.grid import METHODS_COMPARED
from safas.errors import InputError
from safas.losses import supervised_contrastive
from safas.methods import CONFIGS, METHODS
from safas.methods.sa_fas import SaFasConfig
from safas.model import drawn_together, mean_cosine
from safas.results import METHOD_NAMES
from toy_method import D, make, same_gradient, toy_batch, train, without

ALL = pytest.mark.parametrize("name", METHODS)


@ALL
@pytest.mark.parametrize("E", [2, 3, 5])
def test_the_loss_falls_for_any_number_of_domains(name: str, E: int) -> None:
    losses = train(make(name, E), E, 60)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@ALL
def test_live_scores_above_spoof_and_all_scores_are_probabilities(name: str) -> None:
    method = make(name)
    train(method, 3, 60)
    net = method.scoring_net().eval()
    batch = toy_batch(seed=99)
    net.crop_scale = 1.0
    scores = net((batch.images * 255).to(torch.uint8)).detach()
    assert float(scores.min()) >= 0
    assert float(scores.max()) <= 1
    assert float(scores[batch.labels == 1].min()) > float(scores[batch.labels == 0].max())


@ALL
def test_saved_and_loaded_it_scores_the_same(name: str, tmp_path: Path) -> None:
    net, other = make(name, seed=1).scoring_net(), make(name, seed=2).scoring_net()
    crops = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8)
    assert not torch.equal(net(crops), other(crops))
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    assert torch.equal(net(crops), other(crops))


@ALL
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    first, second = make(name, seed=4), make(name, seed=4)
    assert train(first, 3, 5) == train(second, 3, 5)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@ALL
def test_the_output_has_its_shapes_and_the_parts_are_named(name: str) -> None:
    method, batch = make(name), toy_batch()
    assert method.views == 2
    output = method.loss(batch, 0)
    H = method.heads.num_domains
    assert output.features.shape == (24, D)
    assert output.logits.shape == (24, H)
    assert output.present.tolist() == [True] * H
    assert output.risks.shape in ((1,), (3,))  # of all samples together, or of each domain
    assert "risk" in output.parts
    assert output.total.shape == ()


def test_every_method_has_a_printed_name_and_the_benchmark_runs_three_unasked() -> None:
    assert list(METHODS) == list(CONFIGS) == list(METHOD_NAMES)
    assert all(CONFIGS[name]().name == name for name in CONFIGS)
    assert METHODS_COMPARED == ("erm", "erm-supcon", "sa-fas")


def test_what_the_totals_are() -> None:
    """ERM: the mean cross-entropy over samples. + SupCon: 0.1 * 0.1/0.07 * L_sep more."""
    batch = toy_batch(images=10)  # 3 domains of unequal share, so that means over domains would differ
    erm, supcon = make("erm"), make("erm-supcon")
    features = erm.backbone(batch.images)
    logits = erm.heads(features)[:, 0]
    wanted = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels.float())
    torch.testing.assert_close(erm.loss(batch, 0).total, wanted)
    separability = supervised_contrastive(features, batch.classes, 0.1)
    total = supcon.loss(batch, 0).total
    torch.testing.assert_close(total, wanted + 0.1 * (0.1 / 0.07) * separability)
    features = supcon.backbone(batch.images)  # the same first weights
    risk = nn.functional.binary_cross_entropy_with_logits(supcon.heads(features)[:, 0], batch.labels.float())
    contrast = supervised_contrastive(features, batch.classes, 0.1)
    same_gradient(total, risk + 0.1 * (0.1 / 0.07) * contrast, supcon)


@pytest.mark.parametrize(("scaling", "factor"), [("code", 0.2 / 0.07), ("paper", 24.0)])
def test_both_scalings_of_the_contrastive_loss(scaling: Any, factor: float) -> None:
    """The code: mean over the 24 anchors times tau/0.07. The paper: their sum, 24 times the mean."""
    config = SaFasConfig(contrastive_weight=0.3, temperature=0.2, scaling=scaling)
    method, batch = make("sa-fas", config=config), toy_batch()
    output = method.loss(batch, 0)
    mean = supervised_contrastive(output.features, batch.classes, 0.2)
    torch.testing.assert_close(output.parts["contrastive"], factor * mean)
    torch.testing.assert_close(output.total, output.risks.mean() + 0.3 * factor * mean)


@pytest.mark.parametrize("rule", ["hyperplane", "probability"])
def test_the_score_rule_reaches_the_scoring_net(rule: Any) -> None:
    method = make("sa-fas", config=SaFasConfig(rule=rule))
    net = method.scoring_net()
    crops = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8)
    torch.testing.assert_close(net(crops), method.heads.score(net.features(crops), rule))


def test_heads_are_aligned_from_the_epoch_on_and_biases_never() -> None:
    """10 steps an epoch, align_epoch 2: steps 0 to 19 move nothing, step 20 does."""
    method = make("sa-fas", config=SaFasConfig(align_epoch=2, alpha=0.9))
    weight, bias = method.heads.weight.detach().clone(), method.heads.bias.detach().clone()
    for step in range(20):
        cosine = method.after_step(step)["head_cosine"]
        assert torch.equal(method.heads.weight, weight)
        torch.testing.assert_close(cosine, mean_cosine(weight))
    method.after_step(20)
    assert float(mean_cosine(method.heads.weight.detach())) > float(mean_cosine(weight))
    torch.testing.assert_close(method.heads.weight.detach().norm(dim=1), weight.norm(dim=1))
    assert torch.equal(method.heads.bias, bias)


def test_whole_hyperplanes_are_aligned_where_that_is_asked_for() -> None:
    method = make("sa-fas", config=SaFasConfig(align_epoch=0, alpha=0.9, aligned="hyperplane"))
    old = torch.cat([method.heads.weight, method.heads.bias[:, None]], dim=1).detach()
    method.after_step(0)
    new = torch.cat([method.heads.weight, method.heads.bias[:, None]], dim=1).detach()
    torch.testing.assert_close(new, drawn_together(old, 0.9))
    assert not torch.allclose(new[:, -1], old[:, -1])


@pytest.mark.parametrize("contrastive", [True, False])
@pytest.mark.parametrize("alignment", [True, False])
def test_each_part_can_be_switched_off_alone(contrastive: bool, alignment: bool) -> None:
    """SupCon x PG-IRM by settings. What is off leaves no trace: no term, no part, no bit of a head moved."""
    weight, alpha = 0.1 if contrastive else 0.0, 0.9 if alignment else 1.0
    method = make("sa-fas", config=SaFasConfig(align_epoch=0, contrastive_weight=weight, alpha=alpha))
    output = method.loss(toy_batch(), 0)
    assert set(output.parts) == ({"risk", "contrastive"} if contrastive else {"risk"})
    assert torch.equal(output.total, output.parts["risk"]) == (not contrastive)
    before = method.heads.weight.detach().clone()
    method.after_step(0)
    assert torch.equal(method.heads.weight, before) == (not alignment)


def test_the_codes_third_head_is_never_trained_but_aligned_and_averaged_in() -> None:
    """Two domains, three heads: the divisor is 3 too, so the risk is two thirds of that of two heads."""
    method = make("sa-fas", E=2, config=SaFasConfig(align_epoch=0, alpha=0.9, least_heads=3))
    batch = toy_batch(E=2)
    output = method.loss(batch, 0)
    assert method.heads.num_domains == 3
    assert output.present.tolist() == [True, True, False]
    torch.testing.assert_close(output.parts["risk"], (output.risks[0] + output.risks[1]) / 3)
    third = method.heads.weight[2].detach().clone()
    method.after_step(0)
    assert not torch.equal(method.heads.weight[2], third)
    net = method.scoring_net()
    crops = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8)
    torch.testing.assert_close(net(crops), net.logits(crops).mean(dim=1).sigmoid())
    assert net.logits(crops).shape == (4, 3)


def test_a_domain_absent_from_the_batch_is_said_to_be() -> None:
    assert make("sa-fas").loss(without(toy_batch(), domain=1), 0).present.tolist() == [True, False, True]


@ALL
def test_a_domain_absent_from_the_batch_leaves_all_finite(name: str) -> None:
    method = make(name)
    method.loss(toy_batch(), 0)  # for those that keep something of the batch before
    output = method.loss(without(toy_batch(), domain=1), 1)
    output.total.backward()
    assert all(value.isfinite() for value in (output.total, *output.parts.values()))
    gradients = [p.grad for p in method.parameters() if p.grad is not None]
    assert len(gradients) >= 4
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2 domains, not 1"):
        make("sa-fas", E=1)
    for wrong in ({"alpha": 0.0}, {"alpha": 1.1}, {"align_epoch": -1}, {"contrastive_weight": -1.0}):
        with pytest.raises(InputError, match=r"method\."):
            SaFasConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"method\.temperature"):
        CONFIGS["erm-supcon"](temperature=0.0)
