"""Simulated capture: people, their presentation attacks, and the cameras that film both."""
