"""How long is the gradient of a method's penalty beside that of the risk? On training crops alone.

    python benchmarks/penalties.py RUN PREPARED

RUN is a run of ERM whose chosen weights are there. For each method with a penalty: |grad penalty| / |grad risk| by the
backbone's weights, the penalty's weight being 1 and the batch norms on statistics of the batch, the mean over BATCHES
batches of RUN's training crops: at random weights, and at those of RUN's chosen epoch; the latter also times the weight
of the demo's settings and times the published one. Fishr's averaged variances are taken as settled: its gradient is
1 / (1 - gamma) times that of a first step.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from safas.batches import Batch, CropStore, Sampler
from safas.methods import CONFIGS, METHODS, Method
from safas.methods.fishr import FishrConfig
from safas.model import backbone
from safas.prepared import prepared_samples
from safas.protocols import source_data
from safas.training import preset
from safas.training.step import make_batch
from safas.training.teaching import read_teacher, validated

BATCHES = 4
PENALTIES = {  # method: (the part of its step's output, the setting that is its weight)
    "irm": ("penalty", "penalty_weight"),
    "vrex": ("variance", "penalty_weight"),
    "fishr": ("penalty", "penalty_weight"),
    "coral": ("coral", "coral_weight"),
}


def length(of: Tensor, method: Method) -> float:
    """|grad| by the backbone's weights."""
    gradients = torch.autograd.grad(of, list(method.backbone.parameters()), retain_graph=True)
    return float(torch.stack([one.norm() for one in gradients]).norm())


def ratio(method: Method, part: str, batches: list[Batch]) -> float:
    """Mean of |grad penalty| / |grad risk|."""
    ratios = []
    for batch in batches:
        parts = method.loss(batch, 0).parts
        ratios.append(length(parts[part], method) / length(parts["risk"], method))
    return sum(ratios) / len(ratios)


def main() -> int:
    """Print one line a method."""
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    run, prepared = map(Path, sys.argv[1:])
    teacher, epoch = read_teacher(run), validated(run).epoch
    config, sources = teacher.config, teacher.protocol.sources
    data = source_data(teacher.protocol, prepared_samples(prepared))
    store = CropStore(prepared, data.train, sources)
    sampler = Sampler(store, config.batch, config.sampling, config.seed)
    batches = [make_batch(sampler, config, 2, step, torch.device("cpu")) for step in range(BATCHES)]
    print(
        f"|grad penalty| / |grad risk|, training crops of run {run.name} (simulated faces), {BATCHES} batches"
    )
    print(
        f"{'method':8} {'random weights':>15} {f'epoch {epoch}':>10} {'as in demo':>12} {'as published':>13}"
    )
    for name, (part, weight) in PENALTIES.items():
        published, demo = (getattr(preset(of, name).method, weight) for of in ("paper", "demo"))
        own: Any = CONFIGS[name]()
        settled = 1.0
        if isinstance(own, FishrConfig):
            settled, own = 1 / (1 - own.gamma), replace(own, gamma=0.0)
        found = []
        for is_trained in (False, True):
            torch.manual_seed(0)
            trunk, dim = backbone(config.backbone, "none")
            method_class: Any = METHODS[name]
            method = method_class(trunk, dim, len(sources), own, config.image_size, 1)
            if is_trained:
                method.scoring_net().load_state_dict(teacher.net.state_dict())
            found.append(settled * ratio(method.train(), part, batches))
        columns = (f"{found[0]:15.3f}", f"{found[1]:10.3f}", f"{demo * found[1]:12.2f}")
        print(f"{name:8}", *columns, f"{published * found[1]:13.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
