"""From a run to a bundle: the graph, the decisions fixed on source validation, the contract and its card."""

from safas.export.bundling import ExportConfig, ExportReport, export
from safas.export.changes import change_of

__all__ = ["ExportConfig", "ExportReport", "change_of", "export"]
