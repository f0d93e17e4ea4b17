"""`/projects`: the parts of a tenant that keys, budgets and costs belong to."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.params import JSONBody

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_within
from app.http.api.services import Services
from tenants import create_project, list_projects

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project is made of; no other project of the tenant has its name."""

    name: Name


class ProjectAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A project."""

    project_id: UUID
    name: str
    created_at: datetime


class Projects(Controller):
    """The tenant's projects; a model key sees its own."""

    path = "/projects"
    tags = ("Projects",)

    @get(summary="List projects, oldest first")
    async def list_projects(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[ProjectAnswer]:
        """The projects within the key's reach."""
        only = caller.project_within_reach()
        projects = await list_projects(services.database, caller.tenant_id)
        reached = [answer_of(ProjectAnswer, each) for each in projects if only in (None, each.project_id)]
        return page_within(reached, lambda project: project.project_id, limit=limit, after=after)

    @post(summary="Create a project")
    async def create_project(self, caller: Caller, services: Services, data: JSONBody[NewProject]) -> ProjectAnswer:
        """Keys and budgets can then be made for it."""
        made = await create_project(services.database, caller.principal.actor, caller.tenant_id, data.name)
        return answer_of(ProjectAnswer, made)
