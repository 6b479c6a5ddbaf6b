"""Whole training steps of SA-FAS against a re-derivation in plain numpy, with gradients worked out by hand.

The backbone is linear, phi = W x. With z = phi/|phi|, s_it = z_i.z_t/tau, N samples, E domains:

    R_e = mean over its n_e samples of -y ln p - (1-y) ln(1-p), p = sigmoid(w_e.phi + b_e)
        => d(mean_e R_e)/d logit_i = (p_i - y_i) / (n_e E)
    L_sep = mean_i [ ln sum_{t != i} exp s_it - mean_{j in S(i)} s_ij ]
        => dL_sep/ds_it = (softmax_it - [t in S(i)]/|S(i)|) / N =: G_it,  dL_sep/dz = (G + G') z / tau
        => dL_sep/dphi_i = (g_i - z_i (z_i.g_i)) / |phi_i|,  g = dL_sep/dz

SGD: v <- mu v + (g + decay theta), v = g + decay theta at first; theta <- theta - lr v; a head of an absent domain
is left out altogether. Then the projection, from the old directions.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from safas.batches import Batch, classes_of
from safas.methods.sa_fas import SaFas, SaFasConfig
from safas.training.step import take_step

D, E, PIXELS = 5, 3, 3 * 2 * 2
LR, MU, DECAY, TAU, LAMBDA, ALPHA = 0.3, 0.9, 0.05, 0.2, 0.4, 0.8
FIRST_ALIGNED = 2


@dataclass
class ByHand:
    """Parameters and momentum of the re-derivation: W [D, P], and w_e [D] and b_e one by one."""

    values: dict[str, np.ndarray]
    momentum: dict[str, np.ndarray] = field(default_factory=dict)

    def step(self, x: np.ndarray, y: np.ndarray, domain: np.ndarray, t: int) -> float:
        loss, gradients = self.gradients(x, y, domain)
        for name, gradient in gradients.items():  # absent heads have none
            decayed = gradient + DECAY * self.values[name]
            self.momentum[name] = MU * self.momentum[name] + decayed if name in self.momentum else decayed
            self.values[name] = self.values[name] - LR * self.momentum[name]
        if t >= FIRST_ALIGNED:
            self.project()
        return loss

    def gradients(
        self, x: np.ndarray, y: np.ndarray, domain: np.ndarray
    ) -> tuple[float, dict[str, np.ndarray]]:
        phi = x @ self.values["W"].T
        loss, d_phi = 0.0, np.zeros_like(phi)
        gradients: dict[str, np.ndarray] = {}
        for e in np.unique(domain):
            w, b = self.values[f"w{e}"], self.values[f"b{e}"]
            own = np.flatnonzero(domain == e)
            gradients[f"w{e}"], gradients[f"b{e}"] = np.zeros_like(w), np.zeros_like(b)
            for i in own:
                p = 1 / (1 + np.exp(-(w @ phi[i] + b)))
                loss -= np.log(p if y[i] else 1 - p) / (len(own) * E)
                d_logit = (p - y[i]) / (len(own) * E)
                d_phi[i] += d_logit * w
                gradients[f"w{e}"] += d_logit * phi[i]
                gradients[f"b{e}"] += d_logit
        separability, d_separability = contrastive(phi, 10 * domain + y)
        scale = LAMBDA * TAU / 0.07
        gradients["W"] = (d_phi + scale * d_separability).T @ x
        return loss + scale * separability, gradients

    def project(self) -> None:
        units = [self.values[f"w{e}"] / np.linalg.norm(self.values[f"w{e}"]) for e in range(E)]
        for e in range(E):
            far = min((k for k in range(E) if k != e), key=lambda k: float(units[e] @ units[k]))
            mixed = ALPHA * units[e] + (1 - ALPHA) * units[far]
            norm = np.linalg.norm(self.values[f"w{e}"])
            self.values[f"w{e}"] = norm * mixed / np.linalg.norm(mixed)


def contrastive(phi: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    N = len(phi)
    length = np.linalg.norm(phi, axis=1, keepdims=True)
    z = phi / length
    loss, G = 0.0, np.zeros((N, N))
    for i in range(N):
        others = [t for t in range(N) if t != i]
        alike = [j for j in others if classes[j] == classes[i]]
        weights = {t: np.exp(z[i] @ z[t] / TAU) for t in others}
        total = sum(weights.values())
        loss += (np.log(total) - np.mean([z[i] @ z[j] / TAU for j in alike])) / N
        for t in others:
            G[i, t] = (weights[t] / total - (t in alike) / len(alike)) / N
    g = (G + G.T) @ z / TAU
    return loss, (g - z * (z * g).sum(axis=1, keepdims=True)) / length


def linear_method() -> SaFas:
    torch.manual_seed(5)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, D, bias=False))
    config = SaFasConfig(alpha=ALPHA, align_epoch=1, contrastive_weight=LAMBDA, temperature=TAU)
    return SaFas(backbone, D, E, config, image_size=2, steps_per_epoch=FIRST_ALIGNED).double()


def images_of(domains: list[int], seed: int) -> Batch:
    """Two views of images of these domains with random labels, in 64 bits."""
    generator = torch.Generator().manual_seed(seed)
    domain = torch.tensor(domains)
    labels = torch.randint(0, 2, (len(domains),), generator=generator)
    pixels = torch.rand(2 * len(domains), 3, 2, 2, generator=generator, dtype=torch.float64)
    labels, domain = labels.repeat(2), domain.repeat(2)
    return Batch(pixels, labels, domain, classes_of(labels, domain))


def test_whole_steps_equal_the_rederivation() -> None:
    """Six steps: domain 2 absent in the first (no momentum yet), domain 0 in the fourth (with momentum)."""
    method = linear_method()
    optimizer = torch.optim.SGD(method.parameters(), LR, momentum=MU, weight_decay=DECAY)
    fabric = Fabric(accelerator="cpu", devices=1)
    weight, bias = method.heads.weight.detach().numpy(), method.heads.bias.detach().numpy()
    hand = ByHand({"W": next(method.backbone.parameters()).detach().numpy().copy()})
    for e in range(E):
        hand.values |= {f"w{e}": weight[e].copy(), f"b{e}": bias[e].copy()}
    plan = [[0, 1, 1, 0], [0, 1, 2, 2, 1], [2, 1, 0], [1, 2, 2, 1], [0, 0, 0, 1, 2], [0, 1, 2]]
    for t, domains in enumerate(plan):
        batch = images_of(domains, seed=t)
        terms = take_step(fabric, method, optimizer, batch, t)
        x = batch.images.flatten(1).numpy()
        loss = hand.step(x, batch.labels.numpy(), batch.domains.numpy(), t)
        np.testing.assert_allclose(float(terms["loss"]), loss, rtol=1e-10)
        np.testing.assert_allclose(next(method.backbone.parameters()).detach(), hand.values["W"], rtol=1e-9)
        for e in range(E):
            np.testing.assert_allclose(weight[e], hand.values[f"w{e}"], rtol=1e-9, err_msg=f"w{e}, step {t}")
            np.testing.assert_allclose(bias[e], hand.values[f"b{e}"], rtol=1e-9, err_msg=f"b{e}, step {t}")


def test_an_absent_head_is_left_wholly_alone() -> None:
    """Neither decay nor momentum moves it, though both are large; its momentum stays too."""
    method = linear_method()
    optimizer = torch.optim.SGD(method.parameters(), LR, momentum=MU, weight_decay=0.5)
    fabric = Fabric(accelerator="cpu", devices=1)
    take_step(fabric, method, optimizer, images_of([0, 1, 2], seed=0), 0)
    before = [parameter[1].detach().clone() for parameter in method.heads.parameters()]
    momentum = [optimizer.state[p]["momentum_buffer"][1].clone() for p in method.heads.parameters()]
    take_step(fabric, method, optimizer, images_of([0, 2, 2], seed=1), 1)
    for parameter, old, old_momentum in zip(method.heads.parameters(), before, momentum, strict=True):
        assert torch.equal(parameter[1], old)
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"][1], old_momentum)
        assert not torch.equal(parameter[0], old)
