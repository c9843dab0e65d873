"""What a value is: annotation → type, assignability, value ⇄ wire bytes. The ground floor; imports nothing of the others."""

from typesys.assignable import assignable, why_not
from typesys.check import check
from typesys.errors import AnnotationError, FormatError, OpaqueWarning, ParseError, TypeMismatch, UntypedWarning
from typesys.infer import Opaque, type_of
from typesys.registration import register_codec
from typesys.secret import Secret
from typesys.types import Type
from typesys.wire import Codec, codec_of

__all__ = [
    "AnnotationError",
    "Codec",
    "FormatError",
    "Opaque",
    "OpaqueWarning",
    "ParseError",
    "Secret",
    "Type",
    "TypeMismatch",
    "UntypedWarning",
    "assignable",
    "check",
    "codec_of",
    "register_codec",
    "type_of",
    "why_not",
]
