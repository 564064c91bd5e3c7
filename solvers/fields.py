"""Annotated class fields as keyword parameters, so that a solver is declared like a dataclass.

Fields are inherited, defaults may be replaced in a subclass, and type checkers know the constructor
(`typing.dataclass_transform`). Unlike a dataclass the object stays an `opalg.values.Value`: immutable, and
compared, printed and pickled by what it was built from.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, dataclass_transform

from opalg.operators import Operator

__all__ = ["Declared", "positional"]

_REQUIRED: Any = inspect.Parameter.empty


class _Positional:
    """Marks a field that is given by position."""


def positional(*, kw_only: bool) -> Any:
    """What stands in the class body for a required field that is given by position.

    Parameters
    ----------
    kw_only : bool
        False; type checkers look for this word in the call.
    """
    return _Positional()


@dataclass_transform(kw_only_default=True, field_specifiers=(positional,))
class Declared(Operator):
    """An operator whose constructor is made from the annotated fields of its class.

    A subclass may write ``__post_init__``, which runs when all fields are set: there it checks them and
    calls the constructor of `Operator` with its domain and range. Names with a leading underscore and
    `typing.ClassVar` are no fields.

    Raises
    ------
    TypeError
        When it is built with a name that is no field, or without a required one.

    Examples
    --------
    >>> import opalg as oa
    >>> class Multiple(Declared):
    ...     space: oa.Space = positional(kw_only=False)
    ...     factor: float = 2.0
    ...
    ...     def __post_init__(self):
    ...         Operator.__init__(self, self.space, self.space)
    ...
    ...     def _apply(self, x, out=None):
    ...         return self.factor * x
    >>> Multiple(oa.Space(3), factor=3.0)
    Multiple(Space(3), factor=3.0)
    """

    _fields: ClassVar[dict[str, Any]] = {}  # name -> default

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        fields = dict(cls._fields)
        for name, annotation in inspect.get_annotations(cls).items():
            if not name.startswith("_") and "ClassVar" not in str(annotation):
                fields[name] = cls.__dict__.get(name, _REQUIRED)
        # A default without an annotation replaces that of the base class.
        fields |= {name: cls.__dict__[name] for name in fields if name in cls.__dict__}
        cls._fields = fields
        if "__init__" not in cls.__dict__:
            cls.__init__ = _constructor(cls.__name__, fields)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Check the fields and call the constructor of `Operator`."""

    def replace(self, **changes: Any) -> Any:
        """The same object with some fields changed.

        Parameters
        ----------
        **changes
            New values of fields, by name.
        """
        return type(self)(**{**{name: getattr(self, name) for name in self._fields}, **changes})


def _constructor(class_name: str, fields: dict[str, Any]) -> Callable[..., None]:
    kind = inspect.Parameter
    parameters = [kind("self", kind.POSITIONAL_OR_KEYWORD)]
    parameters += [
        kind(name, kind.POSITIONAL_OR_KEYWORD)
        for name, default in fields.items()
        if isinstance(default, _Positional)
    ]
    parameters += [
        kind(name, kind.KEYWORD_ONLY, default=default)
        for name, default in fields.items()
        if not isinstance(default, _Positional)
    ]
    signature = inspect.Signature(parameters)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            offered = signature.replace(parameters=parameters[1:])
            raise TypeError(f"{error}; it is {class_name}{offered}") from None
        bound.apply_defaults()
        for name in fields:
            value = bound.arguments[name]
            # A list could be changed behind the back of an immutable object.
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        self.__post_init__()

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__
