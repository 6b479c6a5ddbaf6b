"""What a benchmark runs: protocols x methods, plain or with settings of their own, x seeds."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from safas.errors import InputError, ProtocolError
from safas.methods import METHODS
from safas.protocols import Protocol
from safas.results import method_name
from safas.training import TrainConfig, preset

METHODS_COMPARED = ("erm", "erm-supcon", "sa-fas")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Variant:
    """A method with its settings, under the name by which it is printed, and the seeds of its runs."""

    name: str
    config: TrainConfig  # its seed is none of the run's
    seeds: tuple[int, ...]
    told: frozenset[str] = frozenset()  # settings that were given, which a search leaves as they are


@dataclass(frozen=True)
class Cell:
    """One run to be made."""

    protocol: Protocol
    name: str
    config: TrainConfig


@dataclass(frozen=True)
class Grid:
    """Every protocol with every variant and each of its seeds.

    `trials` > 1: so many settings of each variant are tried on each protocol (`safas.benchmark.search`), the first
    being its own, and the one that is best on source validation is run with all seeds.

    Raises what `check_variants` raises, and ProtocolError when a method is given fewer source domains than it needs.
    """

    protocols: tuple[Protocol, ...]
    variants: tuple[Variant, ...]
    trials: int = 1

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"trials = {self.trials} is below 1", where="benchmark")
        check_variants(self.variants, "methods")
        for protocol, variant in itertools.product(self.protocols, self.variants):
            _check_domains(protocol, variant)

    def cells(self) -> list[Cell]:
        """The runs with the variants' own settings, seed by seed, so that a first whole table is there early."""
        ranks = range(max(len(variant.seeds) for variant in self.variants))
        return [
            cell_of(protocol, variant, rank)
            for rank in ranks
            for protocol in self.protocols
            for variant in self.variants
            if rank < len(variant.seeds)
        ]


def check_variants(variants: Sequence[Variant], where: str) -> None:
    """Raises InputError without a method or a seed, and for names or settings that cannot be told apart."""
    if not variants:
        raise InputError("no method, so nothing to run", where=where, remedy="Name one.")
    plain = {name.casefold(): method for method in METHODS for name in (method, method_name(method))}
    for variant in variants:
        method = variant.config.method.name
        if not variant.seeds:
            raise InputError(
                f"{variant.name!r} has no seed, so nothing to run", where=where, remedy="Name one."
            )
        if plain.get(variant.name.casefold(), method) != method:
            raise InputError(
                f"{variant.name!r} is the name of another method than {method}",
                where=where,
                remedy="Give it another name.",
            )
    for one, other in itertools.combinations(variants, 2):
        same = "name" if one.name == other.name else "settings" if one.config == other.config else ""
        if same:
            raise InputError(
                f"{one.name!r} and {other.name!r} have the same {same}",
                where=where,
                remedy="Leave one out, or give it another name and settings of its own.",
            )


def cell_of(protocol: Protocol, variant: Variant, rank: int = 0) -> Cell:
    """The run of a variant with its first seed, or that of another rank."""
    return Cell(protocol, variant.name, replace(variant.config, seed=variant.seeds[rank]))


def plain_variants(
    methods: Sequence[str], seeds: Sequence[int], of_preset: str, epochs: int | None, threads: int | None
) -> tuple[Variant, ...]:
    """Methods by their names, with the preset's settings. Raises InputError for an unknown name or a student's."""
    told = {"epochs": epochs, "threads": threads}
    changes: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    check_no_student(methods)
    return tuple(
        Variant(
            method_name(method), replace(preset(of_preset, method), **changes), tuple(dict.fromkeys(seeds))
        )
        for method in dict.fromkeys(methods)
    )


def check_no_student(methods: Sequence[str], where: str = "") -> None:
    """Raises InputError when one of them cannot be trained by itself."""
    if "distill" in methods:
        raise InputError("a student needs a teacher", where=where, remedy="Use `safas distill RUN PREPARED`.")


def changed(config: TrainConfig, default: TrainConfig) -> dict[str, object]:
    """The settings in which `config` differs from `default`; those of the method by "method.<name>"."""
    found: dict[str, object] = {}
    for prefix, ours, theirs in (
        ("", config, default),
        ("augment.", config.augment, default.augment),
        ("method.", config.method, default.method),
    ):
        for field in dataclasses.fields(ours):
            value = getattr(ours, field.name)
            if value != getattr(theirs, field.name, None) and not dataclasses.is_dataclass(value):
                found[prefix + field.name] = value
    return found


def _check_domains(protocol: Protocol, variant: Variant) -> None:
    least = METHODS[variant.config.method.name].least_domains
    if len(protocol.sources) < least:
        raise ProtocolError(
            f"{method_name(variant.config.method.name)} needs at least {least} source domains",
            where=protocol.name,
            remedy="Name other methods, for example --methods erm.",
        )
