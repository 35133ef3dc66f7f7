"""Objects of light runs: made without the checks that whole runs make, equal in all that they hold.

A frozen dataclass sets each field by a call that evades its own guard, and a message checks every value again that a
service has just computed. Light runs do neither. What is made has the class, the fields and the order of a whole run's.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from winnow.contracts.envelope import Value

Change = tuple[Any, str, Any]
"""An attribute of a class or module, and what stands there during a run."""
_UNSET = object()


@cache
def changes() -> list[Change]:
    """Return the changes for the line's classes; all of them are imported when the first run begins."""
    return [
        *(change for of_type in _frozen_types() for change in _quick_frozen(of_type)),
        (Value, "__init__", _filled),
        *_replacing(),
    ]


def modules() -> list[Any]:
    """Return the modules of the line."""
    return [module for name, module in sys.modules.items() if name.startswith(("services.", "winnow."))]


def _frozen_types() -> Iterator[type]:
    found: dict[type, None] = {}
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                found[value] = None
    for of_type in found:
        params: Any = vars(of_type).get("__dataclass_params__")
        if params is not None and params.frozen and params.init and _is_plain(of_type):
            yield of_type


def _is_plain(of_type: type) -> bool:
    return not hasattr(of_type, "__post_init__") and all(field.init for field in dataclasses.fields(of_type))


def _quick_frozen(of_type: type) -> list[Change]:
    """Return the changes of a frozen dataclass: plain assignments in ``__init__``, and no guard."""
    return [
        (of_type, "__init__", _plain_init(of_type)),
        (of_type, "__setattr__", object.__setattr__),
        (of_type, "__delattr__", object.__delattr__),
    ]


def _plain_init(of_type: type) -> Callable[..., None]:
    names: dict[str, Any] = {"_UNSET": _UNSET}
    parameters, by_name, lines = ["self"], list[str](), list[str]()
    for field in dataclasses.fields(of_type):
        parameter, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{field.name}"] = field.default
            parameter += f"=_default_{field.name}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{field.name}"] = field.default_factory
            parameter += "=_UNSET"
            value = f"_make_{field.name}() if {field.name} is _UNSET else {field.name}"
        (by_name if field.kw_only else parameters).append(parameter)
        lines.append(f"    self.{field.name} = {value}\n")
    signature = ", ".join([*parameters, *(["*", *by_name] if by_name else [])])
    return _function("__init__", f"def __init__({signature}):\n{''.join(lines) or '    pass'}", names)


def _function(name: str, source: str, names: dict[str, Any]) -> Callable[..., Any]:
    exec(source, names)
    function: Callable[..., Any] = names[name]
    return function


@cache
def _template(of_type: type[Value]) -> dict[str, Any]:
    """Return the fields of a model in their order, with their defaults."""
    return {
        name: None if info.is_required() else info.get_default()
        for name, info in of_type.model_fields.items()
    }


def _filled(self: Value, /, **values: Any) -> None:
    """Fill a model with values that nobody checks; of the defaults, none is made by a factory."""
    fields = _template(self.__class__).copy()
    known = len(fields)
    fields.update(values)
    if len(fields) != known:
        fields = {name: fields[name] for name in self.__class__.model_fields}
    put = object.__setattr__
    put(self, "__dict__", fields)
    put(self, "__pydantic_fields_set__", set(values))
    put(self, "__pydantic_extra__", None)
    put(self, "__pydantic_private__", None)


def _replacing() -> list[Change]:
    return [
        (module, "replace", _replace)
        for module in modules()
        if vars(module).get("replace") is dataclasses.replace
    ]


def _replace(before: Any, /, **changed: Any) -> Any:
    """Stand for ``dataclasses.replace``, which asks for every field by a call of its own."""
    after = _copier(before.__class__)(before)
    for name, value in changed.items():
        setattr(after, name, value)
    return after


@cache
def _copier(of_type: type) -> Callable[[Any], Any]:
    if not _is_plain(of_type):
        msg = f"{of_type.__name__} is not made of its fields alone"
        raise NotImplementedError(msg)
    lines = "".join(
        f"    after.{field.name} = before.{field.name}\n" for field in dataclasses.fields(of_type)
    )
    source = f"def copy(before):\n    after = _new(_type)\n{lines}    return after"
    return _function("copy", source, {"_new": object.__new__, "_type": of_type})
