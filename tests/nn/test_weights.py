"""Models by name and path, and every way in which a file is not one."""

import json
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
import torch

from ewval.core.errors import DamagedError, MissingError, UsageError
from ewval.core.models.card import ModelCard, parse_card
from ewval.core.models.registry import load_decider
from ewval.nn.networks.architectures import build_network, network_config
from ewval.nn.networks.lwunet import LWUNet
from ewval.nn.weights import Model, load_network, save_network

UPSTREAM = Path(__file__).resolve().parents[2] / ".." / "shared" / "reference" / "upstream" / "state_dict.pth"


def tiny() -> Model:
    torch.manual_seed(0)
    network = build_network("lwunet", {"loops": 3})
    return Model(ModelCard(name="tiny", arch="lwunet", loops=3, config=network_config(network), loss="bce"), network)


def test_a_saved_model_comes_back_whole(tmp_path: Path) -> None:
    model = tiny()
    card = save_network(tmp_path / "tiny.safetensors", model)
    loaded = load_network(tmp_path / "tiny.safetensors")
    assert loaded.card == card
    assert loaded.card.sha256 is not None
    assert loaded.network.config == model.network.config
    assert not loaded.network.training
    for key, value in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)


def test_without_the_card_beside_it_the_one_inside_counts(tmp_path: Path) -> None:
    save_network(tmp_path / "tiny.safetensors", tiny())
    (tmp_path / "tiny.json").unlink()
    assert load_network(tmp_path / "tiny.safetensors").card.name == "tiny"


def test_half_the_size_for_three_digits(tmp_path: Path) -> None:
    save_network(tmp_path / "whole.safetensors", tiny())
    save_network(tmp_path / "half.safetensors", tiny(), half=True)
    whole, half = (load_network(tmp_path / f"{name}.safetensors").network.state_dict() for name in ("whole", "half"))
    assert all(torch.allclose(whole[key], half[key], rtol=1e-3, atol=1e-3) for key in whole)
    assert all(value.dtype == torch.float32 for value in half.values())
    assert (tmp_path / "half.safetensors").stat().st_size < 0.65 * (tmp_path / "whole.safetensors").stat().st_size


def test_a_model_in_the_users_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    save_network(platformdirs.user_data_path("ewval") / "models" / "mine.safetensors", tiny())
    assert load_network("mine").card.name == "tiny"


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny()
    next(model.network.parameters()).data[0] = float("nan")
    save_network(tmp_path / "odd.safetensors", model)
    with pytest.raises(DamagedError, match="its weights are not numbers"):
        load_decider(tmp_path / "odd.safetensors")


def test_forests_are_no_network() -> None:
    with pytest.raises(UsageError, match="model graph is not a network"):
        load_network("graph")


def upstream_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return LWUNet().state_dict()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_seed_systems_state_dict_is_known_by_its_keys(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "anything.pth"
    state = upstream_state()
    torch.save({prefix + key: value for key, value in state.items()}, path)
    model = load_network(path)
    assert (model.card.arch, model.card.loops, model.card.context, model.card.loss) == ("lwunet", 4, 2, "bayes")
    assert torch.equal(model.network.state_dict()["rc2.weight"], state["rc2.weight"])


@pytest.mark.skipif(not UPSTREAM.exists(), reason="the published weights are not at hand")
def test_the_published_file_loads() -> None:
    model = load_network(UPSTREAM)
    assert sum(parameter.numel() for parameter in model.network.parameters()) == 147_218


def test_an_unknown_name_is_missing_and_the_known_ones_are_named() -> None:
    with pytest.raises(MissingError, match=r"model nothing not found; name a path or one of: .*graph"):
        load_network("nothing")


def test_a_folder_without_a_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"a run folder holds one of: model\.safetensors, best\.pt, last\.pt"):
        load_network(tmp_path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 40, b"root:x:0:0:root\n", b"JJJ"])
def test_a_file_that_is_no_model_is_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedError, match="is damaged: not a"):
        load_network(tmp_path / name)


def test_a_changed_file_does_not_match_its_card(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_network(path, tiny())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedError, match="its sha256 is not the one on its card"):
        load_network(path)


def test_tensors_of_another_shape_do_not_fit(tmp_path: Path) -> None:
    model = tiny()
    other = replace(model.card, config={"loops": 3, "boundary": True})
    save_network(tmp_path / "odd.safetensors", replace(model, card=other))
    with pytest.raises(DamagedError, match="its tensors do not fit lwunet"):
        load_network(tmp_path / "odd.safetensors")


def test_a_card_of_an_architecture_that_is_not_there_does_not_fit(tmp_path: Path) -> None:
    model = tiny()
    save_network(tmp_path / "odd.safetensors", replace(model, card=replace(model.card, arch="other")))
    with pytest.raises(DamagedError, match="there is no architecture 'other'"):
        load_network(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, [1, 2]])
def test_tensors_that_mean_nothing_to_us_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(DamagedError, match="neither an ewval checkpoint nor the seed system's state dict"):
        load_network(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"name": "a"}',
        '{"name": "a", "arch": "lwunet", "temperature": 0}',
        '{"name": "a", "arch": "lwunet", "add_threshold": 0.1, "maybe_threshold": 0.2}',
    ],
)
def test_a_card_that_makes_no_sense_is_damaged(text: str) -> None:
    with pytest.raises(DamagedError, match="card x is damaged: not a model card"):
        parse_card(text, what="card x")


def test_a_card_from_a_later_version_may_say_more() -> None:
    card = ModelCard(name="a", arch="lwunet", data={"tasks": 3})
    later = json.loads(card.to_json()) | {"invented_later": 1}
    assert parse_card(json.dumps(later), what="card") == card
