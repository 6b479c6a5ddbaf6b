"""From a run to a bundle: the graph, the decisions fixed on source validation, the contract and its card."""

from safas.export.bundling import ExportConfig, ExportReport, export

__all__ = ["ExportConfig", "ExportReport", "export"]
