"""Every page of both consoles, a row each, in the order of the navigation.

Read by `dashboard.routes`, which builds the routers, and through them by the shell. Invariant: what is not
built has no routes yet and is shown to nobody; names, addresses and keys are the rows' and nobody else's.
"""

from typing import Final

from dashboard.navigation import Menu, PageRow
from dashboard.pages import (
    audit,
    exports,
    jobs,
    keys,
    limits,
    models,
    operator,
    overview,
    plan,
    policies,
    prices,
    providers,
    pulse,
    quality,
    requests,
    staff_audit,
    tenant,
    usage,
)
from tenants import Scope

SEE, BUILD, GOVERN, RUN = "See", "Build", "Govern", "Run"

TENANT_PAGES: Final[Menu] = (
    PageRow(
        name="overview", label="Overview", group=SEE, path="/console", key="o", routes=(overview.overview,),
        about="What was spent, for what, and how well it went",
    ),
    PageRow(
        name="cost", label="Cost", group=SEE, path="/console/cost", key="c", routes=(usage.cost,),
        about="Where the money goes, and what routing saved",
    ),
    PageRow(
        name="usage", label="Usage", group=SEE, path="/console/usage", key="u",
        routes=(usage.usage, exports.export_usage),
        about="Requests and tokens by model, project, key and hour",
    ),
    PageRow(
        name="reliability", label="Reliability", group=SEE, path="/console/reliability", key="e",
        routes=(usage.reliability,),
        about="Errors, latency and fallbacks, by provider and model",
    ),
    PageRow(
        name="quality", label="Routing & quality", group=SEE, path="/console/quality", key="q",
        routes=(quality.quality,),
        about="Which model gets which task, and how well it does",
    ),
    PageRow(
        name="requests", label="Requests", group=SEE, path="/console/requests", key="r",
        routes=(requests.requests, requests.one_request, exports.export_requests),
        about="Every request, refused ones too, and why it went where it went",
    ),
    PageRow(
        name="playground", label="Playground", group=BUILD, path="/console/playground", key="p", has_range=False,
        about="Send a prompt to several models at once", scope=Scope.MODELS_CALL,
    ),
    PageRow(
        name="policies", label="Policies", group=BUILD, path="/console/policies", key="y", has_range=False,
        routes=(policies.policies, policies.policy_editor, policies.edit_policy, policies.roll_back_policy),
        about="Write, test and publish how requests are routed",
    ),
    PageRow(
        name="models", label="Models & credentials", group=BUILD, path="/console/models", key="m", has_range=False,
        routes=(models.models, models.bring_credential, models.end_credential),
        about="What can be called, at which price, with whose credential",
    ),
    PageRow(
        name="keys", label="Keys", group=BUILD, path="/console/keys", key="k", has_range=False,
        routes=(keys.keys, keys.make_key, keys.replace_key, keys.end_key),
        about="API keys: make, rotate and revoke", scope=Scope.KEYS_WRITE,
    ),
    PageRow(
        name="limits", label="Limits & budgets", group=GOVERN, path="/console/limits", key="l", has_range=False,
        routes=(
            limits.limits, limits.set_budget_form, limits.remove_budget_form, limits.set_limit_form,
            limits.remove_limit_form,
        ),
        about="How much may be spent, and how fast it goes",
    ),
    PageRow(
        name="plan", label="Plan & usage", group=GOVERN, path="/console/plan", key="n", has_range=False,
        routes=(plan.plan, plan.statement_csv),
        about="The plan and the statement of a month",
    ),
    PageRow(
        name="audit", label="Audit log", group=GOVERN, path="/console/audit", key="a",
        routes=(audit.audit, audit.audit_export),
        about="Who did what, verified", scope=Scope.AUDIT_READ,
    ),
    PageRow(
        name="settings", label="Settings", group=GOVERN, path="/console/settings", key="s", has_range=False,
        about="Name, time zone, members and retention",
    ),
)  # fmt: skip

STAFF_PAGES: Final[Menu] = (
    PageRow(
        name="pulse", label="Pulse", group=SEE, path="/operator/pulse", key="p",
        routes=(pulse.pulse,), about="Requests, errors, cost and margin of the platform, now and before",
    ),
    PageRow(
        name="tenants", label="Tenants", group=SEE, path="/operator", key="t",
        routes=(
            operator.operator_tenants, operator.move_tenant, tenant.one_tenant, tenant.set_status, tenant.give_credit,
        ),
        about="What each tenant is billed, costs and gets wrong",
    ),
    PageRow(
        name="prices", label="Plans & price book", group=RUN, path="/operator/prices", key="b", has_range=False,
        routes=(prices.prices, prices.import_prices),
        about="What plans allow and models cost",
    ),
    PageRow(
        name="providers", label="Providers", group=RUN, path="/operator/providers", key="h",
        routes=(providers.providers,),
        about="How well each provider answers",
    ),
    PageRow(
        name="jobs", label="Jobs", group=RUN, path="/operator/jobs", key="j", has_range=False,
        routes=(jobs.jobs,),
        about="What runs in the background, and what failed",
    ),
    PageRow(
        name="audit", label="Staff audit", group=RUN, path="/operator/audit", key="a",
        routes=(staff_audit.staff_audit,),
        about="What staff looked at and changed",
    ),
)  # fmt: skip
