"""The commands, one file each, read by `safas.cli` only when asked for: a frozen dataclass of what can be typed."""
