"""What VietorisRipsH1 gives is taken as it is by persim, GUDHI's representations and giotto-tda."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import gudhi.representations
import numpy as np
import persim
import pytest
from numpy.typing import NDArray
from persim.persistent_entropy import persistent_entropy
from sklearn.pipeline import make_pipeline

import adabet_fast
from adabet_fast import VietorisRipsH1, h1

GIOTTO = "giotto-tda==0.6.2"


def clouds() -> NDArray[np.float64]:
    r = np.random.default_rng(0)
    angles = r.random((6, 30)) * 2 * np.pi
    circles = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    return circles + r.standard_normal((6, 30, 2)) * np.linspace(0.02, 0.5, 6)[:, None, None]


def test_persim_takes_the_diagrams() -> None:
    diagrams = VietorisRipsH1().fit_transform(clouds())
    imager = persim.PersistenceImager(pixel_size=0.1)
    images = imager.fit_transform(diagrams, skew=True)
    assert len(images) == 6
    assert all(image.shape == imager.resolution for image in images)
    assert persim.bottleneck(diagrams[0], diagrams[0]) == 0
    assert persim.wasserstein(diagrams[0], diagrams[-1]) > 0
    assert persistent_entropy(diagrams).shape == (6,)
    landscape = persim.PersLandscapeApprox(dgms=[np.empty((0, 2)), diagrams[0]], hom_deg=1, num_steps=50)
    ours = VietorisRipsH1(
        output="landscape",
        n_landscapes=1,
        resolution=50,
        value_range=(float(diagrams[0][:, 0].min()), float(diagrams[0][:, 1].max())),
    ).fit_transform(clouds())[0]
    assert landscape.values[0] == pytest.approx(ours, abs=0.02)  # persim rounds births and deaths to its grid


def test_persim_takes_a_barcode() -> None:
    one, other = (h1(cloud) for cloud in clouds()[[0, 5]])
    assert persim.bottleneck(one.intervals, one.intervals) == 0
    assert persim.bottleneck(np.asarray(one), np.asarray(other)) > 0


def test_gudhi_representations_take_the_diagrams() -> None:
    diagrams = VietorisRipsH1().fit_transform(clouds())
    curve = gudhi.representations.BettiCurve(predefined_grid=np.linspace(0, 2, 41)).fit_transform(diagrams)
    ours = VietorisRipsH1(output="betti_curve", resolution=41, value_range=(0.0, 2.0)).fit_transform(clouds())
    assert np.array_equal(curve, ours)
    for step in (
        gudhi.representations.Landscape(),
        gudhi.representations.Silhouette(),
        gudhi.representations.PersistenceImage(bandwidth=0.1),
        gudhi.representations.Entropy(),
        gudhi.representations.TopologicalVector(threshold=3),
        gudhi.representations.SlicedWassersteinKernel(),
    ):
        rows = make_pipeline(VietorisRipsH1(), gudhi.representations.DiagramSelector(use=True), step).fit_transform(
            clouds()
        )
        assert rows.shape[0] == 6
        assert np.isfinite(rows).all()


def test_padded_diagrams_keep_giotto_tda_s_contract() -> None:
    """Its documented input: (n_samples, n_features, 3) of birth <= death and dimension, all finite."""
    for output in (
        VietorisRipsH1(output="padded").fit_transform(clouds()),
        VietorisRipsH1(output="padded", threshold=1.0).fit_transform(clouds()),
        VietorisRipsH1(output="padded").fit_transform(np.zeros((2, 3, 2))),
    ):
        assert output.dtype == np.float64
        assert output.ndim == 3
        assert output.shape[1] >= 1
        assert output.shape[2] == 3
        assert np.isfinite(output).all()
        assert (output[..., 0] <= output[..., 1]).all()
        assert np.unique(output[..., 2]).tolist() == [1]


IN_GIOTTO = """
import numpy as np
from gtda.diagrams import Amplitude, BettiCurve, Filtering, HeatKernel, PairwiseDistance, PersistenceEntropy
from gtda.diagrams import PersistenceImage, PersistenceLandscape, Scaler, Silhouette
from gtda.homology import VietorisRipsPersistence
from sklearn.pipeline import make_pipeline
from adabet_fast import VietorisRipsH1

clouds = np.load("clouds.npy")
padded = VietorisRipsH1(output="padded").fit_transform(clouds)
theirs = VietorisRipsPersistence(homology_dimensions=[1]).fit_transform(clouds)
for ours, other in zip(padded, theirs):
    # dimension 1 alone, and bars of length zero are padding in both
    ours, other = (d[d[:, 1] > d[:, 0]] for d in (ours, other))
    assert np.allclose(ours[np.lexsort(ours.T)], other[np.lexsort(other.T)], rtol=1e-6), (ours, other)
for step in (Amplitude(metric="bottleneck"), BettiCurve(), Filtering(epsilon=0.1), HeatKernel(n_bins=10),
             PairwiseDistance(metric="wasserstein"), PersistenceEntropy(), PersistenceImage(n_bins=10),
             PersistenceLandscape(), Scaler(), Silhouette()):
    ours = make_pipeline(VietorisRipsH1(output="padded"), step).fit_transform(clouds)
    other = make_pipeline(VietorisRipsPersistence(homology_dimensions=[1]), step).fit_transform(clouds)
    assert np.isfinite(ours).all() and len(ours) == len(clouds)
    if ours.shape == other.shape and not isinstance(step, (Scaler, Filtering)):
        assert np.allclose(ours, other, rtol=1e-4, atol=1e-6), step
steps = len(VietorisRipsH1(output="padded", threshold=1.0).fit_transform(clouds))
print("giotto-tda took", steps, "diagrams")
"""


@pytest.mark.slow  # installs giotto-tda and the older NumPy and scikit-learn that it asks for
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="giotto-tda 0.6.2 has wheels for Python 3.12 and older alone")
def test_giotto_tda_takes_the_padded_diagrams(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
    python = home / "bin" / "python"
    installed = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", GIOTTO],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert installed.returncode == 0, installed.stderr
    check_in_giotto(python, tmp_path)


def check_in_giotto(python: Path, folder: Path) -> None:
    native = importlib.util.find_spec("adabet_fast._core")
    assert native is not None
    assert native.origin is not None
    package = folder / "adabet_fast"
    shutil.copytree(Path(adabet_fast.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(native.origin, package)
    np.save(folder / "clouds.npy", clouds())
    done = subprocess.run(
        [str(python), "-c", IN_GIOTTO], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "giotto-tda took 6 diagrams"
