"""Routing: what a request is, which rule takes it, which models may answer it, and why. Pure."""

from app.routing.candidate import Candidate, Capability, Feature
from app.routing.classify import classify
from app.routing.decide import AUTO, NAMED_MODEL_RULE, decide
from app.routing.decision import (
    Evidence,
    Exclusion,
    Ranked,
    RequestFacts,
    RouteDecision,
    Signals,
    Verdict,
)
from app.routing.errors import (
    ModelNotAllowed,
    ModelNotFound,
    NoCandidateLeft,
    OverBudget,
    PolicyInvalid,
    PolicyNotFound,
    RoutingError,
)
from app.routing.policy import Policy, check_policy, compile_policy, load_default_policy
from app.routing.taxonomy import Domain, Task
from app.routing.words import decision_json, route_header

__all__ = [
    "AUTO",
    "NAMED_MODEL_RULE",
    "Candidate",
    "Capability",
    "Domain",
    "Evidence",
    "Exclusion",
    "Feature",
    "ModelNotAllowed",
    "ModelNotFound",
    "NoCandidateLeft",
    "OverBudget",
    "Policy",
    "PolicyInvalid",
    "PolicyNotFound",
    "Ranked",
    "RequestFacts",
    "RouteDecision",
    "RoutingError",
    "Signals",
    "Task",
    "Verdict",
    "check_policy",
    "classify",
    "compile_policy",
    "decide",
    "decision_json",
    "load_default_policy",
    "route_header",
]
