"""Quantities as Kubernetes writes them: `500m`, `2Gi`, `1.5`, `1e3`. Pure."""

from decimal import Decimal, InvalidOperation
from typing import Final

_SUFFIXES: Final = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate(("m", "u", "n"), start=1)},
}


def quantity(text: str | int | float) -> Decimal:
    """The number that a quantity stands for; of memory, in bytes.

    Raises:
        ValueError: it is none.
    """
    number, factor = str(text), Decimal(1)
    for suffix, value in _SUFFIXES.items():
        if number.endswith(suffix):
            number, factor = number.removesuffix(suffix), value
            break
    try:
        result = Decimal(number) * factor
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a quantity: write a number with a unit, such as 500m or 2Gi") from None
    if not result.is_finite():
        raise ValueError(f"{text!r} is not a quantity: write a number with a unit, such as 500m or 2Gi")
    return result
