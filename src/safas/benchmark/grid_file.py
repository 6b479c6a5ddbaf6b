"""A benchmark's grid from one YAML file: typed, and a slip names the file, the key and what is allowed."""

import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from safas.augment import AugmentConfig
from safas.benchmark.grid import METHODS_COMPARED, SEEDS, Variant, check_no_student, check_variants
from safas.errors import InputError
from safas.methods import BY_THEMSELVES, CONFIGS
from safas.protocols import SPLITS
from safas.results import method_name
from safas.training import TrainConfig, preset


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Grid(_Strict):
    protocols: tuple[str, ...] = ()
    splits: str = "official"
    preset: str = "demo"
    seeds: tuple[int, ...] = SEEDS
    trials: int = Field(1, ge=1)
    training: dict[str, Any] = {}
    methods: tuple[str | dict[str, Any], ...] = METHODS_COMPARED


@dataclass(frozen=True)
class GridFile:
    """What a grid's file says; the protocols by name, since only the data tells whether they exist."""

    protocols: tuple[str, ...]
    splits: str
    variants: tuple[Variant, ...]
    trials: int
    text: str = ""  # of the file itself


def read_grid(path: Path, **instead: Any) -> GridFile:
    """The grid of a YAML file.

    protocols, splits, preset, seeds, trials: as the options of `safas benchmark`. training: settings of all runs.
    methods: names, or {method, name, seeds, training, and settings of the method}. What is named in `instead` counts
    instead of the file's: protocols, splits, preset, trials, seeds (a variant's own included), epochs and threads
    (instead of those under training); of the methods those that are named there, by name or method, remain.

    Raises InputError naming the file and the key for whatever is unknown or has another type.
    """
    text = _text(path)
    said: _Grid = _checked(_Grid, _parsed(text, path), str(path))
    given = {name: value for name, value in instead.items() if value is not None}
    wanted = given.pop("methods", None)
    for_all: dict[str, Any] = {name: given.pop(name) for name in ("epochs", "threads") if name in given}
    said = said.model_copy(update=given)
    with _told("--preset" if "preset" in given else f"{path}: preset"):
        preset(said.preset)
    if said.splits not in SPLITS:
        where = "--splits" if "splits" in given else f"{path}: splits"
        raise InputError(
            f"unknown splits {said.splits!r}", where=where, remedy=f"Known: {', '.join(SPLITS)}."
        )
    for_all_seeds = "--seeds" if "seeds" in given else f"{path}: seeds"
    variants = []
    for number, entry in enumerate(said.methods):
        own: dict[str, Any] = {"method": entry} if isinstance(entry, str) else dict(entry)
        if "seeds" in given:
            own.pop("seeds", None)
        where = f"{path}: methods[{number}]"
        with _told(where):
            one = _variant(own, said, where, f"{path}: training")
        with _told(" and ".join(f"--{name}" for name in for_all)):
            one = replace(one, config=replace(one.config, **for_all))
        with _told(f"{where}.seeds" if "seeds" in own else for_all_seeds):
            for seed in one.seeds:
                replace(one.config, seed=seed)  # which checks it
        variants.append(one)
    check_variants(variants, f"{path}: methods")
    chosen = variants if wanted is None else _wanted(variants, wanted, path)
    return GridFile(said.protocols, said.splits, tuple(chosen), said.trials, text)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Within, the settings' own checks, which don't know where their values come from, raise InputErrors that do."""
    try:
        yield
    except InputError as error:
        if ": " in error.where:  # it is told more closely
            raise
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def _wanted(variants: Sequence[Variant], wanted: Sequence[str], path: Path) -> list[Variant]:
    """Those that are called so, or are of a method that is. Raises InputError for a name that none has."""
    names = [(variant.name, variant.config.method.name) for variant in variants]
    for name in wanted:
        if not any(name in both for both in names):
            there = ", ".join(dict.fromkeys(one for both in names for one in both))
            raise InputError(
                f"none of its methods is {name!r}", where=str(path), remedy=f"There are: {there}."
            )
    return [
        variant for variant, both in zip(variants, names, strict=True) if any(one in wanted for one in both)
    ]


def _variant(own: dict[str, Any], grid: _Grid, where: str, where_all: str) -> Variant:
    method = own.get("method")
    if not isinstance(method, str) or method not in CONFIGS:
        what = "no method is named" if method is None else f"no method is called {method!r}"
        raise InputError(what, where=where, remedy=f"Choose from: {', '.join(BY_THEMSELVES)}.")
    said = _checked(_variant_model(method), own, where)
    settings = {name: getattr(said, name) for name in own if name in _own_settings(method)}  # in their order
    config = preset(grid.preset, method)
    config = replace(config, method=replace(config.method, **settings))
    for told, place in ((grid.training, where_all), (said.training, f"{where}.training")):
        config = _trained(config, told, place)
    told_names = {*grid.training, *said.training, *(f"method.{name}" for name in settings)}
    check_no_student([method], where)
    name = " ".join(said.name.split()) or _name(method, {**settings, **said.training})
    seeds = grid.seeds if said.seeds is None else said.seeds
    return Variant(name, config, tuple(dict.fromkeys(seeds)), frozenset(told_names))


def _trained(config: TrainConfig, told: Mapping[str, Any], where: str) -> TrainConfig:
    """`config` with the settings of training that were told."""
    said = _checked(_training_model(), told, where)
    changes = {name: getattr(said, name) for name in said.model_fields_set}
    if "augment" in changes:
        views = changes["augment"]
        with _told(f"{where}.augment"):
            changes["augment"] = replace(
                config.augment, **{name: getattr(views, name) for name in views.model_fields_set}
            )
    with _told(where):
        return replace(config, **changes)


def _name(method: str, settings: Mapping[str, Any]) -> str:
    """A variant that is given none is called after what is special about it."""
    numbers = {key: f"{value:g}" if isinstance(value, float) else value for key, value in settings.items()}
    told = ", ".join(f"{key}={value}" for key, value in numbers.items())
    return f"{method_name(method)} ({told})" if told else method_name(method)


def _own_settings(method: str) -> set[str]:
    return {field.name for field in fields(CONFIGS[method]) if field.name != "name"}


@cache
def _variant_model(method: str) -> type[Any]:
    config: Any = CONFIGS[method]
    hints = get_type_hints(config)
    own = {name: (hints[name], None) for name in sorted(_own_settings(method))}
    common: dict[str, Any] = {
        "method": (str, method),
        "name": (str, ""),
        "seeds": (tuple[int, ...] | None, None),
        "training": (dict[str, Any], {}),
    }
    made: Any = create_model("Variant", __base__=_Strict, **{**common, **own})
    return made  # type: ignore[no-any-return]


@cache
def _training_model() -> type[Any]:
    """Every setting of training but the method and the seed, which have places of their own."""
    hints, views = get_type_hints(TrainConfig), get_type_hints(AugmentConfig)
    augment: Any = create_model(
        "Augment",
        __base__=_Strict,
        **{field.name: (views[field.name], None) for field in fields(AugmentConfig)},
    )  # type: ignore[call-overload]
    own = {
        field.name: (hints[field.name], None)
        for field in fields(TrainConfig)
        if field.name not in ("method", "seed", "augment")
    }
    made: Any = create_model("Training", __base__=_Strict, **{**own, "augment": (augment, None)})  # type: ignore[call-overload]
    return made  # type: ignore[no-any-return]


def _checked(model: type[Any], data: Any, where: str) -> Any:
    """The data as the model has it. As JSON, where a list may become a tuple though the types are strict."""
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _first(error, model, where) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"a value of a kind that no setting has ({error})", where=where) from error


def _first(error: ValidationError, model: type[Any], where: str) -> InputError:
    """The first of the errors, in one line."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("str", "dict[str,any]")]
    at = ": ".join([where, ".".join(place)]) if place else where
    if first["type"] != "extra_forbidden":
        return InputError(f"{first['input']!r}: {first['msg']}", where=at)
    for part in place[:-1]:
        model = model.model_fields[part].annotation
    return InputError("no such setting", where=at, remedy=f"Allowed: {', '.join(model.model_fields)}.")


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2, and a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("cannot be read", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"not YAML ({error})", where=str(path)) from error


def _parsed(text: str, path: Path) -> Any:
    try:
        said = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # the second: an impossible date
        raise InputError(f"not YAML ({error})", where=str(path)) from error
    return {} if said is None else said
