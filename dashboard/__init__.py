"""What it shows: the tenant's and the operator's console, server-rendered over rollups and records."""

from dashboard.catalogue import ModelLine, ProviderChoice
from dashboard.policy_desk import Drafted, PolicyText, Trial, TrialRequest
from dashboard.routes import console_routes
from dashboard.routing_sums import QualityLine
from dashboard.services import ConsoleServices

__all__ = [
    "ConsoleServices",
    "Drafted",
    "ModelLine",
    "PolicyText",
    "ProviderChoice",
    "QualityLine",
    "Trial",
    "TrialRequest",
    "console_routes",
]
