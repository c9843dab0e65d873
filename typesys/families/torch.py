"""PyTorch: tensors and parameters, as their numbers.

A tensor comes back on the CPU, contiguous, in memory of its own; one on another device is refused, as moving it is the
author's to decide. A state dict is an `OrderedDict` of tensors, and travels as that.
"""

from __future__ import annotations

from typing import Any

import torch

from promissory.typesys.buffer import Buffer
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import BOOL, BUFFER, INT, STR, TupleType, VarTupleType

Parts = tuple[str, tuple[int, ...], bool, Buffer]


def _to_wire(tensor: Any) -> Parts:
    if tensor.device.type != "cpu":
        raise TypeMismatch(f"a tensor on {tensor.device} has no wire form: move it (tensor.cpu())")
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeMismatch("a sparse or quantized tensor has no wire form: make it dense (tensor.to_dense())")
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    flat = plain.reshape(-1).view(torch.uint8).numpy() if plain.numel() else None
    return str(plain.dtype).removeprefix("torch."), tuple(tensor.shape), bool(tensor.requires_grad), Buffer.of(flat)


def _from_wire(parts: Parts) -> Any:
    name, shape, grad, buffer = parts
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"torch has no dtype {name}")
    found = (
        torch.frombuffer(buffer.view(), dtype=dtype).reshape(shape) if buffer.size else torch.empty(shape, dtype=dtype)
    )
    return found.requires_grad_() if grad else found


def _parameter(parts: Parts) -> Any:
    name, shape, grad, buffer = parts
    return torch.nn.Parameter(_from_wire((name, shape, False, buffer)), requires_grad=grad)


_WIRE = TupleType((STR, VarTupleType(INT), BOOL, BUFFER))
declare(
    Family(
        torch.Tensor,
        named("torch.Tensor", _WIRE),
        _to_wire,
        _from_wire,
        to_json=lambda tensor: tensor.tolist() if tensor.numel() <= 10_000 else f"<a tensor {tuple(tensor.shape)}>",
    )
)
declare(Family(torch.nn.Parameter, named("torch.nn.Parameter", _WIRE), _to_wire, _parameter))
