"""safas export RUN PREPARED -o BUNDLE"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from safas.commands.common import output, say
from safas.errors import InputError
from safas.export import ExportConfig, ExportReport, change_of, export
from safas.signing import new_key


@dataclass(frozen=True)
class Command:
    """Turn a run into a bundle: one folder with the network as ONNX and all that a decision needs.

    At the epoch that source validation chose; thresholds, calibration and distances are fixed on source validation,
    and the target is not looked at. The bundle's MODEL_CARD.md says what it can and cannot do. Then:
    safas predict BUNDLE VIDEO
    """

    run_dir: tyro.conf.Positional[Path | None] = None
    """a run's folder, as safas train printed it"""
    prepared: tyro.conf.Positional[Path | None] = None
    """the prepared folder that it was trained on"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """folder of the bundle: a new one, or an older bundle to replace; none: RUN/bundle"""
    settings: Annotated[ExportConfig, tyro.conf.arg(name="")] = field(default_factory=ExportConfig)
    new_key: Path | None = None
    """instead of exporting, write a new Ed25519 private key to this file, and its public key beside it (.pub)"""

    def run(self, command: str) -> None:
        """Export and say what came out; or make a key."""
        console = output()
        if self.new_key is not None:
            public = new_key(self.new_key)
            say(console, f"private key, to sign with and to keep secret: {self.new_key}")
            say(console, f"public key, for everyone who uses the bundle: {public}")
            return
        if self.run_dir is None or self.prepared is None:
            raise InputError(
                "a run and a prepared folder are needed",
                where="export",
                remedy="Write `safas export RUN PREPARED -o BUNDLE`.",
            )
        out = self.out or self.run_dir / "bundle"
        tell(console, export(self.run_dir, self.prepared, out, self.settings))


def tell(console: Console, report: ExportReport) -> None:
    """What came out of an export."""
    bundle = report.bundle
    parts = ", ".join(f"{name} {value:.1e}" for name, value in report.differences.items())
    say(console, f"torch and ONNX on the same crops, largest difference: {parts}")
    if "int8" in bundle.models:
        change = change_of(bundle.models["fp32"], bundle.models["int8"])
        say(
            console,
            f"8 bits instead of 32, on source validation{' (simulated faces)' if bundle.training.simulated else ''}: "
            f"AUC {100 * change['auc']:+.2f}, BPCER at APCER 5 % {100 * change['bpcer_at_apcer_0.05']:+.2f} points",
        )
    for note in (*bundle.notes, *bundle.models["fp32"].band.statements[:2]):
        say(console, f"note: {note}")
    say(console, f"bundle: {report.folder} (read {report.folder / 'MODEL_CARD.md'})")
    say(console, f"next: safas predict {report.folder} VIDEO, or safas serve {report.folder}")
