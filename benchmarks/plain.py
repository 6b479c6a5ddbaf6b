"""SA-FAS's training loop as one writes it from the PyTorch tutorials: what `training.py` measures ours against.

32 bits, channels first; a PIL decode and torchvision's transforms for each view of each image, in DataLoader workers;
Khosla's supervised contrastive loss in its usual form, a linear layer a domain, the projection row by row, `.item()`
after each step. It knows nothing of safas.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Video:
    """The files of a video's crops; label 1 live, 0 spoof; domain 0 .. E-1."""

    crops: Sequence[Path]
    label: int
    domain: int


class Faces(Dataset):
    """Two random views of a random crop of each video."""

    def __init__(self, videos: Sequence[Video], size: int) -> None:
        self.videos = videos
        self.transform = transforms.Compose(
            [
                transforms.RandomRotation(180),
                transforms.RandomResizedCrop(size, scale=(0.2, 1.0), ratio=(1.0, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int, int]:
        video = self.videos[index]
        image = Image.open(random.choice(video.crops)).convert("RGB")
        return self.transform(image), self.transform(image), video.label, video.domain


def supcon(features: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """features [N, D] of norm 1, both views; each anchor's mean log-probability of its positives."""
    logits = features @ features.T / temperature
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    not_self = 1 - torch.eye(len(features))
    positive = (classes[:, None] == classes[None, :]).float() * not_self
    log_prob = logits - (logits.exp() * not_self).sum(dim=1, keepdim=True).log()
    return -((positive * log_prob).sum(dim=1) / positive.sum(dim=1).clamp(min=1)).mean() * (
        temperature / 0.07
    )


class Plain:
    """The loop, a step at a time."""

    def __init__(self, videos: Sequence[Video], size: int, batch: int, workers: int, seed: int) -> None:
        random.seed(seed)
        torch.manual_seed(seed)
        self.domains = 1 + max(video.domain for video in videos)
        self.backbone = torchvision.models.resnet18()
        self.backbone.fc = nn.Identity()
        self.heads = nn.ModuleList(nn.Linear(512, 1) for _ in range(self.domains))
        parameters = [*self.backbone.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=0.005, momentum=0.9, weight_decay=5e-4)
        self.loader = DataLoader(
            Faces(videos, size),
            batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        self.batches = self.endless()

    def endless(self) -> Iterator[tuple[Tensor, ...]]:
        """Epoch after epoch."""
        while True:
            yield from self.loader

    def step(self) -> float:
        """One step of training; its loss."""
        left, right, label, domain = next(self.batches)
        label, domain = torch.cat([label, label]).float(), torch.cat([domain, domain])
        features = self.backbone(torch.cat([left, right]))
        risk = torch.zeros(())
        for number, head in enumerate(self.heads):
            of = domain == number
            if of.any():
                risk = risk + functional.binary_cross_entropy_with_logits(head(features[of])[:, 0], label[of])
        contrast = supcon(functional.normalize(features), 2 * domain + label.long(), 0.1)
        loss = risk / self.domains + 0.1 * contrast
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.align(0.995)
        return loss.item()

    @torch.no_grad()
    def align(self, alpha: float) -> None:
        """Turn each head towards the one farthest from it, from the old directions."""
        old = [functional.normalize(head.weight[0], dim=0) for head in self.heads]
        for number, head in enumerate(self.heads):
            others = [place for place in range(self.domains) if place != number]
            farthest = min(others, key=lambda place, own=old[number]: (own @ old[place]).item())
            turned = functional.normalize(alpha * old[number] + (1 - alpha) * old[farthest], dim=0)
            head.weight[0] = head.weight[0].norm() * turned
