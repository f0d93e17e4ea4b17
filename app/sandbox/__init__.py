"""The simulated provider: a local server that speaks two vendors' wire formats and is open about it."""

from app.sandbox.asgi import SandboxApp
from app.sandbox.calls import CallEntry, CallOutcome
from app.sandbox.faults import Fault, FaultKind, FaultPlan, FaultRule
from app.sandbox.models import PROVIDER_NAME, PROVIDER_NAMES, SANDBOX_MODELS, SandboxModel, sandbox_prices
from app.sandbox.server import SandboxServer

__all__ = [
    "PROVIDER_NAME",
    "PROVIDER_NAMES",
    "SANDBOX_MODELS",
    "CallEntry",
    "CallOutcome",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FaultRule",
    "SandboxApp",
    "SandboxModel",
    "SandboxServer",
    "sandbox_prices",
]
