"""`signalbox eval FILE`: how well models and policies do on a labelled file, at what cost, and how surely.

It is a client like any other: it needs an address and a key, and opens no database. With a management key the result
is stored, and routing goes by it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.commands.errors import GatewayRefused, InputInvalid
from app.commands.eval_journal import Journal
from app.commands.eval_report import EvalReport, print_report, report_of, stored_document
from app.commands.eval_run import MODEL_HEADERS, TAG_HEADERS, Run, Subject
from app.commands.eval_set import LabelledSet, read_labelled
from app.commands.output import Failed, as_json, command, show
from app.commands.try_client import CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, GatewayClient
from app.commands.try_file import BASE_URL, CONCURRENCY_MAX
from app.evaluation.scores import Graded, compare
from app.routing import AUTO
from billing import usd

SUBJECTS_MAX: Final = 20
REFUSAL_CHARACTERS_SHOWN: Final = 300


class _Problem(msgspec.Struct):
    """What the management API says of a refusal."""

    detail: str


@click.command("eval")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base-url", envvar="SIGNALBOX_BASE_URL", default=BASE_URL, show_default=True, show_envvar=True)
@click.option("--key", envvar="SIGNALBOX_API_KEY", required=True, show_envvar=True, help="A tenant's API key.")
@click.option(
    "--management-key", envvar="SIGNALBOX_MANAGEMENT_KEY", show_envvar=True, help="Store the result with this key."
)
@click.option("--model", "models", multiple=True, help="Evaluate provider/model; may be given several times.")
@click.option("--policy", "policies", multiple=True, help="Evaluate a policy by its name; may be given several times.")
@click.option("--against", help="Compare with this policy, or provider/model, prompt by prompt.")
@click.option("--judge", help="The model, or auto/POLICY, that grades lines with the grader 'judge'.")
@click.option(
    "--concurrency", type=click.IntRange(1, CONCURRENCY_MAX), default=8, show_default=True, help="Requests at once."
)
@click.option("--limit", type=click.IntRange(min=1), help="The first prompts only.")
@click.option("--journal", type=click.Path(path_type=Path), help="Keep scores there, and go on from what it holds.")
@click.option("--name", help="What the result is called.  [default: the file's name]")
@as_json
@command
async def eval_file(
    file: Path,
    base_url: str,
    key: str,
    management_key: str | None,
    models: tuple[str, ...],
    policies: tuple[str, ...],
    against: str | None,
    judge: str | None,
    concurrency: int,
    limit: int | None,
    journal: Path | None,
    name: str | None,
    is_json: bool,
) -> None:
    """Grade the answers to the labelled prompts of FILE (JSONL with `prompt`, `expected`, `task`, `grader`; .gz too).

    Graders: exact, contains, regex, number, choice, json, judge. Without a model or a policy, `auto` is evaluated.
    """
    labelled_set = read_labelled(file, limit=limit)
    subjects = _subjects(models, policies, against)
    if labelled_set.needs_judge and judge is None:
        raise InputInvalid("Some lines have the grader 'judge'. Name the model that is to grade them with --judge.")
    started_at, started = datetime.now(UTC), monotonic()
    address = base_url.rstrip("/").removesuffix("/v1")
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=concurrency)) as http:
        run = Run(
            lambda subject: _client(http, address, key, subject),
            None if judge is None else _client(http, address, key, Subject(judge)),
        )
        await _client(http, address, key, subjects[0]).check()
        with Journal(journal, labelled_set.sha256) as kept:
            await _grade(run, labelled_set, subjects, kept, concurrency)
        graded = sorted((each for each in kept.graded if Subject(each.subject) in subjects), key=lambda each: each.line)
        report = report_of(
            graded,
            subjects,
            tuple(
                row
                for subject in subjects[:-1]
                if against is not None
                for row in compare(graded, subject.name, subjects[-1].name)
            ),
            run.judged,
            evaluation_id=kept.evaluation_id,
            prompts_sha256=labelled_set.sha256,
            wall_s=monotonic() - started,
        )
        if management_key is not None:
            document = stored_document(report, name=name or file.name, started_at=started_at)
            await _store(http, address, management_key, document)
            report = msgspec.structs.replace(report, stored=True)
    _show(report, is_json=is_json)


def _subjects(models: tuple[str, ...], policies: tuple[str, ...], against: str | None) -> tuple[Subject, ...]:
    """What is evaluated; what the others are compared with stands last."""
    named = [*models, *(f"{AUTO}/{policy}" for policy in policies)] or [AUTO]
    if against is not None:
        other = against if "/" in against or against == AUTO else f"{AUTO}/{against}"
        named = [*(each for each in named if each != other), other]
        if len(named) == 1:
            raise InputInvalid(f"--against names '{against}', which is all that is evaluated. Name something else.")
    if len(named) > SUBJECTS_MAX:
        raise InputInvalid(f"{len(named)} models and policies are named; {SUBJECTS_MAX} are the most at once.")
    return tuple(Subject(each) for each in dict.fromkeys(named))


def _client(http: aiohttp.ClientSession, address: str, key: str, subject: Subject) -> GatewayClient:
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise InputInvalid("The key is not one line of ASCII. Keys look like sbx_live_…; copy it again.")
    return GatewayClient(
        http,
        address,
        key.strip(),
        model=subject.name,
        is_streamed=False,
        is_task_told=False,
        headers=MODEL_HEADERS if subject.kind == "model" else TAG_HEADERS,
    )


async def _grade(
    run: Run, labelled_set: LabelledSet, subjects: tuple[Subject, ...], journal: Journal, concurrency: int
) -> None:
    """Grade with a bar that shows how far it is and what it cost so far."""
    cost_nano_usd = sum(each.cost_nano_usd or 0 for each in journal.graded)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[cost]}"), TimeElapsedColumn(),
        TimeRemainingColumn(), console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    ) as progress:  # fmt: skip
        bar = progress.add_task(
            "", total=len(labelled_set.labelled) * len(subjects), completed=len(journal.graded), cost=""
        )

        def progressed(graded: Graded) -> None:
            nonlocal cost_nano_usd
            cost_nano_usd += graded.cost_nano_usd or 0
            progress.update(bar, advance=1, cost=usd(cost_nano_usd))

        await run.grade(labelled_set, subjects, journal, concurrency=concurrency, progressed=progressed)


async def _store(http: aiohttp.ClientSession, address: str, key: str, document: dict[str, object]) -> None:
    """Store the sums. Raises GatewayRefused."""
    headers = {"authorization": f"Bearer {key.strip()}"}
    try:
        async with http.post(f"{address}/api/v1/evaluations", json=document, headers=headers) as response:
            said = await response.text()
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise GatewayRefused(f"The result was not stored: {type(error).__name__}. Run again with --journal.") from error
    if status != 200:
        try:
            reason = msgspec.json.decode(said, type=_Problem).detail
        except msgspec.DecodeError:
            reason = f"the gateway answered {status}."
        raise GatewayRefused(f"The result was not stored: {reason[:REFUSAL_CHARACTERS_SHOWN]}")


def _show(report: EvalReport, *, is_json: bool) -> None:
    if is_json:
        show(report, is_json=True)
    else:
        print_report(report)
        where = "is stored and moves routing" if report.stored else "is not stored: give --management-key to store it"
        click.echo(f"Evaluation {report.evaluation_id} {where}.", err=True)
    if not any(each.prompts for each in report.tallies):
        reasons = ", ".join(report.reasons) or "nothing was sent"
        raise Failed(f"No answer could be graded: {reasons}.")
