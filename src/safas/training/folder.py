"""The folder of a run and the config.json in it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safas.batches import CropStore
from safas.errors import InputError, RunError, TrainingError
from safas.files import write_file
from safas.protocols import SourceData
from safas.training.config import TrainConfig, config_from_json
from safas.training.naming import run_hash

CONFIG, CHECKPOINT = "config.json", "checkpoint.safetensors"


def identity(config: TrainConfig, data: SourceData, stores: Mapping[str, CropStore]) -> dict[str, Any]:
    """What makes a run the one it is: its name, settings, protocol and data, as config.json will hold it."""
    digest = digest_of(stores)
    counts = {
        part: {"videos": len(store.videos), "crops": len(store.images), "videos_without_crop": store.missing}
        for part, store in stores.items()
    }
    about = {
        "run": run_hash(config, data.protocol, digest),
        "config": asdict(config),
        "protocol": {**asdict(data.protocol), "name": data.protocol.name},
        "held_out": {domain: list(people) for domain, people in data.held_out.items()},
        "data": {"digest": digest, **counts},
    }
    plain: dict[str, Any] = json.loads(json.dumps(about))  # tuples as the lists they will be read back as
    return plain


def digest_of(stores: Mapping[str, CropStore]) -> str:
    """What tells the data of two runs apart: 32 hex digits for each store, to train and to validate on."""
    return "-".join(store.digest()[:32] for store in stores.values())


def holds(folder: Path, config: TrainConfig) -> bool:
    """Whether a run's folder says that it was trained with these settings."""
    return bool(_meant("config", read_run(folder)) == config)


def open_folder(folder: Path, about: Mapping[str, Any], ran_on: Mapping[str, Any], resume: bool) -> None:
    """Make the run's folder with its config.json, or check the one that is there, or empty it (no resume).

    Raises TrainingError, naming what differs, when a config.json of something else is there.
    """
    if resume and (folder / CONFIG).is_file():
        there = read_run(folder)
        different = [key for key, value in about.items() if _meant(key, there) != _meant(key, {key: value})]
        if different:
            raise TrainingError(
                f"the folder holds a run with another {different[0]!r}",
                where=str(folder / CONFIG),
                remedy="Train without resuming, or into another folder.",
            )
        for left in folder.rglob(".*.partial"):  # by a writer that was killed; whoever trains is alone here
            left.unlink(missing_ok=True)
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_file(folder / CONFIG, json.dumps({**about, "environment": ran_on}, indent=2) + "\n")


def _meant(key: str, said: Mapping[str, Any]) -> Any:
    """A settings file from before a setting was known means its default; all else means what it says."""
    if key != "config":
        return said.get(key)
    try:
        return config_from_json(said[key])
    except (KeyError, InputError):  # settings of another program or a later version
        return None


def read_run(folder: Path) -> dict[str, Any]:
    """What config.json says of a run. Raises RunError when the folder is no run's."""
    try:
        said: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        missing = {"run", "config", "protocol", "data", "environment"} - said.keys()
    except OSError as error:
        raise RunError("not a run's folder", where=str(folder), remedy=f"It needs a {CONFIG}.") from error
    except (ValueError, AttributeError) as error:
        raise RunError(f"{CONFIG} is damaged", where=str(folder), remedy="Train it again.") from error
    if missing:
        raise RunError(
            f"{CONFIG} does not say {sorted(missing)[0]!r}", where=str(folder), remedy="Train it again."
        )
    return said
