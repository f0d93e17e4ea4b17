"""What a chat request says that not every dialect can express. Pure; called once per request, by `bound`."""

from itertools import compress
from operator import attrgetter
from typing import Final

from app.providers.dialects.openai.body import ChatBody, Part
from app.routing.candidate import Feature

# By what of a body asks for it.
_ROWS: Final = {
    "has_many_choices": Feature.MANY_CHOICES,
    "wants_logprobs": Feature.LOGPROBS,
    "has_prediction": Feature.PREDICTION,
    "has_custom_tools": Feature.CUSTOM_TOOLS,
    "wants_json_object": Feature.JSON_OBJECT,
}
_asked_for: Final = attrgetter(*_ROWS)
_COMMON_PARTS: Final = frozenset({"text", "image_url", "refusal"})


def features_of(body: ChatBody) -> frozenset[Feature]:
    """The features that a provider's dialect must have to be told this request."""
    features = set(compress(_ROWS.values(), _asked_for(body)))
    for message in body.messages:
        if isinstance(message.content, list):
            features.update(_feature_of(part) for part in message.content if part.type not in _COMMON_PARTS)
    return frozenset(features)


def _feature_of(part: Part) -> Feature:
    if part.type != "file":
        return Feature.OPENAI_PARTS
    return Feature.FILES if part.file is not None and part.file.file_id is not None else Feature.DOCUMENTS
