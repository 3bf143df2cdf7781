"""An extension of Griffe, which mkdocstrings reads Python with: verbs are made by `verb`, so only a running Python knows their arguments."""

import importlib
import inspect
import re
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from griffe import Attribute, Docstring, Extension, Function, Parameter, ParameterKind, Parameters, Parser


class Verbs(Extension):
    """Puts the function that an attribute of `plainfilm.workflows` holds in the attribute's place."""

    def on_attribute_instance(self, *, attr: Attribute, **_: Any) -> None:
        """Replace `train = verb(TrainOptions, …)` and its like."""
        if str(attr.value).startswith("verb(") and attr.parent is not None:
            value = getattr(importlib.import_module(attr.module.path), attr.name)
            attr.parent.set_member(attr.name, _function(attr, value))


def _function(attr: Attribute, value: Any) -> Function:
    signature = inspect.signature(value)
    made = Function(
        attr.name,
        lineno=attr.lineno,
        endlineno=attr.endlineno,
        parameters=Parameters(*map(_parameter, signature.parameters.values())),
        returns=_shown(signature.return_annotation),
    )
    made.docstring = Docstring(inspect.getdoc(value) or "", parent=made, parser=Parser.numpy)
    return made


def _parameter(told: inspect.Parameter) -> Parameter:
    default = None if told.default is told.empty else getattr(told.default, "__name__", repr(told.default))
    kind = ParameterKind.keyword_only if told.kind is told.KEYWORD_ONLY else ParameterKind.positional_or_keyword
    return Parameter(told.name, annotation=_shown(told.annotation), kind=kind, default=default)


def _shown(annotation: Any) -> str:
    """A type as one writes it: without what the command line reads from it, and without the modules of its names."""
    plain = get_type_hints(type("Told", (), {"__annotations__": {"of": annotation}}))["of"]
    if get_origin(plain) in {Union, UnionType}:
        return " | ".join(dict.fromkeys(map(_shown, get_args(plain))))
    return "None" if plain is NoneType else re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", inspect.formatannotation(plain))
