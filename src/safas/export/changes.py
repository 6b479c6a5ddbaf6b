"""What another number format changes."""

from safas.bundle import Model


def change_of(plain: Model, other: Model) -> dict[str, float]:
    """How much higher each number of source validation is with the other model."""
    return {
        name: other.source_validation[name] - value
        for name, value in plain.source_validation.items()
        if name in other.source_validation
    }
