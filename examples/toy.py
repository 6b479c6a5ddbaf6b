"""The method in the plane: three domains, a feature space of two dimensions, and the hyperplanes as lines in it.

    python examples/toy.py [toy.html] [--seeds 5]

Along the second axis live and spoof part in every domain. Each domain adds an accident of its own: its step from
spoof to live leans towards the first axis, by 50, 30 and 10 degrees. In the fourth domain, which nobody trains on, it
leans the other way. Everything is made up: the paper (Sun et al. 2023) has a toy of its own, whose data we do not
have.

The networks see points as images of one pixel, and are the package's own methods with their own losses and heads: ERM,
SA-FAS with alpha = 1 (separable, never aligned), and SA-FAS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import tyro
from scipy.special import expit
from torch import Tensor, nn

from safas.batches import Batch, classes_of
from safas.figures.embedding import affine
from safas.figures.planes import Plane, judged_in_words, plane_spec
from safas.figures.plotting import Figure
from safas.files import write_file
from safas.losses import domain_means
from safas.methods import METHODS, Method, MethodConfig
from safas.methods.erm import ErmConfig
from safas.methods.sa_fas import SaFasConfig
from safas.metrics import auc, eer, hter
from safas.model import mean_cosine
from safas.offline import page
from safas.tables import Table, plain_table, to_markdown
from safas.training.scoring import alignment, separability

# Where a domain lies on the first axis, and by how many degrees its step from spoof to live leans towards it.
SOURCES = {"A": (-2.0, 50.0), "B": (0.0, 30.0), "C": (2.0, 10.0)}
UNSEEN = {"D": (4.0, -30.0)}
POINTS, SCATTER = 100, (0.3, 0.5)  # of every domain, half of them live; standard deviation along both axes
STEPS, BATCH, NOISE = 400, 96, 0.1  # NOISE: standard deviation of what makes two views of a point differ

COMPARED: Mapping[str, MethodConfig] = {
    "ERM": ErmConfig(),
    "separable, not aligned": SaFasConfig(alpha=1.0),
    "SA-FAS": SaFasConfig(alpha=0.95, align_epoch=100),  # a step is an epoch here
}
TITLES = {
    "ERM": "ERM: one line for all",
    "separable, not aligned": "Separable, not aligned: a line each",
    "SA-FAS": "SA-FAS: separable and aligned",
}
NUMBERS = {  # what is measured -> the column's title and its decimals
    "cosine": ("mean cosine of heads", 3),
    "separability": ("separability", 2),
    "alignment": ("alignment", 2),
    "lean": ("lean, degrees", 0),
    "own": ("HTER inside, own heads, %", 1),
    "inside": ("HTER inside, %", 1),
    "unseen": ("HTER on D, %", 1),
    "auc": ("AUC on D, %", 1),
}
NOTICE = (
    "Made-up points: not the data of the paper's own toy, which we do not have, and no evidence about faces."
)
LEDE = (
    "Three domains A, B and C whose live and spoof points part in three directions, and a fourth, D, that nobody "
    "trained on. The plane is the feature space itself, two-dimensional, so nothing is projected. Discs are live, "
    "crosses spoof; the fuller a mark, the more live it is judged. The background is the decision value, the thick "
    "line the threshold from A, B and C; the dashed lines are the heads of A, B and C alone."
)


class Features(nn.Module):
    """phi(x) = x + a small network that starts at 0: training starts from the data as it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.bend = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        nn.init.zeros_(self.bend[2].weight)
        nn.init.zeros_(self.bend[2].bias)

    def forward(self, images: Tensor) -> Tensor:
        """images [N, 3, 1, 1], of which the third channel is empty -> features [N, 2]."""
        points = images[:, :2, 0, 0]
        return points + self.bend(points)


@dataclass(frozen=True)
class Points:
    """points [N, 2]; labels [N], 1 = live; domains [N], counted from 0 in the order of `names`."""

    points: Tensor
    labels: Tensor
    domains: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """A trained method, its threshold (a logit, from the training domains) and what was measured (NUMBERS)."""

    method: Method
    threshold: float
    numbers: Mapping[str, float]


def draw(domains: Mapping[str, tuple[float, float]], generator: torch.Generator) -> Points:
    """POINTS of every domain."""
    drawn = []
    for place, lean in domains.values():
        sides = 2.0 * (torch.arange(POINTS) % 2) - 1
        step = torch.tensor([np.sin(np.radians(lean)), np.cos(np.radians(lean))], dtype=torch.float32)
        scatter = torch.randn(POINTS, 2, generator=generator) * torch.tensor(SCATTER)
        drawn.append(torch.tensor([place, 0.0]) + sides[:, None] * step + scatter)
    labels = (torch.arange(POINTS) % 2).repeat(len(domains))
    return Points(
        torch.cat(drawn), labels, torch.arange(len(domains)).repeat_interleave(POINTS), tuple(domains)
    )


def fit(config: MethodConfig, seed: int) -> Fit:
    """Train a method on the three domains and measure it on the fourth."""
    generator = torch.Generator().manual_seed(seed)
    sources, unseen = draw(SOURCES, generator), draw(UNSEEN, generator)
    torch.manual_seed(seed)
    method_class: Any = METHODS[config.name]  # each takes its own kind of settings
    method: Method = method_class(Features(), 2, len(SOURCES), config, 1, 1)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    for step in range(STEPS):
        output = method.loss(_batch(sources, generator), step)
        optimizer.zero_grad()
        output.total.backward()
        optimizer.step()
        method.after_step(step)
    return _measured(method, sources, unseen)


def run(seed: int) -> dict[str, Fit]:
    """All three on the same points."""
    return {name: fit(config, seed) for name, config in COMPARED.items()}


def figures(fits: Mapping[str, Fit], seed: int) -> list[Figure]:
    """The three panels, in the feature space of each."""
    return [_panel(f"panel-{i}", name, fit, seed) for i, (name, fit) in enumerate(fits.items())]


def table(of_seeds: list[dict[str, Fit]]) -> Table:
    """What was measured: the mean over the seeds, and of several its standard deviation (divisor n - 1)."""
    lines = []
    for name in COMPARED:
        cells = []
        for number, (_, digits) in NUMBERS.items():
            values = [fits[name].numbers[number] for fits in of_seeds]
            spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.{digits}f}{spread}")
        lines.append((name, *cells))
    seeds = "seed 0" if len(of_seeds) == 1 else f"mean and std over {len(of_seeds)} seeds"
    return plain_table(f"Made-up points, {seeds}", ("", *(title for title, _ in NUMBERS.values())), lines)


def main(out: tyro.conf.Positional[Path] = Path("toy.html"), seeds: int = 1) -> None:
    """Draw the three panels of seed 0 into one offline page, and print what was measured over the seeds."""
    if seeds < 1 or out.is_dir():
        raise SystemExit(f"seeds = {seeds} is below 1" if seeds < 1 else f"{out} is a folder: name a file")
    torch.set_num_threads(1)
    of_seeds = [run(seed) for seed in range(seeds)]
    measured = table(of_seeds)
    panels = figures(of_seeds[0], seed=0)
    said = {"title": "Separability and alignment in the plane", "notice": NOTICE, "lede": LEDE}
    write_file(out, page("gallery.html", panels, **said, figures=panels, table=measured))
    print(to_markdown(measured))
    print(f"page: {out.resolve().as_uri()}")


def _images(points: Tensor) -> Tensor:
    return torch.cat([points, torch.zeros(len(points), 1)], dim=1)[:, :, None, None]


def _batch(data: Points, generator: torch.Generator) -> Batch:
    """BATCH points, each twice with its own noise: the two views of the contrastive loss."""
    chosen = torch.randperm(len(data.labels), generator=generator)[:BATCH].repeat(2)
    views = data.points[chosen] + NOISE * torch.randn(len(chosen), 2, generator=generator)
    labels, domains = data.labels[chosen], data.domains[chosen]
    return Batch(_images(views), labels, domains, classes_of(labels, domains))


def _decision(method: Method, data: Points) -> np.ndarray:
    """The mean logit [N]."""
    with torch.no_grad():
        return method.heads(method.backbone(_images(data.points))).mean(dim=1).double().numpy()


def _measured(method: Method, sources: Points, unseen: Points) -> Fit:
    inside, outside = _decision(method, sources), _decision(method, unseen)
    live, outside_live = sources.labels.numpy() == 1, unseen.labels.numpy() == 1
    threshold = eer(scores=inside, live=live)[1]
    with torch.no_grad():
        features = method.backbone(_images(sources.points))
        logits, features = method.heads(features).double().numpy(), features.numpy()
        weight = method.heads.weight.detach()
    domains = sources.domains.numpy()
    own = logits[np.arange(len(domains)), domains % logits.shape[1]]  # one head is everybody's own
    numbers = {
        "cosine": float(mean_cosine(weight)),
        "separability": separability(features, 2 * domains + live),
        "alignment": alignment(features, live, domains, weight.mean(dim=0).numpy()),
        "lean": lean(method, sources),
        "own": 100 * eer(scores=own, live=live)[0],
        "inside": 100 * hter(scores=inside, live=live, threshold=threshold),
        "unseen": 100 * hter(scores=outside, live=outside_live, threshold=threshold),
        "auc": 100 * auc(scores=outside, live=outside_live),
    }
    return Fit(method, threshold, numbers)


def lean(method: Method, data: Points) -> float:
    """By how many degrees the decision leans towards the accident, the mean over the domains.

    The angle in the plane of the points between the decision's mean slope in a domain and the second axis; 0 is
    blind to the accident, and the domains themselves lean by 30 on average.
    """
    images = _images(data.points).requires_grad_()
    method.heads(method.backbone(images)).mean(dim=1).sum().backward()
    assert images.grad is not None
    slopes = domain_means(images.grad[:, :2, 0, 0].T, data.domains, len(data.names))
    return float(torch.rad2deg(torch.atan2(slopes[0], slopes[1])).mean())


def _panel(key: str, name: str, fit: Fit, seed: int) -> Figure:
    generator = torch.Generator().manual_seed(seed)
    parts = [draw(SOURCES, generator), draw(UNSEEN, generator)]  # the very points that `fit` drew
    points, logits = [], []
    with torch.no_grad():
        for part in parts:
            points.append(fit.method.backbone(_images(part.points)).double().numpy())
            logits.append(fit.method.heads(fit.method.backbone(_images(part.points))).double().numpy())
    where, each = np.concatenate(points), np.concatenate(logits)
    rows = pl.concat([_rows(part, seen=part is parts[0]) for part in parts])
    decision = each.mean(axis=1)
    plane = Plane(
        points=where,
        table=rows.with_columns(pl.Series("decision", decision), pl.Series("score", expit(decision))),
        threshold=fit.threshold,
        surface=affine(where, decision),
        heads={domain: affine(where, logit) for domain, logit in zip(SOURCES, each.T, strict=False)},
    )
    words = (
        f"Mean cosine of the heads {fit.numbers['cosine']:.3f}. HTER {fit.numbers['inside']:.1f} % inside, "
        f"{fit.numbers['unseen']:.1f} % on D, which it never saw."
    )
    spec = plane_spec(plane)
    spec["layout"]["yaxis"] |= {"scaleanchor": "x"}  # one scale for both axes, so that angles are true
    spec["layout"]["height"] = 420
    alt = f"{TITLES[name]}. {words} {judged_in_words(plane)}"
    return Figure(key, TITLES[name], words, alt, spec)


def _rows(data: Points, *, seen: bool) -> pl.DataFrame:
    labels = ["live" if label else "spoof" for label in data.labels.tolist()]
    return pl.DataFrame(
        {
            "domain": [data.names[domain] for domain in data.domains.tolist()],
            "label": labels,
            "attack": labels,
            "seen": [seen] * len(labels),
        }
    )


if __name__ == "__main__":
    tyro.cli(main)
