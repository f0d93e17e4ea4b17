"""Routing: what a request is, which rule takes it, which models may answer it, and why. Pure."""

from app.routing.answer_table import ANSWERS_PROVIDER, NO_CREDENTIAL
from app.routing.assurance import Assurances, Region
from app.routing.candidate import Candidate, Capability, Feature
from app.routing.classify import classify
from app.routing.decide import decide
from app.routing.decision import (
    Complexity,
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
    SensitivityUnknown,
)
from app.routing.examples import EXAMPLES_MAX, Example, Examples, build_index, load_examples
from app.routing.lazily import Lazily
from app.routing.policy import Policy, check_policy, compile_policy, load_default_policy
from app.routing.policy_yaml import json_of_yaml, yaml_of
from app.routing.public_quality import Belief, measured_beliefs, price_beliefs
from app.routing.quality import Estimate, Measured, Prior, QualitySource, estimate, expected, levels_of
from app.routing.quality import Evidence as QualityEvidence
from app.routing.record import decision_record, explain_record
from app.routing.router import Router, fit_router
from app.routing.spoken import PolicyDraft, SpokenRule, write_policy
from app.routing.table import AUTO, NAMED_MODEL_RULE, RouteTable, names_model
from app.routing.taxonomy import (
    TYPICAL_OUTPUT_TOKENS,
    TYPICAL_OUTPUT_TOKENS_ELSE,
    Domain,
    Rag,
    Sensitivity,
    Task,
)
from app.routing.words import decision_json, route_header

__all__ = [
    "ANSWERS_PROVIDER",
    "AUTO",
    "EXAMPLES_MAX",
    "NAMED_MODEL_RULE",
    "NO_CREDENTIAL",
    "TYPICAL_OUTPUT_TOKENS",
    "TYPICAL_OUTPUT_TOKENS_ELSE",
    "Assurances",
    "Belief",
    "Candidate",
    "Capability",
    "Complexity",
    "Domain",
    "Estimate",
    "Evidence",
    "Example",
    "Examples",
    "Exclusion",
    "Feature",
    "Lazily",
    "Measured",
    "ModelNotAllowed",
    "ModelNotFound",
    "NoCandidateLeft",
    "OverBudget",
    "Policy",
    "PolicyDraft",
    "PolicyInvalid",
    "PolicyNotFound",
    "Prior",
    "QualityEvidence",
    "QualitySource",
    "Rag",
    "Ranked",
    "Region",
    "RequestFacts",
    "RouteDecision",
    "RouteTable",
    "Router",
    "RoutingError",
    "Sensitivity",
    "SensitivityUnknown",
    "Signals",
    "SpokenRule",
    "Task",
    "Verdict",
    "build_index",
    "check_policy",
    "classify",
    "compile_policy",
    "decide",
    "decision_json",
    "decision_record",
    "estimate",
    "expected",
    "explain_record",
    "fit_router",
    "json_of_yaml",
    "levels_of",
    "load_default_policy",
    "load_examples",
    "measured_beliefs",
    "names_model",
    "price_beliefs",
    "route_header",
    "write_policy",
    "yaml_of",
]
