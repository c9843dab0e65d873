"""Types of values: annotation → type, assignability, value ⇄ wire bytes.

The ground floor, which imports nothing of the others.
"""

from typing import TYPE_CHECKING, Final

if __name__ != "promissory.typesys":
    raise ImportError(
        "import promissory.typesys: this folder is a part of the package promissory, and not one by itself",
        name=__name__,
    )

from promissory._lazy import lazily

if TYPE_CHECKING:
    from promissory.typesys.assignability import assignable as assignable
    from promissory.typesys.assignability import why_not as why_not
    from promissory.typesys.checking import check as check
    from promissory.typesys.directories import Directory as Directory
    from promissory.typesys.errors import AnnotationError as AnnotationError
    from promissory.typesys.errors import FormatError as FormatError
    from promissory.typesys.errors import OpaqueWarning as OpaqueWarning
    from promissory.typesys.errors import ParseError as ParseError
    from promissory.typesys.errors import TypeMismatch as TypeMismatch
    from promissory.typesys.errors import UntypedWarning as UntypedWarning
    from promissory.typesys.files import File as File
    from promissory.typesys.infer import Opaque as Opaque
    from promissory.typesys.infer import type_of as type_of
    from promissory.typesys.json_schema import schema_of as schema_of
    from promissory.typesys.json_schema import type_from_schema as type_from_schema
    from promissory.typesys.registration import register_codec as register_codec
    from promissory.typesys.secret import Secret as Secret
    from promissory.typesys.stated import Shape as Shape
    from promissory.typesys.types import Type as Type
    from promissory.typesys.wire import Codec as Codec
    from promissory.typesys.wire import codec_of as codec_of

_WHERE: Final = {
    "AnnotationError": "promissory.typesys.errors",
    "Codec": "promissory.typesys.wire",
    "Directory": "promissory.typesys.directories",
    "File": "promissory.typesys.files",
    "FormatError": "promissory.typesys.errors",
    "Opaque": "promissory.typesys.infer",
    "OpaqueWarning": "promissory.typesys.errors",
    "ParseError": "promissory.typesys.errors",
    "Secret": "promissory.typesys.secret",
    "Shape": "promissory.typesys.stated",
    "Type": "promissory.typesys.types",
    "TypeMismatch": "promissory.typesys.errors",
    "UntypedWarning": "promissory.typesys.errors",
    "assignable": "promissory.typesys.assignability",
    "check": "promissory.typesys.checking",
    "codec_of": "promissory.typesys.wire",
    "register_codec": "promissory.typesys.registration",
    "schema_of": "promissory.typesys.json_schema",
    "type_from_schema": "promissory.typesys.json_schema",
    "type_of": "promissory.typesys.infer",
    "why_not": "promissory.typesys.assignability",
}

__all__ = [
    "AnnotationError",
    "Codec",
    "Directory",
    "File",
    "FormatError",
    "Opaque",
    "OpaqueWarning",
    "ParseError",
    "Secret",
    "Shape",
    "Type",
    "TypeMismatch",
    "UntypedWarning",
    "assignable",
    "check",
    "codec_of",
    "register_codec",
    "schema_of",
    "type_from_schema",
    "type_of",
    "why_not",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), _WHERE)
