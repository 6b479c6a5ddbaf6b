"""DANN: who learns in which direction."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from safas.errors import InputError
from safas.losses import reversal_strength
from safas.methods.dann import Dann, DannConfig
from toy_method import make, toy_batch


def test_the_classifier_descends_and_the_backbone_ascends_its_loss() -> None:
    """Gradients of the two terms apart: + for the domain classifier, -strength for the backbone."""
    config = DannConfig(adversarial_weight=0.7, ramp_epochs=2, hidden=4)
    method, batch, step = make("dann", config=config), toy_batch(), 3
    assert isinstance(method, Dann)
    trunk, classifier = next(method.backbone.parameters()), next(method.domain_classifier.parameters())
    features = method.backbone(batch.images)
    domain_loss = cross_entropy(method.domain_classifier(features), batch.domains)
    up, down = torch.autograd.grad(domain_loss, (trunk, classifier), retain_graph=True)
    output = method.loss(batch, step)
    torch.testing.assert_close(output.parts["domain"], domain_loss)
    (of_risk,) = torch.autograd.grad(output.parts["risk"], trunk, retain_graph=True)
    ours = torch.autograd.grad(output.total, (trunk, classifier))
    strength = 0.7 * reversal_strength(3 / 20)
    torch.testing.assert_close(ours[0], of_risk - strength * up)
    torch.testing.assert_close(ours[1], down)


def test_at_first_the_backbone_does_not_heed_the_classifier() -> None:
    method = make("dann")
    output = method.loss(toy_batch(), 0)
    trunk = next(method.backbone.parameters())
    of_all, of_risk = (
        torch.autograd.grad(x, trunk, retain_graph=True)[0] for x in (output.total, output.parts["risk"])
    )
    torch.testing.assert_close(of_all, of_risk)


def test_the_classifier_is_not_exported() -> None:
    method = make("dann")
    assert {name.split(".")[0] for name in method.state_dict()} == {"backbone", "heads", "domain_classifier"}
    assert {name.split(".")[0] for name in method.scoring_net().state_dict()} == {"backbone", "heads"}


@pytest.mark.parametrize("wrong", [{"ramp_epochs": 0}, {"hidden": 0}, {"adversarial_weight": -1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"method\."):
        DannConfig(**wrong)  # type: ignore[arg-type]
