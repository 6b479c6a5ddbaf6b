"""The methods, one file each, all behind `safas.methods.base.Method`."""

from safas.methods.base import Method, StepOutput
from safas.methods.erm import Erm, ErmConfig
from safas.methods.erm_supcon import ErmSupCon, ErmSupConConfig
from safas.methods.irm import Irm, IrmConfig
from safas.methods.sa_fas import SaFas, SaFasConfig

METHODS = {
    "erm": Erm,
    "erm-supcon": ErmSupCon,
    "sa-fas": SaFas,
    "irm": Irm,
}
CONFIGS = {
    "erm": ErmConfig,
    "erm-supcon": ErmSupConConfig,
    "sa-fas": SaFasConfig,
    "irm": IrmConfig,
}
MethodConfig = ErmConfig | ErmSupConConfig | SaFasConfig | IrmConfig

__all__ = ["CONFIGS", "METHODS", "Method", "MethodConfig", "StepOutput"]
