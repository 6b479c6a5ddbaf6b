"""Figures for pages that need no network: `plotting` has the building blocks, each other file one kind of figure."""
