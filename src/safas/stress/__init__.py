"""How a bundle's scores and errors move when the face box, the picture or the frames get worse."""

from safas.stress.into_card import put_into_card
from safas.stress.measure import Stressed, stress
from safas.stress.perturb import PERTURBATIONS
from safas.stress.writing import write_card

__all__ = ["PERTURBATIONS", "Stressed", "put_into_card", "stress", "write_card"]
