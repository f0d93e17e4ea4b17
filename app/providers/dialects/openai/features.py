"""What a chat request says that not every dialect can express. Pure; called once per request, by `bound`."""

from collections.abc import Callable
from typing import Final

from app.providers.dialects.openai.body import ChatBody, Part
from app.routing.candidate import Feature

_ROWS: Final[tuple[tuple[Feature, Callable[[ChatBody], bool]], ...]] = (
    (Feature.MANY_CHOICES, lambda body: body.choices > 1),
    (Feature.LOGPROBS, lambda body: body.wants_logprobs),
    (Feature.PREDICTION, lambda body: body.has_prediction),
    (Feature.CUSTOM_TOOLS, lambda body: body.has_custom_tools),
    (Feature.JSON_OBJECT, lambda body: body.wants_json_object),
)
_COMMON_PARTS: Final = frozenset({"text", "image_url", "refusal"})


def features_of(body: ChatBody) -> frozenset[Feature]:
    """The features that a provider's dialect must have to be told this request."""
    features = {feature for feature, is_asked_for in _ROWS if is_asked_for(body)}
    for message in body.messages:
        if isinstance(message.content, list):
            features.update(_feature_of(part) for part in message.content if part.type not in _COMMON_PARTS)
    return frozenset(features)


def _feature_of(part: Part) -> Feature:
    if part.type != "file":
        return Feature.OPENAI_PARTS
    return Feature.FILES if part.file is not None and part.file.file_id is not None else Feature.DOCUMENTS
