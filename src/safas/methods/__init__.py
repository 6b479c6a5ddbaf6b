"""The methods, one file each, all behind `safas.methods.base.Method`."""

from collections.abc import Mapping
from typing import get_args

from safas.methods.base import Method, StepOutput
from safas.methods.coral import Coral, CoralConfig
from safas.methods.dann import Dann, DannConfig
from safas.methods.distill import Distill, DistillConfig
from safas.methods.erm import Erm, ErmConfig
from safas.methods.erm_supcon import ErmSupCon, ErmSupConConfig
from safas.methods.fishr import Fishr, FishrConfig
from safas.methods.gac_fas import GacFas, GacFasConfig
from safas.methods.gd_fas import GdFas, GdFasConfig
from safas.methods.group_dro import GroupDro, GroupDroConfig
from safas.methods.irm import Irm, IrmConfig
from safas.methods.mixstyle import MixStyle, MixStyleConfig
from safas.methods.refilm import Refilm, RefilmConfig
from safas.methods.sa_fas import SaFas, SaFasConfig
from safas.methods.sam import Sam, SamConfig
from safas.methods.ssdg import Ssdg, SsdgConfig
from safas.methods.vrex import VRex, VRexConfig

METHODS: Mapping[str, type[Method]] = {
    "erm": Erm,
    "erm-supcon": ErmSupCon,
    "sa-fas": SaFas,
    "irm": Irm,
    "vrex": VRex,
    "group-dro": GroupDro,
    "coral": Coral,
    "dann": Dann,
    "ssdg": Ssdg,
    "fishr": Fishr,
    "mixstyle": MixStyle,
    "sam": Sam,
    "gac-fas": GacFas,
    "gd-fas": GdFas,
    "refilm": Refilm,
    "distill": Distill,
}
MethodConfig = (
    ErmConfig
    | ErmSupConConfig
    | SaFasConfig
    | IrmConfig
    | VRexConfig
    | GroupDroConfig
    | CoralConfig
    | DannConfig
    | SsdgConfig
    | FishrConfig
    | MixStyleConfig
    | SamConfig
    | GacFasConfig
    | GdFasConfig
    | RefilmConfig
    | DistillConfig
)
CONFIGS = {config.name: config for config in get_args(MethodConfig)}

BY_THEMSELVES = tuple(name for name in METHODS if name != "distill")  # a student needs a teacher

__all__ = ["BY_THEMSELVES", "CONFIGS", "METHODS", "Method", "MethodConfig", "StepOutput"]
