"""The composition root: builds every part of a gateway process and hands each what it needs.

Nothing else wires (but `app/worker.py`). Read `Gateway` as the list of what one process consists of.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from litestar import Litestar
from litestar.exceptions import HTTPException
from uuid_utils.compat import uuid7

from app.commands.opened import open_database, open_vault
from app.commands.processes import end_with_parent
from app.console import PROVIDER_CHOICES, check_offer, model_lines
from app.gateway.attempts import AttemptLimits, Attempts
from app.gateway.health import Health
from app.gateway.holds import Holds
from app.gateway.pipeline import Pipeline
from app.gateway.policy_desk import RoutingDesk
from app.gateway.quality_table import QualityRow, quality_rows
from app.gateway.repeats import Repeats
from app.gateway.settlement import Settlement
from app.gateway.tenant_view import TenantViews
from app.http.anthropic import AnthropicSurface
from app.http.api import ManagementServices, answer_unrouted, management_routes
from app.http.direct import ASGIApplication, direct
from app.http.feedback import FeedbackSurface
from app.http.front_door import front_door
from app.http.openai import OpenAISurface
from app.http.probes import ProbeAccess, probe_routes
from app.metrics import Metrics
from app.providers import AllowList, Transport, check_address
from app.settings import Environment, read_settings
from app.telemetry import configure_logs
from billing import (
    PROMPT_S,
    BillingSnapshot,
    CommitMeter,
    Feature,
    IdempotencyKeys,
    Traffic,
    admit_management,
    require_feature,
)
from dashboard import ConsoleServices, ModelLine, QualityLine, console_routes
from tenants import Database, Snapshot, Vault, check_master_key

GC_THRESHOLD: Final = 50_000
COUNTS_LEFT_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """The sizes and times of the request path, and how browsers reach the console; from the settings."""

    is_https: bool = False
    body_bytes_max: int = 10_000_000
    attempts: AttemptLimits = field(default_factory=AttemptLimits)
    probes: ProbeAccess = field(default_factory=ProbeAccess)
    database_prompt_s: float = PROMPT_S  # how long a call waits for the database before it is refused
    metrics_folder: Path | None = None  # where the processes of one port leave their counts for each other


class Gateway:
    """The parts of one gateway process, in the order in which they are made."""

    def __init__(
        self, database: Database, vault: Vault, *, options: GatewayOptions, upstream_allow: AllowList | None = None
    ) -> None:
        self.database = database
        self.vault = vault
        self.options = options
        self.process_id: UUID = uuid7()
        self.snapshot = Snapshot(database, vault)
        self.billing = BillingSnapshot(database)
        # What billing caches must be gone before the views that are built from it are asked for again.
        self.snapshot.subscribe(self.billing.drop)
        self.views = TenantViews(self.snapshot, self.billing)
        self.dead_letters = 0
        self.meter = CommitMeter(
            database, self.process_id, on_dead_letter=self._bury, prompt_s=options.database_prompt_s
        )
        self.snapshot.subscribe(self.meter.drop)
        self.traffic = Traffic(
            database,
            self.process_id,
            deadline_s=options.attempts.request_deadline_s,
            prompt_s=options.database_prompt_s,
        )
        self.metrics = Metrics(str(self.process_id), folder=options.metrics_folder)
        self.settlement = Settlement(self.meter, self.traffic, on_end=self.metrics.count)
        self.metrics.watch("signalbox_settlements_waiting", lambda: self.settlement.waiting)
        self.metrics.watch("signalbox_refusals_not_recorded", lambda: self.settlement.refusals_lost)
        self.metrics.watch("signalbox_dead_letters", lambda: self.dead_letters)
        # Beyond its deadline a request can only be on its way into the books.
        self.idempotency_keys = IdempotencyKeys(
            database,
            running_s_max=2 * int(options.attempts.request_deadline_s),
            prompt_s=options.database_prompt_s,
        )
        self.upstream_allow = upstream_allow or AllowList()
        self.transport = Transport(self.upstream_allow)
        self.pipeline = Pipeline(
            snapshot=self.snapshot,
            views=self.views,
            meter=self.meter,
            traffic=self.traffic,
            attempts=Attempts(
                holds=Holds(self.meter, self.traffic),
                transport=self.transport,
                snapshot=self.snapshot,
                limits=options.attempts,
                health=Health(),
            ),
            settlement=self.settlement,
            repeats=Repeats(self.idempotency_keys),
        )

    async def start(self) -> None:
        """Check that the master key is the database's, and begin to hear of changes. Raises MasterKeyWrong."""
        await check_master_key(self.database, self.vault)
        await self.snapshot.start()
        self._leaving = asyncio.create_task(self._leave_counts())

    async def stop(self) -> None:
        """Finish what runs: settlements first, then the connections they need."""
        await self.settlement.drain()
        self._leaving.cancel()
        self.metrics.leave()
        await self.meter.close()
        await self.traffic.close()
        await self.idempotency_keys.close()
        await self.transport.close()
        await self.snapshot.stop()
        await self.database.close()

    def _bury(self, tenant_id: UUID, request_id: UUID, reason: str) -> None:
        self.dead_letters += 1

    async def _leave_counts(self) -> None:
        while True:
            await asyncio.sleep(COUNTS_LEFT_EVERY_S)
            self.metrics.leave()


def create_supervised_app() -> ASGIApplication:
    """The application of a gateway process that `signalbox serve` or `up` started, by the environment's settings."""
    configure_logs()
    settings = read_settings()
    gateway = Gateway(
        open_database(settings),
        open_vault(settings),
        options=GatewayOptions(
            is_https=(settings.public_url or "").startswith("https://"),
            body_bytes_max=settings.body_bytes_max,
            probes=ProbeAccess(
                token=settings.metrics_token,
                is_open_to_loopback=settings.environment is Environment.DEVELOPMENT,
            ),
            metrics_folder=settings.metrics_folder,
            attempts=AttemptLimits(
                attempts_max=settings.attempts_max,
                request_deadline_s=settings.request_deadline_s,
                connect_timeout_s=settings.connect_timeout_s,
                first_byte_timeout_s=settings.first_byte_timeout_s,
                answer_timeout_s=settings.answer_timeout_s,
                idle_timeout_s=settings.idle_timeout_s,
            ),
        ),
        upstream_allow=AllowList.parse(settings.upstream_allow),
    )
    app = create_app(gateway)

    async def settle_in(_: Litestar) -> None:
        app.state.following = asyncio.create_task(end_with_parent())
        # What stands now stays for the life of the process: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    app.on_startup.append(settle_in)
    return direct(app)


def create_app(gateway: Gateway) -> Litestar:
    """The application over one gateway: surfaces, management API, console, probes."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.stop()

    body_bytes_max = gateway.options.body_bytes_max
    openai = OpenAISurface(gateway.pipeline, gateway.database, body_bytes_max=body_bytes_max)
    anthropic = AnthropicSurface(gateway.pipeline, body_bytes_max=body_bytes_max)
    return Litestar(
        route_handlers=[
            *openai.routes(),
            *anthropic.routes(),
            *FeedbackSurface(gateway.pipeline, gateway.database).routes(),
            *management_routes(_management_services(gateway)),
            *console_routes(
                ConsoleServices(
                    database=gateway.database,
                    vault=gateway.vault,
                    is_https=gateway.options.is_https,
                    quality=partial(_quality_lines, gateway),
                    policies=RoutingDesk(gateway.database, gateway.views),
                    models=partial(_model_lines, gateway),
                    provider_choices=PROVIDER_CHOICES,
                    check_offer=partial(check_offer, gateway.upstream_allow),
                    require_feature=partial(_require_feature, gateway),
                )
            ),
            *probe_routes(gateway.database, gateway.metrics, gateway.options.probes),
            front_door,
        ],
        lifespan=[lifespan],
        exception_handlers={HTTPException: answer_unrouted},
        openapi_config=None,
    )


def _management_services(gateway: Gateway) -> ManagementServices:
    async def known_models(tenant_id: UUID) -> frozenset[str]:
        return frozenset(candidate.name for candidate in (await gateway.views.of(tenant_id)).candidates)

    return ManagementServices(
        database=gateway.database,
        vault=gateway.vault,
        principal=gateway.snapshot.principal,
        admit=partial(admit_management, gateway.database, prompt_s=gateway.options.database_prompt_s),
        require_feature=partial(_require_feature, gateway),
        known_models=known_models,
        quality=partial(_expected_quality, gateway),
        check_address=partial(check_address, allow=gateway.upstream_allow),
        idempotency_keys=gateway.idempotency_keys,
    )


async def _require_feature(gateway: Gateway, tenant_id: UUID, feature: Feature) -> None:
    require_feature((await gateway.views.of(tenant_id)).plan, feature)


async def _expected_quality(gateway: Gateway, tenant_id: UUID) -> tuple[QualityRow, ...]:
    return quality_rows(await gateway.views.of(tenant_id))


async def _quality_lines(gateway: Gateway, tenant_id: UUID) -> tuple[QualityLine, ...]:
    return tuple(QualityLine(**msgspec.structs.asdict(row)) for row in await _expected_quality(gateway, tenant_id))


async def _model_lines(gateway: Gateway, tenant_id: UUID) -> tuple[ModelLine, ...]:
    return model_lines(await gateway.views.of(tenant_id))
