"""How much the seen errors support, and how many presentations a claimed rate would need."""

from typing import Any

from safas.assessment.intervals import LEVEL, presentations_needed
from safas.assessment.operating import OperatingPoint
from safas.assessment.risk import Risks

RATES = (0.1, 0.05, 0.01)
ERRORS = (0, 1, 2, 3, 5)

Json = dict[str, Any]


def support(report: Json, point: OperatingPoint, risks: Risks | None) -> Json:
    """The part `support` of docs/report.md, for the usual rates and those that were asked for."""
    asked = [point.value] if point.kind in ("apcer", "bpcer") else []
    asked += [risks.apcer, risks.bpcer] if risks else []
    claimed = sorted({*RATES, *(rate for rate in asked if 0 < rate < 1)}, reverse=True)
    seen = {"bona fide": report["bpcer"], **report["species"]}
    return {
        "confidence": LEVEL,
        "claims": [{"rate": rate, "needed": _needed(rate)} for rate in claimed],
        "seen": [
            {
                "what": name,
                "n": one["n"],
                "errors": one["errors"],
                "supports": one["upper"],
                "claims": {
                    f"{rate:g}": one["upper"] is not None and one["upper"] <= rate for rate in claimed
                },
            }
            for name, one in seen.items()
        ],
    }


def _needed(rate: float) -> dict[str, int]:
    return {str(errors): presentations_needed(rate, errors) for errors in ERRORS}
