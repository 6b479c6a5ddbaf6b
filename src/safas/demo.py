"""`safas demo`: simulate, prepare, train ERM and SA-FAS, evaluate, report, export. Every stage goes on where it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from safas.bundle import open_bundle
from safas.capture.domains import DOMAINS
from safas.capture.simulate import SimulateConfig, simulate
from safas.errors import MetricError, ProtocolError, SafasError
from safas.exhibits import NOT_REAL, faces, protocol_runs
from safas.export import export
from safas.prepare import PrepareConfig, prepare
from safas.prepared import prepared_samples, protocols_of
from safas.protocols import Protocol, source_data
from safas.results import method_name, rows
from safas.run_evaluation import Outcome, evaluate_run, keep_chosen_weights
from safas.run_page import Provenance, ReportInput, write_report
from safas.sources import read_boxes, read_source
from safas.stages import Stages
from safas.tables import Table, duration, grid_table, plain_table, result_table
from safas.training import TrainConfig, preset, read_run, train
from safas.training.environment import commit

METHODS = ("erm", "sa-fas")


@dataclass(frozen=True)
class DemoConfig:
    """What the demo does; the defaults take some minutes on two cores."""

    out: Path = Path("runs/demo")
    target: str = "webcam"  # the domain that is left out of training
    every_target: bool = False  # all four domains in turn instead
    seed: int = 0
    simulate: SimulateConfig = field(default_factory=SimulateConfig)
    prepare: PrepareConfig = field(  # about the pixels of the frames
        default_factory=lambda: PrepareConfig(size=112, margin=0.05)
    )
    preset: str = "demo"
    epochs: int | None = None  # instead of the preset's
    splits: str = "official"
    workers: int | None = None  # processes that simulate and prepare; None: one a core

    def train_config(self, method: str) -> TrainConfig:
        """The settings of one method's run."""
        config = preset(self.preset, method, self.seed)
        return config if self.epochs is None else replace(config, epochs=self.epochs)


@dataclass(frozen=True)
class _Desk:
    """What every stage needs."""

    config: DemoConfig
    stages: Stages
    console: Console
    progress: bool

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Say what is being done, and time it."""
        self.console.print(doing, style="bold")
        with self.stages.stage(name):
            yield


@dataclass(frozen=True)
class DemoResult:
    """Where the report lies, and the tables to print."""

    report: Path
    tables: Sequence[Table]
    stages: Stages
    bundle: Path | None = (
        None  # of the last method on the first target; None when the network is no better than chance
    )


def demo(
    config: DemoConfig, console: Console, command: str = "safas demo", progress: bool = True
) -> DemoResult:
    """Do all stages into `config.out`, telling the console what is going on; returns what to print at the end.

    A second call with the same settings goes on where the first was stopped and repeats only what is cheap.
    Raises what the stages raise.
    """
    if config.target not in DOMAINS:
        known = ", ".join(sorted(DOMAINS))
        raise ProtocolError(f"unknown domain {config.target!r}", where="target", remedy=f"Known: {known}.")
    stages = Stages(config.out / "stages.json")
    desk = _Desk(config, stages, console, progress)
    prepared = _data(desk)
    chosen = protocols(config, prepared)
    outcomes = [_run(desk, protocol, method, prepared) for protocol in chosen for method in METHODS]
    with desk.stage("report", "drawing the report"):
        runs = [[o.folder for o in outcomes if o.protocol == protocol.name] for protocol in chosen]
        content = ReportInput(
            protocols=[protocol_runs(folders, prepared) for folders in runs],
            provenance=_provenance(config, outcomes[0].folder, stages, command),
            faces=faces(prepared),
            simulated=NOT_REAL,
        )
        report = write_report(content, config.out / "report.html")
    return DemoResult(report, _tables(outcomes), stages, _bundle(desk, outcomes[len(METHODS) - 1], prepared))


def protocols(config: DemoConfig, prepared: Path) -> tuple[Protocol, ...]:
    """The one protocol that tests on the target, or one for each domain."""
    every = protocols_of((), prepared_samples(prepared), config.splits)
    return tuple(protocol for protocol in every if config.every_target or protocol.target == config.target)


def stages_table(stages: Stages) -> Table:
    """Where the time went."""
    lines = [(name, duration(seconds)) for name, seconds in stages.seconds.items()]
    lines.append(("total", duration(sum(stages.seconds.values()))))
    return plain_table("Where the time went", ("stage", "time"), lines)


def _data(desk: _Desk) -> Path:
    config = desk.config
    simulated, prepared = config.out / "simulated", config.out / "prepared"
    with desk.stage("simulate", "simulating people, attacks and cameras"):
        settings = replace(config.simulate, seed=config.seed)
        samples = simulate(simulated, settings, workers=config.workers, progress=desk.progress)
        desk.console.print(
            f"  {len(samples)} videos of {samples['domain'].n_unique()} domains in {simulated}"
        )
    with desk.stage("prepare", "cropping faces"):
        cropping = replace(config.prepare, workers=config.workers)
        samples = read_source("table", simulated)
        boxes = read_boxes("table", simulated, samples)
        done = prepare(samples, simulated, prepared, cropping, boxes, progress=desk.progress)
        desk.console.print(
            f"  {done.crops} crops of {done.videos} videos; {len(done.failures)} videos left out"
        )
    return prepared


def _run(desk: _Desk, protocol: Protocol, method: str, prepared: Path) -> Outcome:
    config, name, progress = desk.config, method_name(method), desk.progress
    with desk.stage(f"train {name}", f"training {name} on {', '.join(protocol.sources)}"):
        data = source_data(protocol, prepared_samples(prepared))
        folder = train(config.train_config(method), data, prepared, config.out / "runs", progress=progress)
    with desk.stage("evaluate", f"scoring {name} on {protocol.target}, which it has never seen"):
        result = evaluate_run(folder, prepared, progress)
        keep_chosen_weights(folder, result)
    return Outcome(protocol.name, method, config.seed, folder, result)


def _bundle(desk: _Desk, outcome: Outcome, prepared: Path) -> Path | None:
    """The run as a bundle in OUT/bundle; one of the same run that is there already stays."""
    folder = desk.config.out / "bundle"
    with desk.stage("export", f"exporting {method_name(outcome.method)} as a bundle"):
        try:
            if open_bundle(folder).contract.origin.run == outcome.folder.name:
                return folder
        except SafasError:  # there is none, or half of one
            pass
        try:
            return export(outcome.folder, prepared, folder, progress=desk.progress).folder
        except MetricError as error:  # after too few epochs live faces may score below attacks
            desk.console.print(f"  no bundle: {error.what}", markup=False)
            return None


def _tables(outcomes: Sequence[Outcome]) -> list[Table]:
    by_protocol: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        by_protocol.setdefault(outcome.protocol, {})[method_name(outcome.method)] = outcome
    lines = {p: {m: rows(o.result) for m, o in of.items()} for p, of in by_protocol.items()}
    tables = [
        result_table(protocol, f"{protocol}: errors in percent (simulated faces, 95 % intervals)", of)
        for protocol, of in lines.items()
    ]
    if len(lines) > 1:
        caption = "HTER in percent on the unseen domain, epoch and threshold from source validation (simulated faces)"
        headline = {p: {m: of_run[0].numbers["hter"] for m, of_run in of.items()} for p, of in lines.items()}
        tables.append(grid_table(caption, headline))
    return tables


def _provenance(config: DemoConfig, run: Path, stages: Stages, command: str) -> Provenance:
    return Provenance(
        command=command,
        commit=commit() or "unknown (not a checkout)",
        seed=config.seed,
        created=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        versions=read_run(run)["environment"]["versions"],
        stages=[item for item in stages.seconds.items() if item[0] != "report"],
        peak_memory=stages.peak(),
        configurations={
            "Simulation": asdict(replace(config.simulate, seed=config.seed)),
            "Preparation": asdict(config.prepare),
            **{f"Training, {method_name(m)}": asdict(config.train_config(m)) for m in METHODS},
        },
    )
