"""safas: tell a live face from a spoofed one in places the model has never seen (SA-FAS, CVPR 2023)."""

__version__ = "0.1.0"
