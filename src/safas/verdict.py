"""What a predictor says of one presentation."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from safas.faces import Box

Label = Literal["live", "spoof", "unsure", "no_face"]


@dataclass(frozen=True)
class Reason:
    """Why a verdict is what it is: a `code` for programs and a `text` for people.

    Codes: above_pass, below_deny, between_thresholds, no_face, too_few_faces, unfamiliar (each decides a verdict),
    several_faces, turned (each only tells something).
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Verdict:
    """One presentation judged. Shares and scores in [0, 1], higher = more live; boxes in pixels of the upright frame.

    Only "live" lets a person pass: "unsure" and "no_face" are no acceptance.
    """

    label: Label
    threshold: float
    """the operating point of the bundle: the pooled EER of source validation"""
    score: float | None = None
    """P(live) as the network says, fused over the frames; None without a usable face"""
    probability: float | None = None
    """the score calibrated on source validation, for equally many live faces and attacks; None without a usable face"""
    box: Box | None = None
    """the face in the middle one of the frames that show it"""
    nearest_domain: str | None = None
    """the training domain that the face looks most like"""
    distance: float | None = None
    """to that domain, in standard deviations of its features"""
    reasons: tuple[Reason, ...] = ()
    frames: int = 0
    """looked at"""
    frames_used: int = 0
    """of these, how many show the face"""
    frame_scores: tuple[float | None, ...] = ()
    """P(live) of each frame looked at; None where the face was not found"""
    boxes: tuple[Box | None, ...] = ()
    """the face in each frame looked at"""
    rotation: int = 0
    """degrees clockwise by which the frames were turned to stand upright"""
    timings: Mapping[str, float] = field(default_factory=dict)
    """seconds for: decode, detect, crop, score"""

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        plain = dataclasses.asdict(self)
        for name in ("reasons", "frame_scores", "boxes"):
            plain[name] = list(plain[name])
        return plain
