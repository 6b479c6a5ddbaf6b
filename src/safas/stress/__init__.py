"""How a bundle's scores and errors move when the face box, the picture or the frames get worse."""

from safas.stress.card import write_card
from safas.stress.measure import Stressed, stress
from safas.stress.perturb import PERTURBATIONS

__all__ = ["PERTURBATIONS", "Stressed", "stress", "write_card"]
