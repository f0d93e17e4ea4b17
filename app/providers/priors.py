"""What is believed of a model before a tenant measured it: declared, from public outcomes, or by its price.

Asked by the catalogue for each price of the price book. Invariant: a model that was declared free has no belief by
price, since its price says nothing.
"""

from functools import lru_cache
from typing import Final

from app.providers.vendors import Vendor
from app.routing.public_quality import Belief, measured_beliefs, price_beliefs
from app.routing.quality import Prior, QualitySource
from app.sandbox.models import SANDBOX_MODELS
from billing import Price

DECLARED_PROMPTS: Final = 20.0  # that a simulated model's declared skill counts for
NOTHING: Final = Prior(QualitySource.NONE, {})


def prior_of(vendor: Vendor, price: Price) -> Prior:
    """Give the belief about a model at its price."""
    return _prior(price.model, vendor.is_simulated, price.output_nano_usd_per_million)


@lru_cache(maxsize=16_384)
def _prior(model: str, is_simulated: bool, output_nano_usd_per_million: int) -> Prior:
    if is_simulated:
        row = SANDBOX_MODELS.get(model)
        skill = {} if row is None else row.skill
        return Prior(QualitySource.DECLARED, {task: Belief(value, DECLARED_PROMPTS) for task, value in skill.items()})
    measured = measured_beliefs(model)
    if measured is not None:
        return Prior(QualitySource.PUBLIC, measured)
    if output_nano_usd_per_million <= 0:
        return NOTHING
    return Prior(QualitySource.PRICE, price_beliefs(output_nano_usd_per_million))
