"""Find the classifier head: the layer that produces the logits, by what it did in a forward pass."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import torch
from torch import nn

from adabet_fast.nn.batches import tensors_of
from adabet_fast.nn.layers import Layer, label

HEAD_NAMES = frozenset(
    ("classification_head", "classifier", "fc", "head", "heads", "lm_head", "logits", "output_layer", "score")
)
"""Names, anywhere in a layer's dotted name, by which networks call their head."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass
class HeadTrace:
    """What one forward pass tells about the head; filled by the hooks of that pass.

    Outputs are watched through weak references, so that the pass frees its memory as it would; of the linear layer
    called last one sample is copied.
    """

    last_linear: tuple[str, torch.Tensor, int] | None = None
    """Its name, what it returned for the first sample, and the size of all that it returned."""
    last_layer: str | None = None
    outputs: dict[str, weakref.ref[torch.Tensor]] = field(default_factory=dict)
    logits: list[str] = field(default_factory=list)

    def layer_returned(self, layer: Layer, inputs: object, output: object) -> None:
        """Note one call: what feeds a later layer is no logits, and the output of a linear layer may be."""
        for given in tensors_of(inputs):
            for name in [name for name, ref in self.outputs.items() if ref() is given]:
                del self.outputs[name]
        if not isinstance(layer.module, (nn.Linear, nn.Bilinear, *_CONVOLUTIONS)) or not isinstance(
            output, torch.Tensor
        ):
            return
        self.last_layer = layer.name
        if not isinstance(layer.module, _CONVOLUTIONS):
            self.last_linear = (layer.name, output[:1].clone() if output.ndim > 1 else output.clone(), output.numel())
            self.outputs[layer.name] = weakref.ref(output)

    def model_returned(self, output: object) -> None:
        """Note which linear layers' outputs the model returned, as they are or through a softmax or a sigmoid."""
        returned = list(tensors_of(output))
        self.logits = [name for name, ref in self.outputs.items() if any(ref() is tensor for tensor in returned)]
        if not self.logits and self.last_linear is not None:
            name, logits, size = self.last_linear
            if any(tensor.numel() == size and _is_made_of(tensor, logits) for tensor in returned):
                self.logits = [name]
        self.last_linear = None


def _is_made_of(returned: torch.Tensor, logits: torch.Tensor) -> bool:
    if not returned.is_floating_point():
        return False
    found, given = returned.flatten()[: logits.numel()].float(), logits.float()
    ways = [given, torch.sigmoid(given)]
    if given.ndim:
        ways += [torch.softmax(given, dim=-1), torch.log_softmax(given, dim=-1)]
    return any(torch.allclose(found, way.reshape(-1), rtol=1e-3, atol=1e-6) for way in ways)


def find_head(model: nn.Module, layers: list[Layer], trace: HeadTrace) -> tuple[tuple[str, ...], str]:
    """Name the layers that make up the classifier head, and how they were recognised.

    In this order: the module that ``model.get_output_embeddings()`` gives; the linear layers whose output the model
    returned, as it is or through a softmax or a sigmoid; the linear layer or convolution called last, if its name says
    head (:data:`HEAD_NAMES`). A layer that shares a parameter with another one (an embedding) is not taken, nor the
    only layer of a model.

    Parameters
    ----------
    model
        The network.
    layers
        Its layers.
    trace
        What the hooks saw in one forward pass.

    Returns
    -------
    names, reason
        No names where none was found; the reason is a phrase for the report.
    """
    candidates, reason = _candidates(model, layers, trace)
    if not candidates:
        return (), "no classifier head found"
    owners: dict[str, list[str]] = {}
    for layer in layers:
        for parameter in layer.parameters:
            owners.setdefault(parameter, []).append(layer.name)
    by_name = {layer.name: layer for layer in layers}
    for name in candidates:
        shared = [other for p in by_name[name].parameters for other in owners[p] if other != name]
        if shared:
            return (), f"no head taken: '{label(name)}' ({reason}) shares a parameter with '{label(shared[0])}'"
    if len(candidates) == len(layers):
        return (), "no head taken: the model has no other layer"
    return tuple(candidates), reason


def _candidates(model: nn.Module, layers: list[Layer], trace: HeadTrace) -> tuple[list[str], str]:
    embeddings = _output_embeddings(model)
    found = [layer.name for layer in layers if layer.module is embeddings]
    if found:
        return found, "get_output_embeddings()"
    if trace.logits:
        return trace.logits, "its output is the model's"
    if trace.last_layer is not None and HEAD_NAMES.intersection(trace.last_layer.split(".")):
        return [trace.last_layer], "called last, named as a head"
    return [], ""


def _output_embeddings(model: nn.Module) -> object:
    getter = getattr(model, "get_output_embeddings", None)
    if not callable(getter):
        return None
    try:
        return getter()
    except (NotImplementedError, AttributeError):  # what transformers raises for models without such a layer
        return None
