"""The package alone, without an extra, in an environment of its own: it judges faces, and there is no torch."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import cv2
import pytest
from skimage import data

ROOT = Path(__file__).parents[1]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
BARE |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_DEFAULT_TIMEOUT": "15", "PIP_RETRIES": "1"}


def run(*command: str | Path, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=BARE, cwd=where, timeout=600
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of a fresh environment that holds the wheel of this tree and what it requires."""
    folder = tmp_path_factory.mktemp("bare")
    wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    built = run(sys.executable, "-m", "pip", *wheel, ROOT, where=folder)
    assert built.returncode == 0, built.stderr
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip")
    probe = run(*pip, "download", "--quiet", "--no-deps", "--dest", folder / "probe", "mdurl", where=folder)
    if probe.returncode:  # something small that is not ours: what fails after it is our own wheel's fault
        pytest.skip("pip reaches no package index from here")
    (made,) = folder.glob("*.whl")
    done = run(*pip, "install", "--quiet", made, where=folder)
    assert done.returncode == 0, done.stderr
    return programs


@pytest.mark.slow
def test_it_judges_a_face_without_torch(bare: Path, bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), data.astronaut()[:320, 60:380, ::-1])
    done = run(bare / "safas", "predict", bundle, "face.png", where=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    verdict = json.loads(done.stdout)
    assert 0 <= verdict["score"] <= 1
    assert verdict["frames_used"] == 1
    missing = run(bare / "python", "-c", "import safas.predictor, torch", where=tmp_path)
    assert "No module named 'torch'" in missing.stderr
    installed = {
        one["name"] for one in json.loads(run(bare / "pip", "list", "--format=json", where=tmp_path).stdout)
    }
    assert not installed & {
        "torch",
        "torchvision",
        "scipy",
        "scikit-learn",
        "plotly",
        "lightning-fabric",
        "jaxtyping",
    }


@pytest.mark.slow
def test_what_needs_more_says_so_in_one_line(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "safas", "train", "prepared", "--protocol", "a->b", where=tmp_path)
    assert done.returncode == 2
    assert 'pip install "safas[train]"' in done.stderr
    assert done.stderr.count("\n") == 1
    healthy = run(bare / "safas", "doctor", where=tmp_path)
    assert healthy.returncode == 0
    assert "missing, to train, evaluate and export" in healthy.stdout
