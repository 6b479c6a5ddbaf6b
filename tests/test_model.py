"""Heads, projection, score rules, the scoring net and the backbones."""

import hashlib
import math
from pathlib import Path

import jaxtyping
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms import v2

from safas import model
from safas.errors import InputError
from safas.model import DomainHeads, ScoringNet, aligned, backbone, check_fits, drawn_together, mean_cosine


def heads_of(weight: list[list[float]], bias: list[float] | None = None) -> DomainHeads:
    heads = DomainHeads(len(weight[0]), len(weight))
    with torch.no_grad():
        heads.weight.copy_(torch.tensor(weight))
        heads.bias.copy_(torch.tensor(bias or [0.0] * len(weight)))
    return heads


def random_weight(seed: int, E: int, D: int) -> torch.Tensor:
    return torch.randn(E, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_projection_of_three_heads_by_hand() -> None:
    """Directions 0, 90, 180 degrees, norms 2, 3, 1, alpha = 3/4.

    Head 0: farthest is 2 (cosine -1): 3/4 (1,0) + 1/4 (-1,0) = (1/2, 0), normalised (1,0): stays (2, 0).
    Head 1: cosine 0 with both, so the lower index, 0: (1/4, 3/4), of length sqrt(10)/4; its direction is
            (1,3)/sqrt(10), times 3: (0.948683, 2.846050).
    Head 2: farthest is 0: stays (-1, 0). Mean cosine before: (0 - 1 + 0)/3 = -1/3.
    """
    heads = heads_of([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]], [0.1, 0.2, 0.3])
    assert heads.align_(0.75) == pytest.approx(-1 / 3)
    expected = torch.tensor([[2.0, 0.0], [3 / math.sqrt(10), 9 / math.sqrt(10)], [-1.0, 0.0]])
    torch.testing.assert_close(heads.weight.detach(), expected)
    torch.testing.assert_close(heads.bias.detach(), torch.tensor([0.1, 0.2, 0.3]), rtol=0, atol=0)


def test_all_heads_move_from_the_old_directions() -> None:
    """Directions 0, 60, 150 degrees, alpha = 1/2: each goes half way to the farthest.

    0 -> 150: 75. 60: cos 60 = 0.5 with 0, cos 90 = 0 with 150: half way, 105. 150 -> the OLD 0: 75.
    """
    old, new = (torch.tensor(angles).deg2rad() for angles in ([0.0, 60.0, 150.0], [75.0, 105.0, 75.0]))
    turned = aligned(torch.stack([old.cos(), old.sin()], dim=1), 0.5)
    torch.testing.assert_close(turned, torch.stack([new.cos(), new.sin()], dim=1))


@pytest.mark.parametrize("seed", range(4))
def test_projection_alone_aligns_random_heads_at_the_known_pace(seed: int) -> None:
    """Three heads of D = 512 drawn from U(-1/sqrt(D), 1/sqrt(D)), alpha = 0.995: 0.96 after 284, 0.9999 after 710."""
    torch.manual_seed(seed)
    heads = DomainHeads(512, 3)
    assert float(heads.weight.detach().abs().max()) <= 1 / math.sqrt(512)
    for _ in range(284):
        heads.align_(0.995)
    assert float(mean_cosine(heads.weight.detach())) == pytest.approx(0.96, abs=0.005)
    for _ in range(284, 710):
        heads.align_(0.995)
    assert float(mean_cosine(heads.weight.detach())) == pytest.approx(0.9999, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), E=st.integers(2, 6), D=st.integers(2, 9), alpha=st.floats(0.6, 1))
def test_projection_keeps_norms_and_commutes_with_order_and_rotation(
    seed: int, E: int, D: int, alpha: float
) -> None:
    weight = random_weight(seed, E, D)
    turned = aligned(weight, alpha)
    order = torch.randperm(E, generator=torch.Generator().manual_seed(seed))
    rotation, _ = torch.linalg.qr(random_weight(seed + 1, D, D))
    torch.testing.assert_close(turned.norm(dim=1), weight.norm(dim=1))
    torch.testing.assert_close(aligned(weight[order], alpha), turned[order])
    if D > 2 or E == 2:  # in the plane two others can be equally far only by chance; rounding then decides
        torch.testing.assert_close(aligned(weight @ rotation, alpha), turned @ rotation)


def test_alpha_one_changes_nothing_and_one_head_stays() -> None:
    weight = random_weight(0, 4, 7)
    assert torch.equal(aligned(weight, 1.0), weight)
    torch.testing.assert_close(aligned(weight[:1], 0.5), weight[:1], rtol=0, atol=0)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.5, math.nan])
def test_an_alpha_that_is_no_share_is_refused(alpha: float) -> None:
    heads = DomainHeads(7, 3)
    before = heads.weight.detach().clone()
    for what in ("direction", "hyperplane"):
        with pytest.raises(InputError, match=r"alpha = .* is not in"):
            heads.project_(alpha, what)
    assert torch.equal(heads.weight, before)


def test_whole_hyperplanes_by_hand() -> None:
    """beta = (w, b): (0, 0), (3, 0), (0, 4); distances 3, 4 and 5, so the farthest are 2, 2 and 1. alpha = 3/4.

    0: 1/4 (0, 4) = (0, 1). 1: 3/4 (3, 0) + 1/4 (0, 4) = (2.25, 1). 2: 3/4 (0, 4) + 1/4 (3, 0) = (0.75, 3).
    Equal distances go to the lower index: of (0), (1), (-1) the first goes towards (1).
    """
    heads = DomainHeads(1, 3)
    with torch.no_grad():
        heads.weight.copy_(torch.tensor([[0.0], [3.0], [0.0]]))
        heads.bias.copy_(torch.tensor([0.0, 0.0, 4.0]))
    heads.project_(0.75, "hyperplane")
    torch.testing.assert_close(heads.weight.detach(), torch.tensor([[0.0], [2.25], [0.75]]))
    torch.testing.assert_close(heads.bias.detach(), torch.tensor([1.0, 1.0, 3.0]))
    tied = drawn_together(torch.tensor([[0.0], [1.0], [-1.0]]), 0.5)
    torch.testing.assert_close(tied, torch.tensor([[0.5], [0.0], [0.0]]))


@pytest.mark.parametrize("alpha", [0.3, 0.9, 0.999])
def test_a_projection_lands_on_the_edge_of_the_ball_and_nowhere_nearer_to_where_it_was(alpha: float) -> None:
    """alpha-adjacency holds with equality, and no other point of the ball is nearer to the old hyperplane."""
    generator = torch.Generator().manual_seed(7)
    old = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    new = drawn_together(old, alpha)
    for e in range(4):
        far = max((k for k in range(4) if k != e), key=lambda k: float((old[e] - old[k]).norm()))
        distance = (old[e] - old[far]).norm()
        torch.testing.assert_close((new[e] - old[far]).norm(), alpha * distance)
        inside = torch.randn(200, 6, generator=generator, dtype=torch.float64)
        inside = old[far] + alpha * distance * inside / inside.norm(dim=1, keepdim=True)
        assert bool(((inside - old[e]).norm(dim=1) >= (new[e] - old[e]).norm() - 1e-12).all())


def test_whole_hyperplanes_come_to_coincide_and_stay_for_alpha_one() -> None:
    heads = DomainHeads(8, 3)
    before = [parameter.detach().clone() for parameter in heads.parameters()]
    heads.project_(1.0, "hyperplane")
    assert all(torch.equal(p, old) for p, old in zip(heads.parameters(), before, strict=True))
    for _ in range(500):
        heads.project_(0.9, "hyperplane")
    for parameter in heads.parameters():
        torch.testing.assert_close(parameter.detach()[:1].expand_as(parameter), parameter.detach())
    assert torch.equal(drawn_together(torch.ones(1, 3), 0.5), torch.ones(1, 3))


def test_projection_touches_no_momentum() -> None:
    heads = heads_of([[1.0, 0.0], [0.0, 1.0]])
    optimizer = torch.optim.SGD(heads.parameters(), lr=0.1, momentum=0.9)
    heads.risk(torch.ones(2, 2), torch.tensor([0, 1]), torch.tensor([0, 1]))[0].backward()
    optimizer.step()
    before = {name: optimizer.state[p]["momentum_buffer"].clone() for name, p in heads.named_parameters()}
    heads.align_(0.9)
    for name, parameter in heads.named_parameters():
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"], before[name])


@pytest.mark.parametrize("E", [1, 2, 5])
def test_mean_cosine_is_the_mean_over_pairs(E: int) -> None:
    weight = random_weight(1, E, 6)
    pairs = [
        float(torch.cosine_similarity(weight[i], weight[j], dim=0)) for i in range(E) for j in range(i + 1, E)
    ]
    assert float(mean_cosine(weight)) == pytest.approx(sum(pairs) / len(pairs) if pairs else 1.0)


def test_risk_with_a_domain_missing() -> None:
    """Three heads with w = 1, 5, 1 and b = 0 over one feature; domain 1 has no sample.

    Domain 0: logit 0, live: ln 2. Domain 2: logit ln 3, live: -ln(3/4); logit ln 3, spoof: -ln(1/4);
    mean (ln 4/3 + ln 4)/2 = ln(16/3)/2. The mean over the domains divides by 3 all the same.
    """
    heads = heads_of([[1.0], [5.0], [1.0]])
    features = torch.tensor([[0.0], [math.log(3)], [math.log(3)]])
    total, risks = heads.risk(features, torch.tensor([1, 1, 0]), torch.tensor([0, 2, 2]))
    expected = torch.tensor([math.log(2), 0.0, math.log(16 / 3) / 2])
    torch.testing.assert_close(risks.detach(), expected)
    torch.testing.assert_close(total.detach(), expected.sum() / 3)
    total.backward()
    assert heads.weight.grad is not None
    assert float(heads.weight.grad[1].abs()) == 0
    assert float(heads.weight.grad[2].abs()) > 0


def test_a_sample_meets_the_head_of_its_own_domain_only() -> None:
    heads = heads_of([[1.0], [2.0]])
    features, labels, domains = torch.tensor([[1.0], [1.0]]), torch.tensor([1, 0]), torch.tensor([0, 1])
    _, before = heads.risk(features, labels, domains)
    with torch.no_grad():
        heads.weight[1] += 1
    _, after = heads.risk(features, labels, domains)
    assert torch.equal(before[0], after[0])
    assert bool(before[1] < after[1])


def test_both_score_rules() -> None:
    """Logits 0 and ln 3: sigmoid(ln(3)/2) = sqrt 3 / (1 + sqrt 3) = 0.633975, and (1/2 + 3/4)/2 = 0.625."""
    heads = heads_of([[0.0], [math.log(3)]])
    one = torch.ones(1, 1)
    assert float(heads.score(one).detach()) == pytest.approx(0.633975, abs=1e-6)
    assert float(heads.score(one, "hyperplane").detach()) == pytest.approx(0.633975, abs=1e-6)
    assert float(heads.score(one, "probability").detach()) == pytest.approx(0.625)


def test_an_unknown_score_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user meets it: annotations are checked while testing only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match="no score rule is called 'median'"):
        DomainHeads(1, 2).score(torch.ones(1, 1), "median")  # type: ignore[arg-type]


class Flat(nn.Module):
    """Features = the pixels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def test_scoring_net_crops_and_resizes_as_torchvision_does() -> None:
    """Scale 0.9 is a share of the area: side 32 * sqrt(0.9) = 30.4, so 30 pixels, from pixel 1 on."""
    generator = torch.Generator().manual_seed(0)
    crops = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    net = ScoringNet(Flat(), DomainHeads(3 * 16 * 16, 2), "hyperplane", image_size=16)
    wanted = v2.functional.resize(v2.functional.center_crop(crops / 255, [30, 30]), [16, 16], antialias=True)
    torch.testing.assert_close(net.features(crops), wanted.flatten(1))
    scores = net(crops)
    assert scores.shape == (2,)
    assert bool(((scores >= 0) & (scores <= 1)).all())
    torch.testing.assert_close(scores, net.logits(crops).mean(dim=1).sigmoid())


def test_scoring_net_can_be_exported_with_any_number_of_crops() -> None:
    trunk, dim = backbone("resnet18")
    net = ScoringNet(trunk, DomainHeads(dim, 3), "probability", image_size=32).eval()
    crops = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    program = torch.export.export(net, (crops[:2],), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
    torch.testing.assert_close(program.module()(crops), net(crops))


def test_backbone_normalises_and_says_its_width() -> None:
    trunk, dim = backbone("resnet18")
    trunk.eval()
    images = torch.rand(2, 3, 32, 32)
    assert dim == 512
    assert trunk(images).shape == (2, 512)
    normalised = v2.functional.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(trunk(images), trunk.trunk(normalised))
    assert backbone("mobilenet_v3_small")[1] == 1024


def test_unknown_backbone_and_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network called 'resnet19'"):
        backbone("resnet19")
    with pytest.raises(InputError, match="no network called 'lraspp_mobilenet_v3_large'"):  # finds edges
        backbone("lraspp_mobilenet_v3_large")
    with pytest.raises(InputError, match="does not end in a linear layer"):
        backbone("squeezenet1_0")
    with pytest.raises(InputError, match="no such file"):
        backbone("resnet18", str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match="no ImageNet weights are pinned"):
        backbone("resnet34", "imagenet")
    safetensors.torch.save_file({"fc.bias": torch.zeros(3)}, tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match="do not fit the backbone"):
        backbone("resnet18", str(tmp_path / "odd.safetensors"))
    (tmp_path / "odd.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match="do not fit the backbone"):
        backbone("resnet18", str(tmp_path / "odd.pth"))


@pytest.mark.parametrize(
    ("name", "side", "why"),
    [
        ("vit_b_32", 80, "Expected 224 but got 80"),
        ("alexnet", 32, "images of 32 pixels"),
        ("resnet18", 80, ""),
        ("mobilenet_v3_small", 32, ""),
    ],
)
def test_a_network_that_cannot_be_trained_at_this_size_is_refused(name: str, side: int, why: str) -> None:
    """As it is found by training mode itself: those not refused go forward, and the check leaves no trace."""
    trunk, dim = backbone(name)
    torch.manual_seed(0)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    if why:
        with pytest.raises(InputError, match=why):
            check_fits(trunk, dim, side)
        return
    check_fits(trunk, dim, side)
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(0).get_state())
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items())
    assert trunk.train()(torch.rand(2, 3, side, side)).shape == (2, dim)


def test_a_network_with_answers_of_several_depths_is_refused() -> None:
    """As torchvision's googlenet and inception_v3 give them, in training mode only."""

    class Deep(nn.Module):
        def forward(self, images: torch.Tensor) -> object:
            features = images.mean(dim=(2, 3))
            return (features, features) if self.training else features

    with pytest.raises(InputError, match="gives tuple"):
        check_fits(Deep().eval(), 3, 32)


def test_pinned_weights_are_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The download from a file's URL: kept in the cache, refused when its digest is another."""
    trunk, _ = backbone("mobilenet_v3_small")
    state = {f"{name}": tensor for name, tensor in trunk.trunk.state_dict().items()}
    state |= {"classifier.3.weight": torch.zeros(1000, 1024), "classifier.3.bias": torch.zeros(1000)}
    published = tmp_path / "published.pth"
    torch.save(state, published)
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv(model.WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(model, "IMAGENET", {"mobilenet_v3_small": (published.as_uri(), "0" * 64)})
    with pytest.raises(InputError, match="SHA-256 differs"):
        backbone("mobilenet_v3_small", "imagenet")
    assert not (tmp_path / "home").exists()
    monkeypatch.setattr(model, "IMAGENET", {"mobilenet_v3_small": (published.as_uri(), digest)})
    backbone("mobilenet_v3_small", "imagenet")
    published.unlink()
    loaded, _ = backbone("mobilenet_v3_small", "imagenet")
    key = "features.0.0.weight"
    assert torch.equal(loaded.trunk.state_dict()[key], state[key])
    monkeypatch.setattr(model, "IMAGENET", {"mobilenet_v3_small": ((tmp_path / "x.pth").as_uri(), digest)})
    with pytest.raises(InputError, match=r"cannot be fetched.*SAFAS_BACKBONE_WEIGHTS"):
        backbone("mobilenet_v3_small", "imagenet")


def test_the_variable_takes_the_place_of_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(model.WEIGHTS_VARIABLE, str(tmp_path / "mine.pth"))
    with pytest.raises(InputError, match=r"mine\.pth: no such file"):
        backbone("resnet18", "imagenet")
