"""Pillow: images, as their pixels.

An image comes back with its mode, size, palette and what `info` says of it. That it was read from a file, and where, is
not part of it.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from promissory.typesys.buffer import Buffer
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import ANY, BUFFER, BYTES, INT, NONE, STR, TupleType
from promissory.typesys.unions import union

_PLAIN = str | bytes | bool | int | float | None


def _to_wire(image: Image.Image) -> tuple[str, tuple[int, int], Buffer, tuple[str, bytes] | None, dict[str, Any]]:
    if getattr(image, "n_frames", 1) > 1:
        raise TypeMismatch("an image with several frames travels as its file: pass a File, or a list of its frames")
    palette = None
    if image.mode in ("P", "PA") and image.palette is not None:
        palette = (image.palette.mode, image.palette.tobytes())
    info = {key: value for key, value in image.info.items() if isinstance(key, str) and _is_plain(value)}
    return image.mode, image.size, Buffer.of(image.tobytes()), palette, info


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(one, _PLAIN) for one in value))


def _from_wire(parts: tuple[str, tuple[int, int], Buffer, tuple[str, bytes] | None, dict[str, Any]]) -> Image.Image:
    mode, size, buffer, palette, info = parts
    image = Image.frombytes(mode, size, buffer.view()) if buffer.size else Image.new(mode, size)
    if palette is not None:
        image.putpalette(palette[1], palette[0])
    image.info.update(info)
    return image


def _described(image: Image.Image) -> str:
    width, height = image.size
    return f"<an image of {width} by {height} pixels, {image.mode}>"


_WIRE = TupleType((STR, TupleType((INT, INT)), BUFFER, union([TupleType((STR, BYTES)), NONE]), ANY))
declare(
    Family(
        Image.Image,
        named("PIL.Image", _WIRE),
        _to_wire,
        _from_wire,
        subclasses=True,
        hashable=False,
        to_json=_described,
    )
)
