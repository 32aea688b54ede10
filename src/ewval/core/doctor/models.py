"""Whether the packaged models are whole."""

from collections.abc import Iterator

from ewval.core.doctor.health import Finding
from ewval.core.errors import EwvalError
from ewval.core.models.files import read_weights
from ewval.core.models.registry import DECIDERS, find_model, load_decider, packaged_models


def check_models() -> Iterator[Finding]:
    """Yield whether each packaged model can be read and has the checksum that its card names.

    Forests are loaded as they would be to decide; of networks the file is checked, since loading one needs torch.
    """
    for name in packaged_models():
        try:
            card, _ = read_weights(find_model(name))
            if card.arch in DECIDERS:
                load_decider(name)
        except EwvalError as error:
            yield Finding(f"model {name}", "problem", str(error), "pip install --force-reinstall ewval")
        else:
            yield Finding(f"model {name}", "ok", f"{card.arch}, checksum right")
