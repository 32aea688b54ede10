"""ewval from Python, as its README shows it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ewval
from ewval.core.errors import UsageError
from ewval.core.models.card import ModelCard
from ewval.nn.deciders import decider_for
from ewval.nn.networks.architectures import build_network
from ewval.nn.weights import Model, save_network

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "fresh.safetensors"
    network = build_network("lwunet", {"loops": 1})
    save_network(path, Model(ModelCard("fresh", "lwunet", loops=1, add_threshold=0.0, maybe_threshold=0.0), network))
    return ewval.load_model(path)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(1, 9, dtype=np.uint16), 8)[:, None, None] * np.ones((64, 64), np.uint16)
    return {
        "image": rng.integers(0, 256, (2, 64, 64, 64)).astype(np.uint8),
        "seed": np.stack([labels == 1, labels == 5]),
        "previous": np.zeros((2, 2, 64, 64, 64), bool),
        "labels": np.stack([labels, labels]),
    }


def test_voxels_come_as_logits_and_sigma(model, arrays):
    logits, sigma = ewval.predict_voxels(model, arrays["image"], arrays["seed"], arrays["previous"])
    assert logits.shape == sigma.shape == (2, 64, 64, 64)
    assert logits.dtype == sigma.dtype == np.float32
    assert (sigma >= 1).all()
    alone, _ = ewval.predict_voxels(model, arrays["image"][1:], arrays["seed"][1:])
    np.testing.assert_array_equal(alone[0], logits[1])


def test_segments_come_with_verdicts(model, arrays):
    first, second = ewval.predict_segments(model, arrays["image"], arrays["seed"], labels=arrays["labels"])
    assert {score.id for score in first} == set(range(2, 9))  # every threshold is 0, so all that is joined is added
    assert {score.verdict for score in first} == {"add"}
    assert {score.id for score in second} == {1, 2, 3, 4, 6, 7, 8}
    assert first[0].voxels == 8 * 64 * 64 * 64
    assert [score.probability for score in first] == sorted((score.probability for score in first), reverse=True)


def test_full_resolution_labels_show_small_segments(model, arrays):
    full = np.repeat(np.repeat(np.repeat(arrays["labels"][:1], 4, 1), 4, 2), 4, 3)
    full[0, 33, 2, 2] = 700
    (scores,) = ewval.predict_segments(model, arrays["image"][:1], arrays["seed"][:1], labels=full)
    assert {score.id: score.voxels for score in scores}[700] == 1


def test_a_model_that_looks_at_boundaries_asks_for_labels(arrays):
    config = {"loops": 1, "boundary": True}
    model = decider_for(Model(ModelCard("edges", "lwunet", loops=1, config=config), build_network("lwunet", config)))
    with pytest.raises(UsageError, match="model edges looks at where segments meet"):
        ewval.predict_voxels(model, arrays["image"], arrays["seed"])


@pytest.mark.parametrize("name", ["image", "seed", "previous", "labels"])
def test_arrays_of_the_wrong_shape_are_refused(model, arrays, name):
    arrays[name] = arrays[name][..., :60]
    with pytest.raises(UsageError, match=f"{name} has shape"):
        ewval.predict_segments(model, **arrays)


def test_different_numbers_of_cubes_are_refused(model, arrays):
    arrays["seed"] = arrays["seed"][:1]
    with pytest.raises(UsageError, match="hold 2, 1, 2, 2 cubes"):
        ewval.predict_segments(model, **arrays)


def test_importing_ewval_is_light():
    code = (
        "import ewval, sys; assert not {'torch', 'numpy'} & set(sys.modules), 'heavy'; "
        "ewval.load_model(); assert 'torch' not in sys.modules, 'torch'"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ewval.nothing


def test_the_readme_snippet_runs(tmp_path, monkeypatch):
    section = README.read_text().partition("## From Python")[2]
    (snippet,) = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert names["logits"].shape == names["image"].shape
    assert len(names["candidates"]) == len(names["image"])
