"""What `safas stress` leaves in a folder."""

import json
from dataclasses import asdict
from pathlib import Path

from safas.bundle import STRESS, STRESS_PAGE, STRESS_PLOTS
from safas.files import write_file
from safas.stress.card import page
from safas.stress.measure import Stressed
from safas.stress.plate import plate


def write_card(result: Stressed, folder: Path) -> Path:
    """Write stress.html, its drawings as stress.svg and its numbers as stress.json; returns the page's path."""
    write_file(folder / STRESS, json.dumps(asdict(result), indent=2) + "\n")
    write_file(folder / STRESS_PLOTS, plate(result))
    write_file(folder / STRESS_PAGE, page(result))
    return folder / STRESS_PAGE
