"""`signalbox policy`: show, check, apply and explain a tenant's routing policies.

`explain` is a dry run through the same `classify` and `decide` as a request, on this machine: nothing is
sent, reserved or recorded. Invariant: a policy that names what does not exist is never applied.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click
import msgspec

from app.commands.errors import InputInvalid
from app.commands.named import opened_tenant, tenant_option
from app.commands.opened import Opened
from app.commands.output import Failed, as_json, command, show
from app.commands.policy_examples import examples
from app.commands.policy_explained import show_decision, show_draft
from app.commands.policy_file import read_policy_file
from app.gateway.tenant_view import DEFAULT_POLICY, TenantView, TenantViews
from app.providers import decode_chat, read_facts
from app.routing import (
    AUTO,
    NoCandidateLeft,
    Policy,
    PolicyInvalid,
    PolicyNotFound,
    RequestFacts,
    RouteDecision,
    RouteTable,
    check_policy,
    classify,
    compile_policy,
    decide,
    load_default_policy,
    write_policy,
    yaml_of,
)
from billing import BillingSnapshot, list_budgets
from tenants import PLATFORM_TENANT_ID, Snapshot, publish_policy

policy_name_option = click.option("--name", default=DEFAULT_POLICY, show_default=True, help="The policy's name.")
file_argument = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))


@click.group()
def policy() -> None:
    """Show, check, apply and explain routing policies."""


policy.add_command(examples)


@policy.command("show")
@tenant_option
@policy_name_option
@click.option("--yaml", "is_yaml", is_flag=True, help="Print it in YAML.")
@as_json
@command
async def show_policy(tenant_name: str, name: str, is_yaml: bool, is_json: bool) -> None:
    """Print the policy in force: the tenant's own, or else the platform's. The output is a file for `apply`."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        snapshot = Snapshot(parts.database, parts.vault)
        stored = await snapshot.policy(tenant_id, name) or await snapshot.policy(PLATFORM_TENANT_ID, name)
        known = {*await snapshot.policy_names(tenant_id), *await snapshot.policy_names(PLATFORM_TENANT_ID)}
    if stored is None:
        raise PolicyNotFound(f"No policy is called '{name}' here; there are: {', '.join(sorted(known)) or 'none'}.")
    published_by = "platform" if stored.tenant_id == PLATFORM_TENANT_ID else "tenant"
    if is_json:
        document = msgspec.Raw(stored.document)
        facts = {"name": name, "version": stored.version, "published_by": published_by, "document": document}
        click.echo(msgspec.json.format(msgspec.json.encode(facts)))
    else:
        click.echo(f"{name}@{stored.version}, published by the {published_by}", err=True)
        click.echo(yaml_of(stored.document) if is_yaml else msgspec.json.format(stored.document))


@policy.command()
@tenant_option
@policy_name_option
@file_argument
@as_json
@command
async def check(tenant_name: str, name: str, file: Path, is_json: bool) -> None:
    """Print every problem of FILE (JSON or YAML) with its path, models that do not exist included."""
    document = read_policy_file(file)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        view = await _view(parts, tenant_id)
    problems = check_policy(document, _model_names(view))
    if is_json:
        show({"name": name, "is_valid": not problems, "problems": problems}, is_json=True)
    elif not problems:
        click.echo(f"{file} holds.")
    _refuse(file, problems, is_shown=is_json)


@policy.command()
@tenant_option
@policy_name_option
@file_argument
@as_json
@command
async def apply(tenant_name: str, name: str, file: Path, is_json: bool) -> None:
    """Check FILE (JSON or YAML) and put it in force; it holds on the request path within a second."""
    document = read_policy_file(file)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        _refuse(file, check_policy(document, _model_names(await _view(parts, tenant_id))))
        published = await publish_policy(parts.database, parts.actor, tenant_id, name, document)
    show({"tenant_id": tenant_id, "name": name, "version": published.version}, is_json=is_json)


@policy.command()
@tenant_option
@policy_name_option
@click.argument("text")
@click.option("--apply", "is_applied", is_flag=True, help="Put the draft in force, if all of it was understood.")
@as_json
@command
async def write(tenant_name: str, name: str, text: str, is_applied: bool, is_json: bool) -> None:
    """Draft rules from plain words, such as "route all customer support to Mistral 7B". Shows what would change."""
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        known = _model_names(await _view(parts, tenant_id))
        snapshot = Snapshot(parts.database, parts.vault)
        stored = await snapshot.policy(tenant_id, name) or await snapshot.policy(PLATFORM_TENANT_ID, name)
        draft = write_policy(text, stored.document if stored else load_default_policy(), known)
        show_draft(draft, is_json=is_json)
        if draft.not_understood and (is_applied or not draft.understood):
            raise Failed("Not all of it was understood; nothing was changed.")
        if is_applied:
            document = bytes(draft.document)
            _refuse(Path("the draft"), check_policy(document, known))
            published = await publish_policy(parts.database, parts.actor, tenant_id, name, document)
            click.echo(f"{name}@{published.version} is in force.", err=True)


@policy.command()
@tenant_option
@policy_name_option
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.option("--prompt", required=True, help="The text of the request; - reads it from stdin.")
@click.option("--model", default=AUTO, show_default=True, help="What the request asks for.")
@click.option("--task", help="The task that the caller's metadata names.")
@click.option("--tag", "tags", multiple=True, help="A tag of the request; may be given several times.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The output limit that the request asks for.")
@as_json
@command
async def explain(
    tenant_name: str,
    name: str,
    file: Path | None,
    prompt: str,
    model: str,
    task: str | None,
    tags: tuple[str, ...],
    max_tokens: int | None,
    is_json: bool,
) -> None:
    """Tell where a request would go and why, by the policy in force or by that in FILE. Nothing is sent."""
    text = sys.stdin.read() if prompt == "-" else prompt
    facts = _facts(text, model, task, tags, max_tokens)
    async with opened_tenant(tenant_name) as (parts, tenant_id):
        view = await _view(parts, tenant_id)
        chosen = compile_policy(read_policy_file(file), name=name) if file else view.policy(name)
        headroom, unspent = await _room(parts, tenant_id)
    try:
        show_decision(_decide(facts, chosen, view, headroom, unspent), is_json=is_json)
    except NoCandidateLeft as error:
        show_decision(error.decision, is_json=is_json)
        raise Failed(str(error)) from error


def _facts(prompt: str, model: str, task: str | None, tags: tuple[str, ...], max_tokens: int | None) -> RequestFacts:
    if not prompt.strip():
        raise InputInvalid("The prompt is empty. Give its text with --prompt.")
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    # Through the dialect, so that tokens are counted as they are for a request.
    chat = decode_chat(msgspec.json.encode({**body, "max_tokens": max_tokens} if max_tokens else body))
    return read_facts(chat, tags=tags, metadata={"task": task} if task else None)


def _decide(
    facts: RequestFacts, chosen: Policy, view: TenantView, headroom: int | None, unspent: int | None
) -> RouteDecision:
    return decide(
        classify(facts, keywords=chosen.keywords, examples=view.examples),
        RouteTable(chosen, view.candidates, plan_allows=view.plan.allows, plan_id=view.plan.plan_id),
        headroom_nano_usd=headroom,
        unspent_nano_usd=unspent,
    )


async def _view(parts: Opened, tenant_id: UUID) -> TenantView:
    return await TenantViews(Snapshot(parts.database, parts.vault), BillingSnapshot(parts.database)).of(tenant_id)


async def _room(parts: Opened, tenant_id: UUID) -> tuple[int | None, int | None]:
    """Headroom and unspent nano-USD of the tenant's own tightest budget; those of projects and keys stand beside."""
    async with parts.database.tenant(tenant_id) as session:
        budgets = [each for each in await list_budgets(session, tenant_id) if each.scope == "tenant"]
    unspent = [each.limit_nano_usd - each.spent_nano_usd for each in budgets]
    headroom = [left - each.reserved_nano_usd for left, each in zip(unspent, budgets, strict=True)]
    return min(headroom, default=None), min(unspent, default=None)


def _model_names(view: TenantView) -> frozenset[str]:
    return frozenset(candidate.name for candidate in view.candidates)


def _refuse(file: Path, problems: Sequence[str], *, is_shown: bool = False) -> None:
    if not problems:
        return
    if not is_shown and len(problems) > 1:
        for problem in problems:
            click.echo(problem, err=True)
        raise Failed(f"{file} has {len(problems)} problems; nothing was changed.")
    raise PolicyInvalid(tuple(problems))
