"""The network: a backbone, one linear head a domain, and the net that goes from uint8 crops to P(live).

Everything that training and scoring must agree on (the scale of the pixels, ImageNet's mean and deviation) is
inside the modules, so that no caller can forget it.
"""

import copy
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import safetensors.torch
import torch
import torchvision
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn
from torch.nn import functional

from safas.errors import InputError
from safas.files import fetch, sha256
from safas.losses import domain_risks

Aligned = Literal["direction", "hyperplane"]
ScoreRule = Literal["hyperplane", "probability"]
SCORE_RULES: tuple[ScoreRule, ...] = get_args(ScoreRule)

# Where pinned ImageNet weights are published, and the SHA-256 of the file.
IMAGENET = {
    "resnet18": (
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    )
}
WEIGHTS_VARIABLE = "SAFAS_BACKBONE_WEIGHTS"


def mean_cosine(weight: Float[Tensor, "E D"]) -> Float[Tensor, ""]:
    """Mean cosine over the pairs of different rows, in [-1, 1]; 1 when there is one row only."""
    E = weight.shape[0]
    if E == 1:
        return weight.new_ones(())
    u = functional.normalize(weight, dim=1)
    return (u.sum(dim=0).square().sum() - u.square().sum()) / (E * (E - 1))


def aligned(weight: Float[Tensor, "E D"], alpha: float) -> Float[Tensor, "E D"]:
    """One PG-IRM projection of the hyperplanes' normals (Sun et al. 2023, as the authors' code does it).

    Every row turns towards the row farthest from it in angle, all at once from the old rows:
    w_e <- |w_e| * normalise(alpha * u_e + (1 - alpha) * u_far(e)), u = w / |w|, far(e) = argmin_{k != e}
    u_e.u_k. Norms are kept; a tie goes to the lower index; alpha = 1 changes nothing, bit for bit. One row alone is
    returned as it is. Raises InputError when alpha is not in (0, 1].
    """
    check_alpha(alpha)
    E = weight.shape[0]
    if E == 1 or alpha == 1:
        return weight
    u = functional.normalize(weight, dim=1)
    itself = torch.eye(E, dtype=torch.bool, device=weight.device)
    farthest = (u @ u.T).masked_fill(itself, torch.inf).argmin(dim=1)  # argmin returns the first of equals
    turned = functional.normalize(alpha * u + (1 - alpha) * u[farthest], dim=1)
    norms: Tensor = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    return norms * turned


def drawn_together(beta: Float[Tensor, "E K"], alpha: float) -> Float[Tensor, "E K"]:
    """One PG-IRM projection of whole hyperplanes, in the paper's own metric (Sun et al. 2023).

    beta_e may be no farther than alpha times its present distance from the hyperplane that is farthest from it,
    far(e) = argmax_{k != e} |beta_e - beta_k|, Euclidean. The point of this ball nearest to beta_e lies on the line
    between them: beta_e <- alpha * beta_e + (1 - alpha) * beta_far(e), all at once from the old rows. A tie goes to
    the lower index; alpha = 1 changes nothing, bit for bit. One row alone is returned as it is. Raises InputError
    when alpha is not in (0, 1].
    """
    check_alpha(alpha)
    E = beta.shape[0]
    if E == 1:
        return beta
    # Row by row: the usual way by a matrix product loses the small distances of hyperplanes that nearly coincide.
    distances = torch.stack([torch.linalg.vector_norm(beta - row, dim=1) for row in beta])
    itself = torch.eye(E, dtype=torch.bool, device=beta.device)
    farthest = distances.masked_fill(itself, -torch.inf).argmax(dim=1)  # argmax returns the first of equals
    return alpha * beta + (1 - alpha) * beta[farthest]


def check_alpha(alpha: float) -> None:
    """Raises InputError when alpha is not in (0, 1]."""
    if not 0 < alpha <= 1:
        raise InputError(f"alpha = {alpha} is not in (0, 1]", where="method.alpha")


class DomainHeads(nn.Module):
    """One hyperplane a domain: E linear classifiers over the same features.

    weight [E, D], bias [E]; both start as U(-1/sqrt(D), 1/sqrt(D)), torch's default for a linear layer.
    Positive logit = live.
    """

    def __init__(self, in_features: int, num_domains: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(num_domains, in_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_domains).uniform_(-bound, bound))

    @property
    def num_domains(self) -> int:
        """E."""
        return self.weight.shape[0]

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N E"]:
        """Logits of every sample under every head."""
        return functional.linear(features, self.weight, self.bias)

    def risk(
        self, features: Float[Tensor, "N D"], labels: Shaped[Tensor, "N"], domains: Int[Tensor, "N"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "E"]]:
        """The risks R_e [E] and their mean over the E domains.

        R_e is the mean binary cross-entropy of head e over the samples of domain e; each sample meets its own
        domain's head only. labels: 1 live, 0 spoof. A domain without a sample has risk 0 and the divisor
        stays E.
        """
        own = self(features).gather(1, domains[:, None].long()).squeeze(1)
        risks = domain_risks(own, labels, domains, self.num_domains)
        return risks.mean(), risks

    @torch.no_grad()
    def align_(self, alpha: float) -> float:
        """One PG-IRM projection in place (see `aligned`); returns the mean pairwise cosine BEFORE it.

        Norms and biases stay; alpha in (0, 1], smaller = faster alignment. Fetches one number from the
        device; `mean_cosine` and `project_` do the same without.
        """
        before = float(mean_cosine(self.weight))
        self.project_(alpha)
        return before

    @torch.no_grad()
    def project_(self, alpha: float, what: Aligned = "direction") -> None:
        """One PG-IRM projection in place: of the directions (`aligned`) or of all of (w, b) (`drawn_together`)."""
        if what == "direction":
            self.weight.copy_(aligned(self.weight, alpha))
            return
        beta = drawn_together(torch.cat([self.weight, self.bias[:, None]], dim=1), alpha)
        self.weight.copy_(beta[:, :-1])
        self.bias.copy_(beta[:, -1])

    def score(self, features: Float[Tensor, "N D"], rule: ScoreRule = "hyperplane") -> Float[Tensor, "N"]:
        """P(live) in [0, 1], higher = more live.

        "hyperplane": sigmoid of the mean logit over the domains (the paper). "probability": mean over the
        domains of the sigmoids (the authors' code). The same thing when E = 1. Raises InputError for another
        rule.
        """
        logits: Tensor = self(features)
        if rule == "hyperplane":
            return logits.mean(dim=1).sigmoid()
        if rule == "probability":
            return logits.sigmoid().mean(dim=1)
        raise InputError(
            f"no score rule is called {rule!r}", remedy=f"Choose from: {', '.join(SCORE_RULES)}."
        )


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers from each size to the next, ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.ReLU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers[1:])


class Normalised(nn.Module):
    """A trunk behind ImageNet's normalisation: images [N, 3, H, W] in [0, 1] -> features [N, D]."""

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        # As wide as a row: ONNX Runtime's 8 bits turn the image channels last, where what is broadcast along three
        # values alone takes a millisecond at 256 pixels.
        mean, std = (value.expand(3, 1, images.shape[-1]) for value in (self.mean, self.std))
        features: Tensor = self.trunk((images - mean) / std)
        return features


class ScoringNet(nn.Module):
    """What is evaluated and exported: uint8 crops in, P(live) out; resizing and normalising are inside.

    backbone: images [N, 3, H, W] float in [0, 1] -> features [N, D]. rule: see `DomainHeads.score`.
    image_size: side in pixels that the backbone sees. crop_scale: share of the crop's AREA that is looked at,
    in (0, 1] (the centre; the authors test with torchvision's random resized crop fixed at scale 0.9). No
    random number.
    """

    def __init__(
        self,
        backbone: nn.Module,
        heads: DomainHeads,
        rule: ScoreRule,
        image_size: int,
        crop_scale: float = 0.9,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.rule = backbone, heads, rule
        self.image_size, self.crop_scale = image_size, crop_scale

    def features(self, crops: UInt8[Tensor, "N 3 S S"]) -> Float[Tensor, "N D"]:
        """phi, not normalised."""
        side = crops.shape[-1]
        kept = max(1, round(side * math.sqrt(self.crop_scale)))
        start = (side - kept) // 2
        images = crops[:, :, start : start + kept, start : start + kept].float() / 255
        size = (self.image_size, self.image_size)
        phi: Tensor = self.backbone(functional.interpolate(images, size, mode="bilinear", antialias=True))
        return phi

    def logits(self, crops: UInt8[Tensor, "N 3 S S"]) -> Float[Tensor, "N E"]:
        """Logits under every domain's head; positive = live."""
        logits: Tensor = self.heads(self.features(crops))
        return logits

    def forward(self, crops: UInt8[Tensor, "N 3 S S"]) -> Float[Tensor, "N"]:
        """P(live) in [0, 1], higher = more live."""
        return self.heads.score(self.features(crops), self.rule)


def backbone(name: str = "resnet18", weights: str = "none") -> tuple[nn.Module, int]:
    """A torchvision network without its last linear layer, and the number D of its features.

    weights: "none" (random), "imagenet" (downloaded once and checked against a pinned SHA-256; the
    environment variable SAFAS_BACKBONE_WEIGHTS=/path.pth takes its place offline) or the path of a .pth or
    .safetensors file. The module maps images [N, 3, H, W] in [0, 1] to features [N, D]; the normalisation is
    inside. Raises InputError for an unknown name and for weights that cannot be had or do not fit.
    """
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InputError(
            f"torchvision has no network called {name!r} that tells classes of images apart",
            remedy="Try resnet18, resnet50 or mobilenet_v3_small.",
        )
    trunk = torchvision.models.get_model(name, weights=None)
    if weights != "none":
        _load(trunk, _weights_file(name, weights))
    linear = {path: module for path, module in trunk.named_modules() if isinstance(module, nn.Linear)}
    if not linear:
        raise InputError(f"the network {name!r} does not end in a linear layer", remedy="Try resnet18.")
    last = list(linear)[-1]
    trunk.set_submodule(last, nn.Identity())
    return Normalised(trunk), linear[last].in_features


def check_fits(trunk: nn.Module, dim: int, side: int) -> None:
    """Raises InputError when the trunk cannot be trained on images [N, 3, side, side] to features [N, dim].

    Nothing is computed and no random number is drawn.
    """
    try:
        made = copy.deepcopy(trunk).to("meta").train()(torch.empty(2, 3, side, side, device="meta"))
        why = "" if isinstance(made, Tensor) and made.shape == (2, dim) else f"gives {type(made).__name__}"
    except Exception as error:  # each network has its own way to say no
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if why:
        raise InputError(
            f"the backbone cannot be trained on images of {side} pixels ({why})",
            remedy="Try resnet18, resnet50 or mobilenet_v3_small, or another image_size.",
        )


def _weights_file(name: str, weights: str) -> Path:
    """The file on disk: the given path, the variable's, or the pinned download."""
    given = os.environ.get(WEIGHTS_VARIABLE, "") if weights == "imagenet" else weights
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise InputError("no such file with backbone weights", where=str(path))
        return path
    if name not in IMAGENET:
        raise InputError(
            f"no ImageNet weights are pinned for {name!r}",
            remedy=f"Give the path of a .pth or .safetensors file, or use {', '.join(IMAGENET)}.",
        )
    return _download(*IMAGENET[name])


def _download(url: str, pinned: str) -> Path:
    path = Path.home() / ".cache" / "safas" / url.rsplit("/", 1)[-1]
    remedy = f"Fetch {url} by hand and set {WEIGHTS_VARIABLE} to its path, or train with weights 'none'."
    if not path.is_file():
        fetch(url, pinned, path, what="the ImageNet weights", remedy=remedy)
    elif sha256(path.read_bytes()) != pinned:
        raise InputError(
            "the file is not the one that is pinned (SHA-256 differs)", where=str(path), remedy=remedy
        )
    return path


def _load(trunk: nn.Module, path: Path) -> None:
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)  # never runs code from the file
        trunk.load_state_dict(state)
    except Exception as error:  # torch, pickle and safetensors each raise their own kinds for a bad file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"the weights do not fit the backbone ({first})", where=str(path)) from error
