"""SSDG: the asymmetry of its classes, and that only live features are made alike."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from safas.losses import reversal_strength, triplet
from safas.methods.ssdg import Ssdg, SsdgConfig, asymmetric_classes
from toy_method import make, same_gradient, toy_batch


def test_live_is_one_class_and_spoof_one_a_domain() -> None:
    classes = asymmetric_classes(torch.tensor([1, 1, 0, 0, 0]), torch.tensor([0, 2, 0, 1, 0]))
    assert classes.tolist() == [0, 0, 1, 2, 1]


def test_the_total_is_the_definition_written_out() -> None:
    """Values, and the gradient to the features: the domain term's is reversed and reaches live ones only."""
    config = SsdgConfig(triplet_weight=2, adversarial_weight=0.3, margin=0.2, ramp_epochs=1, hidden=4)
    method, batch = make("ssdg", config=config), toy_batch()
    assert isinstance(method, Ssdg)
    output = method.loss(batch, 4)
    live = batch.labels == 1
    risk = binary_cross_entropy_with_logits(output.logits[:, 0], batch.labels.float())
    triplets = triplet(output.features, torch.where(live, 7, batch.domains), margin=0.2)
    features = output.features.detach().requires_grad_()
    domain = cross_entropy(method.domain_classifier(features[live]), batch.domains[live])
    torch.testing.assert_close(output.total, risk + 2 * triplets + 0.3 * domain)
    (up,) = torch.autograd.grad(domain, features)
    assert torch.equal(up[~live], torch.zeros_like(up[~live]))
    (ours,) = torch.autograd.grad(output.parts["domain"], output.features, retain_graph=True)
    torch.testing.assert_close(ours, -reversal_strength(0.4) * up)
    # the reversed term as a sum whose gradient it is
    reversed_term = -reversal_strength(0.4) * (output.features * up.detach()).sum()
    same_gradient(output.total, risk + 2 * triplets + 0.3 * reversed_term, method)


def test_a_batch_without_live_faces_has_no_domain_term() -> None:
    batch = toy_batch()
    batch.labels.zero_()
    output = make("ssdg").loss(batch, 4)
    assert output.parts["domain"].item() == 0
    output.total.backward()
