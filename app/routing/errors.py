"""Errors of routing. They carry facts, not HTTP.

RoutingError
├── PolicyInvalid       a policy document does not hold; carries every problem with its path
├── PolicyNotFound      the caller names a policy that the tenant does not have
├── ModelNotFound       the caller names a model that does not exist; carries the nearest names
├── ModelNotAllowed     the caller names a model outside its plan
├── SensitivityUnknown  the caller adds a sensitivity that does not exist
├── NoCandidateLeft     every candidate fell; carries the decision
└── OverBudget          the same, where more room in the budget would have left a candidate
"""

from typing import Final

from app.routing.decision import RouteDecision
from app.routing.taxonomy import Sensitivity

NAME_CHARACTERS_SHOWN: Final = 40


class RoutingError(Exception):
    """The root."""


class PolicyInvalid(RoutingError):
    """A policy document does not hold."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("The policy is not valid: " + "; ".join(problems))
        self.problems = problems


class PolicyNotFound(RoutingError):
    """The caller names a policy that the tenant does not have."""


class ModelNotFound(RoutingError):
    """The caller names a model that does not exist, or that no credential reaches."""

    def __init__(self, model: str, nearest: tuple[str, ...]) -> None:
        hint = f" Did you mean {', '.join(nearest)}?" if nearest else " GET /v1/models lists what this key can call."
        super().__init__(f"No model is called '{model}' here.{hint}")
        self.model = model
        self.nearest = nearest


class ModelNotAllowed(RoutingError):
    """The caller names a model outside its plan."""

    def __init__(self, model: str, plan_id: str) -> None:
        super().__init__(
            f"The plan '{plan_id}' does not include the model '{model}'. "
            "Use 'auto', a model that GET /v1/models lists, or a larger plan."
        )
        self.model = model
        self.plan_id = plan_id


class SensitivityUnknown(RoutingError):
    """The caller adds a sensitivity that does not exist, and so cannot be heeded."""

    def __init__(self, name: str) -> None:
        shown = name[:NAME_CHARACTERS_SHOWN]
        super().__init__(f"No sensitivity is called '{shown}'. Use one of {', '.join(Sensitivity)}.")


class NoCandidateLeft(RoutingError):
    """Every candidate fell."""

    def __init__(self, message: str, decision: RouteDecision) -> None:
        super().__init__(message)
        self.decision = decision


class OverBudget(NoCandidateLeft):
    """No candidate is left, and more room in the budget would have left one."""

    def __init__(self, message: str, decision: RouteDecision, *, is_contended: bool = False) -> None:
        super().__init__(message, decision)
        self.is_contended = is_contended  # requests in flight hold the room: it may come back
