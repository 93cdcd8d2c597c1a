"""Where the units of an inventory stand in a model: blocks, their layers and their outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from sentryfuse.presence import Presence
from sentryfuse.pruning import Projection
from sentryfuse.units import Inventory, UnitLayer


@dataclass(frozen=True, slots=True)
class UnitBlock:
    """One block that holds units.

    Args:
        layer: Its place in the inventory.
    """

    layer: UnitLayer

    @property
    def path(self) -> str:
        """Name of the block in the model."""
        return self.layer.weights

    @property
    def entry(self) -> str:
        """Name of the linear layer that makes the units: rows are theirs alone."""
        return f"{self.path}.{'query' if self.layer.kind == 'head' else 'expand'}"

    @property
    def exit(self) -> str:
        """Name of the linear layer that reads the units: columns are theirs alone."""
        return f"{self.path}.{'output' if self.layer.kind == 'head' else 'project'}"

    def entry_weight(self, model: nn.Module) -> Tensor:
        """Return the units' own input weights, ``[units, weights of a unit]``."""
        weight = _linear(model, self.entry).weight.detach()
        return weight.reshape(self.layer.count, -1)

    def exit_weight(self, model: nn.Module) -> Tensor:
        """Return the units' own output weights, ``[embed_dim, units, features of a unit]``."""
        weight = _linear(model, self.exit).weight.detach()
        return weight.reshape(len(weight), self.layer.count, -1)

    def projection(self, model: nn.Module) -> Projection:
        """Return the output projection as arrays."""
        linear = _linear(model, self.exit)
        return Projection(
            linear.weight.detach().numpy().astype(np.float64),
            linear.bias.detach().numpy().astype(np.float64),
        )

    def unit_width(self, model: nn.Module) -> int:
        """Features of one unit: ``head_dim`` of a head, 1 of a channel."""
        return _linear(model, self.exit).in_features // self.layer.count


def unit_blocks(inventory: Inventory, presence: Presence | None = None) -> tuple[UnitBlock, ...]:
    """List the blocks of a model in the order in which it computes them.

    Args:
        inventory: Units of the model.
        presence: Leave out what this presence does not compute; default: all blocks.
    """
    return tuple(
        UnitBlock(layer)
        for layer in inventory.layers
        if presence is None or inventory.tokens(layer, presence)
    )


class BlockTap:
    """Reads what goes through some blocks of a model while it runs.

    Used as a context; each run of the model replaces what the last one left.

    Args:
        model: Whole or sliced.
        blocks: Which to read.
    """

    def __init__(self, model: nn.Module, blocks: tuple[UnitBlock, ...]) -> None:
        self._model = model
        self._blocks = blocks
        self._calls: dict[str, _Call] = {}
        self._streams: dict[str, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> BlockTap:
        for block in self._blocks:
            module = self._model.get_submodule(block.path)
            self._handles.append(
                module.register_forward_hook(self._keep_call(block.path), with_kwargs=True)
            )
            norm = self._model.get_submodule(f"{block.path}_norm")
            self._handles.append(norm.register_forward_pre_hook(self._keep_stream(block.path)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def units(self, block: UnitBlock) -> Tensor:
        """Return what the output projection read, ``[rows, features]``, rows = windows x tokens.

        The block ends in that projection; run with the identity in its place, it shows its input.
        """
        call = self._calls[block.path]
        module = self._model.get_submodule(block.path)
        name = block.exit.rpartition(".")[2]
        weight = _linear(self._model, block.exit).weight
        features = weight.shape[1]
        identity = {
            f"{name}.weight": torch.eye(features, dtype=weight.dtype),
            f"{name}.bias": torch.zeros(features, dtype=weight.dtype),
        }
        out: Tensor = functional_call(module, identity, call.args, dict(call.kwargs))
        self._calls[block.path] = call  # the run above was seen as well
        return out.flatten(0, -2)

    def output(self, block: UnitBlock) -> Tensor:
        """Return what the block added to the stream, ``[rows, embed_dim]``."""
        return self._calls[block.path].output.flatten(0, -2)

    def stream(self, block: UnitBlock) -> Tensor:
        """Return the residual stream that the block was added to, ``[rows, embed_dim]``."""
        return self._streams[block.path].flatten(0, -2)

    def _keep_call(self, path: str) -> Callable[..., None]:
        def hook(
            _: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor
        ) -> None:
            self._calls[path] = _Call(args, kwargs, output.detach())

        return hook

    def _keep_stream(self, path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._streams[path] = args[0].detach()

        return hook


@dataclass(frozen=True, slots=True)
class _Call:
    """One run of a block."""

    args: tuple[Tensor, ...]
    kwargs: Mapping[str, Tensor]
    output: Tensor


def _linear(model: nn.Module, name: str) -> nn.Linear:
    module = model.get_submodule(name)
    assert isinstance(module, nn.Linear)
    return module
