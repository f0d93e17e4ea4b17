"""`/examples`: the tenant's labelled prompts, by whose nearest its requests are told a task.

Invariant: they hold within a second on the request path, which reads hashes of them and no prompt.
"""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from app.gateway.example_index import build_example_index
from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_of
from app.http.api.services import Services
from app.routing import EXAMPLES_MAX
from tenants import add_examples, list_examples, remove_examples

ADDED_MAX: Final = 1_000  # in one call


class NewExample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt and the task that it is one of: one of ours, or any name of the tenant's own."""

    prompt: str
    task: str


class NewExamples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompts with their tasks. A prompt that is there already gets the new task."""

    examples: Annotated[tuple[NewExample, ...], msgspec.Meta(min_length=1, max_length=ADDED_MAX)]


class ExampleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled prompt."""

    example_id: UUID
    prompt: str
    task: str
    created_by: str
    created_at: datetime


class ExampleCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many examples the tenant has then, and may have."""

    examples: int
    examples_max: int = EXAMPLES_MAX


class LabelledExamples(Controller):
    """Labelled prompts of the tenant."""

    path = "/examples"
    tags = ("Examples",)

    @get(summary="List examples, newest first")
    async def list_examples(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[ExampleAnswer]:
        """The prompts with their tasks."""
        rows = await list_examples(services.database, caller.tenant_id, limit=limit + 1, after=after)
        return page_of(
            [answer_of(ExampleAnswer, each) for each in rows], lambda example: example.example_id, limit=limit
        )

    @post(summary="Add examples")
    async def add_examples(self, caller: Caller, services: Services, data: JSONBody[NewExamples]) -> ExampleCount:
        """Add prompts with their tasks, all or none; they tell requests within a second."""
        labelled = [(example.prompt, example.task) for example in data.examples]
        count = await add_examples(
            services.database, caller.principal.actor, caller.tenant_id, labelled, build_example_index
        )
        return ExampleCount(examples=count)

    @delete("/{example_id:uuid}", summary="Remove an example")
    async def remove_example(self, caller: Caller, services: Services, example_id: FromPath[UUID]) -> None:
        """Remove one; the others tell on."""
        await remove_examples(
            services.database, caller.principal.actor, caller.tenant_id, [example_id], build_example_index
        )
