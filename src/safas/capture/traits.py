"""Drawing a person: what they look like besides the shape, and the shape itself from MakeHuman's targets."""

import numpy as np

from safas.capture.mesh import Floats, as_floats, lower_arms, template
from safas.capture.skin import Traits


def draw_traits(rng: np.random.Generator) -> Traits:
    """Everything about a person but the shape; all tones of skin are equally likely."""
    melanin = float(rng.uniform(0.06, 1.0) if rng.random() < 0.65 else rng.uniform(1.0, 2.3))
    age, male = float(rng.beta(1.3, 1.8)), float(rng.random() < 0.5)
    bearded = male > 0.5 and rng.random() < 0.35
    dark = melanin > 0.55 or rng.random() < 0.35
    fair = as_floats([[0.30, 0.19, 0.09], [0.13, 0.07, 0.035], [0.20, 0.07, 0.025], [0.42, 0.29, 0.15]])
    colour = as_floats([0.018, 0.013, 0.010]) if dark else fair[rng.integers(4)]
    irises = as_floats([[0.10, 0.045, 0.018], [0.16, 0.24, 0.34], [0.16, 0.19, 0.10], [0.24, 0.14, 0.06]])
    return Traits(
        melanin=melanin,
        blood=float(rng.uniform(0.12, 0.42)),
        age=age,
        male=male,
        freckles=float(max(rng.normal(-0.1, 0.5), 0)) if melanin < 0.5 else 0.0,
        blemishes=float(rng.beta(1, 3)),
        oil=float(rng.uniform(0.4, 1.4)),
        beard=float(rng.uniform(0.6, 1.0)) if bearded else male * float(rng.beta(1, 2.5)) * 0.45,
        moustache=float(rng.uniform(0.5, 1.0)) if bearded else male * float(rng.beta(1, 2.5)) * 0.45,
        brow_density=float(rng.uniform(0.65, 1.0)),
        brow_height=float(rng.normal(0.0, 0.02)),
        brow_thickness=float(rng.uniform(0.035, 0.055) + 0.015 * male),
        make_up=float((1 - male) * rng.beta(1, 1.5)),
        hair=(colour * np.float32(rng.uniform(0.7, 1.4))).astype(np.float32),
        grey=float(np.clip((age - 0.55) * 2.2 + rng.normal(0, 0.15), 0, 0.9)) if age > 0.45 else 0.0,
        iris=(irises[0 if dark else rng.integers(4)] * np.float32(rng.uniform(0.7, 1.3))).astype(np.float32),
        cloth=(rng.uniform(0.02, 0.6, 3) * 0.5 + np.float32(rng.uniform(0.01, 0.35))).astype(np.float32),
    )


def draw_shape(traits: Traits, rng: np.random.Generator) -> Floats:
    """Points [P', 3] in template coordinates: the population's macro targets, then many small local ones."""
    head = template()
    weights = _macro_weights(traits, rng)
    for trait, rivals in _rivals(head.names).items():
        amount = float(np.clip(rng.normal(0, _spread(trait)), -0.8, 0.8))
        wanted = [stem for stem in sorted(rivals) if _is_positive(stem) == (amount > 0)] or sorted(rivals)
        chosen = wanted[int(rng.integers(len(wanted)))]
        for index in rivals[chosen]:
            weights[index] = abs(amount)
    moved = head.points + np.tensordot(weights, head.targets, 1)
    return lower_arms(moved.astype(np.float32))


_NEGATIVE = ("decr", "down", "in", "backward", "concave", "compress", "pointed", "r")


def _is_positive(name: str) -> bool:
    return name.rsplit("-", 1)[-1] not in _NEGATIVE


def _rivals(names: tuple[str, ...]) -> dict[str, dict[str, list[int]]]:
    """Local targets by trait and then by what they do, both sides of the face together: one of each trait is used."""
    traits: dict[str, dict[str, list[int]]] = {}
    for index, name in enumerate(names):
        if "-male-" in name or "-female-" in name:
            continue
        stem = name[2:] if name[:2] in ("l-", "r-") else name
        traits.setdefault(stem.rsplit("-", 1)[0], {}).setdefault(stem, []).append(index)
    return traits


def _spread(trait: str) -> float:
    """Standard deviation of a trait's weight: wide for what makes a face one's own, narrow for what deforms it."""
    if trait in ("head-trans", "neck-trans", "head-angle", "neck-scale-vert", "measure-neck-height"):
        return 0.0
    if trait.startswith("asym") or trait == "eye-trans":
        return 0.12
    if trait.startswith(("head", "neck", "measure")):
        return 0.22
    return 0.28 if "scale" in trait or "trans" in trait else 0.42


def _macro_weights(traits: Traits, rng: np.random.Generator) -> Floats:
    head = template()
    weights = np.zeros(len(head.names), np.float32)
    origin = dict(zip(("african", "asian", "caucasian"), _origin(traits, rng), strict=True))
    old = 0.85 * traits.age
    ages = {"young": 1 - old, "old": old}
    male = float(np.clip(traits.male + rng.normal(0, 0.12), 0, 1))
    genders = {"male": male, "female": 1 - male}
    build = float(np.clip(rng.normal(-0.05, 0.3), -0.7, 0.6))
    builds = {"minweight": max(-build, 0), "averageweight": 1 - abs(build), "maxweight": max(build, 0)}
    for index, name in enumerate(head.names):
        words = name.split("-")
        if len(words) < 3 or words[1] not in genders:
            continue
        share = builds[words[4]] if words[0] == "universal" else origin[words[0]]
        weights[index] = share * genders[words[1]] * ages[words[2]]
    return weights


def _origin(traits: Traits, rng: np.random.Generator) -> Floats:
    """Shares of the three populations that the assets know, loosely tied to the skin."""
    lean = np.array([1.6, 0.5, 0.15]) if traits.melanin > 1.0 else np.array([0.2, 1.0, 1.3])
    return rng.dirichlet(lean).astype(np.float32)
