"""GroupDRO: the worst domain's risk (Sagawa, Koh, Hashimoto, Liang, ICLR 2020, arXiv 1911.08731, algorithm 1).

min over theta, max over q of sum_e q_e R_e, q on the simplex. Every step: q_e <- q_e exp(eta R_e), normalised to
sum 1, then one SGD step on L = sum_e q_e R_e, q held fixed. It starts at q_e = 1/E.

Where we differ: the paper's groups are pairs of label and attribute; ours are the domains, as in DomainBed.
The group adjustment (the paper's C / sqrt(n)) and its stronger weight decay are left out. A domain absent from
the batch has risk 0, as in the authors' code: its q_e is rescaled only, and the others' weights in L sum to
less than 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from safas.batches import Batch
from safas.methods.base import Method, StepOutput, by_domain, check_not_negative
from safas.model import DomainHeads


@dataclass(frozen=True)
class GroupDroConfig:
    """GroupDRO's setting; the default is that of the authors' code and of DomainBed."""

    name: Literal["group-dro"] = "group-dro"
    eta: float = 0.01
    """>= 0, step size of the domains' weights; 0 keeps them equal"""

    def __post_init__(self) -> None:
        check_not_negative(self, "eta")


class GroupDro(Method):
    """Risks of the domains under one head, weighed by how large they have been."""

    views: ClassVar[int] = 2
    q: Float[Tensor, "E"]

    def __init__(
        self,
        backbone: nn.Module,
        dim: int,
        num_domains: int,
        config: GroupDroConfig,
        image_size: int,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone, self.heads, self.image_size = backbone, DomainHeads(dim, 1), image_size
        self.config, self.num_domains = config, num_domains
        self.register_buffer("q", torch.full((num_domains,), 1 / num_domains))

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """L = sum_e q_e R_e, after q's own step."""
        made = by_domain(self, batch, self.num_domains)
        self.q.copy_(ascended(self.q, made.risks.detach(), self.config.eta))
        # A copy of q goes into the graph: the buffer itself changes at the next step.
        return made.output(made.risks @ self.q.clone(), largest_weight=self.q.max())


def ascended(q: Float[Tensor, "E"], risks: Float[Tensor, "E"], eta: float) -> Float[Tensor, "E"]:
    """One step of exponentiated gradient ascent: q_e exp(eta R_e), normalised to sum 1."""
    grown = q * (eta * risks).exp()
    return grown / grown.sum()
