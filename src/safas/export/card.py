"""A bundle's model card, made from its contract and nothing else."""

from safas.bundle import Bundle


def model_card(bundle: Bundle) -> str:
    """Markdown."""
    return f"# {bundle.training.method}\n"
