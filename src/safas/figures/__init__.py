"""Figures for pages that need no network: `plotting` has the building blocks, `embedding` brings features
into the plane, each other file is one kind of figure."""
