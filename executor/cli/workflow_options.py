"""The inputs of a workflow as options of the command, made from its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promissory.executor.cli.docstrings import described
from promissory.executor.cli.documents import inputs_of_document
from promissory.executor.cli.field_options import FieldText, field_options, put_together, record_in
from promissory.planner import Plan
from promissory.planner.plan.model import Parameter
from promissory.planner.plan.show import value_text
from promissory.typesys.buffer import Parts
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import ParseError
from promissory.typesys.names import find
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.types import BoolType, EnumType, LiteralType, Type

if TYPE_CHECKING:
    _BytesParameter = click.ParamType[bytes]
else:
    _BytesParameter = click.ParamType  # generic since click 8.3 only


class _TypedText(_BytesParameter):
    """Text that is parsed as a type. Gives the bytes of the value."""

    def __init__(self, type: Type, parts: Parts) -> None:
        self._type = type
        self._parts = parts
        self.name = str(type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return pack(parse_text(value, self._type, find), self._parts)
        except ParseError as error:
            self.fail(str(error), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        if isinstance(self._type, EnumType):
            return "|".join(name for name, _ in self._type.members)
        if isinstance(self._type, LiteralType):
            return "|".join(map(str, self._type.values))
        return self.name


def inputs_from_command_line(
    plan: Plan, workflow: str, documentation: str, arguments: list[str], given: str | None, parts: Parts, verb: str
) -> dict[str, bytes]:
    """The inputs of a run, as bytes by name.

    Args:
        plan: the plan that is to run.
        workflow: the name of the command in its help.
        documentation: the workflow's docstring.
        arguments: the arguments behind the workflow on the command line.
        given: JSON, YAML, or @file, for inputs that are not given as options.
        parts: keeps the contents of files.
        verb: what is done with the workflow, as the command line says it.

    Raises `click.UsageError`; shows `--help`.
    """
    base = _from_document(plan, given, parts) if given is not None else {}
    collected: dict[str, bytes] = {}
    names_of_inputs = {parameter.name for parameter in plan.inputs}
    switches = {parameter.name for parameter in plan.inputs if isinstance(parameter.type, BoolType)}
    spelled, switched = _set_apart([_dashed(argument, names_of_inputs) for argument in arguments], switches)
    base.update(switched)
    text, said = described(documentation)
    options: list[click.Parameter] = [
        _option(one, base, switches, names_of_inputs, said.get(one.name, ""), parts) for one in plan.inputs
    ]
    fields = {one.name: list(field_options(one)) for one in plan.inputs}
    for name, paths in fields.items():
        options += [
            click.Option([_field_key(name, path, paths), f"--{path}"], type=FieldText(type), metavar=str(type))
            for path, type in paths
        ]

    def callback(**values: Any) -> None:
        for parameter in plan.inputs:
            value = values[_key(parameter.name)]
            if isinstance(value, bool):
                value = pack(value)
            if value is not None:
                collected[parameter.name] = value
            _add_fields(parameter, fields[parameter.name], values, {**base, **collected}, collected, parts)
            if parameter.name not in {**base, **collected} and parameter.default is None:
                raise click.MissingParameter(param_hint=f"'--{parameter.name.replace('_', '-')}'", param_type="option")

    settings = {"help_option_names": ["-h"] if "help" in names_of_inputs else ["-h", "--help"]}
    command = click.Command(workflow, params=options, callback=callback, help=text or None, context_settings=settings)
    try:
        with command.make_context(f"promissory {verb} … {workflow}", spelled) as context:
            command.invoke(context)
    except click.NoSuchOption as error:
        refuse_own_options([error.option_name], error.ctx)
        raise
    inputs = {}
    for parameter in plan.inputs:
        value = collected.get(parameter.name, base.get(parameter.name, parameter.default))
        assert value is not None, "click demands what is required"
        inputs[parameter.name] = value
    return inputs


def refuse_own_options(arguments: list[str], context: click.Context | None = None) -> None:
    """Raise `click.UsageError` if an option of the command itself stands where the workflow's are."""
    own = {name for option in click.get_current_context().command.params for name in option.opts}
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("-") and option in own:
            raise click.UsageError(f"{option} is an option of promissory's own: it stands before the file", context)


def _dashed(argument: str, names: set[str]) -> str:
    """An argument with an input's option spelled as the command spells it, if it was written with the Python name."""
    option, equals, value = argument.partition("=")
    name = option.removeprefix("--").removeprefix("no-").removeprefix("no_")
    return option.replace("_", "-") + equals + value if option.startswith("--") and name in names else argument


def _set_apart(arguments: list[str], switches: set[str]) -> tuple[list[str], dict[str, bytes]]:
    """Take out what is written `--dry-run=false`, which gives a bool its value by name."""
    rest: list[str] = []
    values: dict[str, bytes] = {}
    is_value = False
    for argument in arguments:
        option, equals, text = argument.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if equals and not is_value and option.startswith("--") and name in switches:
            try:
                values[name] = pack(parse_text(text, BoolType()))
            except ParseError as error:
                raise click.UsageError(f"Invalid value for '{option}': {error}") from None
        else:
            takes_one = not equals and not {name, name.removeprefix("no_")} & {"help", *switches}
            is_value = not is_value and option.startswith("--") and takes_one
            rest.append(argument)
    return rest, values


def _key(name: str) -> str:
    return f"input_{name}"


def _switch(name: str, switches: set[str], names: set[str]) -> str:
    """The options that turn a bool on and off.

    `--no-cache` turns `cache` off also where there is an input `no_cache`; that one is given by `--no-cache=true`. An
    input `no_cache` that is no bool keeps its option, and `cache` is turned off by `--cache=false`.
    """
    flag = name.replace("_", "-")
    if name.startswith("no_") and name.removeprefix("no_") in switches:
        return f"--{flag}=true/--{flag}=false"
    is_free = f"no_{name}" not in names - switches
    return f"--{flag}/--no-{flag}" if is_free else f"--{flag}/--{flag}=false"


def _option(
    parameter: Parameter, base: dict[str, bytes], switches: set[str], names: set[str], said: str, parts: Parts
) -> click.Option:
    flag = parameter.name.replace("_", "-")
    required = parameter.default is None and parameter.name not in base and record_in(parameter.type) is None
    shown = None if parameter.default is None else f"default: {value_text(parameter.default, parameter.type)}"
    if shown is not None and isinstance(parameter.type, EnumType):
        shown = f"default: {shown.rpartition('.')[2]}"  # as it is typed here
    help_text = "  ".join(filter(None, [said, f"[{shown}]" if shown else ""]))
    if isinstance(parameter.type, BoolType):
        return click.Option(
            [_key(parameter.name), _switch(parameter.name, switches, names)],
            default=None,
            required=required,
            help=help_text,
        )
    return click.Option(
        [_key(parameter.name), f"--{flag}"], type=_TypedText(parameter.type, parts), required=required, help=help_text
    )


def _field_key(parameter: str, path: str, paths: list[tuple[str, Type]]) -> str:
    return f"field_{parameter}_{[one for one, _ in paths].index(path)}"


def _add_fields(
    parameter: Parameter,
    paths: list[tuple[str, Type]],
    values: dict[str, Any],
    whole: dict[str, bytes],
    collected: dict[str, bytes],
    parts: Parts,
) -> None:
    """Put what was given for single fields of a record into the record."""
    found = {path.partition(".")[2]: values[_field_key(parameter.name, path, paths)] for path, _ in paths}
    given = {path: tree for path, tree in found.items() if tree is not None}
    if not given:
        return
    base = whole.get(parameter.name, parameter.default)
    try:
        tree = put_together(parameter.type, given, None if base is None else unpack(base))
    except ParseError as error:
        raise click.UsageError(f"Invalid value for '--{parameter.name.replace('_', '-')}': {error}") from None
    collected[parameter.name] = pack(tree, parts)


def _from_document(plan: Plan, given: str, parts: Parts) -> dict[str, bytes]:
    entries = inputs_of_document(given)
    known = {parameter.name: parameter for parameter in plan.inputs}
    unknown = [name for name in entries if name not in known]
    if unknown:
        raise click.UsageError(f"--inputs: there is no input {unknown[0]!r}; there is: {', '.join(known) or 'none'}")
    inputs = {}
    for name, value in entries.items():
        try:
            inputs[name] = pack(parse_json(value, known[name].type, find), parts)
        except ParseError as error:
            raise click.UsageError(f"--inputs: {name}: {error}") from None
    return inputs
