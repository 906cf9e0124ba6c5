"""Annotations of arrays such as Int[np.ndarray, "h w"]: jaxtyping's for readers and type checkers.

Importing jaxtyping takes longer than printing a help text, and nothing needs it in a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Integer, Shaped, UInt8, UInt32
else:

    class _Annotation:
        def __getitem__(self, array_and_shape: tuple[Any, str]) -> Any:
            return array_and_shape[0]

    Bool = Float = Int = Integer = Shaped = UInt8 = UInt32 = _Annotation()

__all__ = ["Bool", "Float", "Int", "Integer", "Shaped", "UInt8", "UInt32"]
