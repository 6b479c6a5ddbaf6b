"""The runs of a benchmark, sorted by protocol and method, with their errors in every replicate of the bootstrap."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from safas.benchmark.comparison import JUDGED, REPLICATES, Errors, Trial, errors, trial
from safas.errors import InputError, ProtocolError
from safas.evaluation import RUN_SCORES
from safas.results import Result, method_name
from safas.run_evaluation import Outcome
from safas.table import PERSON, read_table


@dataclass(frozen=True, eq=False)
class Runs:
    """All seeds of one method in one protocol; `results` in the order of the seeds, and what came of the others."""

    results: Sequence[Result]
    failures: Mapping[int, str]  # seed -> why
    errors: Errors | None  # None: every seed has failed


@dataclass(frozen=True)
class Headcount:
    """How many people and videos judge a protocol's methods."""

    validation_people: int
    people: int
    live: int
    spoof: int
    without_crop: Mapping[str, int] | None = (
        None  # by label; these are not counted above. None: an older safas' run
    )


@dataclass(frozen=True, eq=False)
class Gathered:
    """`runs` by protocol, then by the method's printed name, both in the order in which they were run."""

    runs: Mapping[str, Mapping[str, Runs]]
    method_of: Mapping[str, str]  # printed name -> that of the method itself: another one for a variant of it
    tested: Mapping[str, Headcount]
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    commits: tuple[str, ...]
    replicates: int
    seed: int  # of the bootstrap

    @property
    def methods(self) -> list[str]:
        """Printed names."""
        return list(dict.fromkeys(method for of in self.runs.values() for method in of))

    @property
    def families(self) -> Mapping[str, Sequence[str]]:
        """The variants of each method, by its name; of methods only that ran with their plain settings too."""
        methods = self.methods
        of = {name: [m for m in methods if m != name and self.method_of[m] == name] for name in methods}
        return {name: variants for name, variants in of.items() if variants}

    def only(self, methods: Collection[str]) -> "Gathered":
        """The runs of these alone."""
        runs = {p: {m: of for m, of in line.items() if m in methods} for p, line in self.runs.items()}
        return replace(self, runs={protocol: line for protocol, line in runs.items() if line})

    def seeds_of(self, method: str) -> str:
        """How many seeds stand behind a method's numbers: "3", or "2-3" where protocols differ."""
        counts = [len(of[method].results) for of in self.runs.values() if method in of]
        return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)}–{max(counts)}"


def gather(outcomes: Sequence[Outcome], *, replicates: int = REPLICATES, seed: int = 0) -> Gathered:
    """Read the scores of all outcomes and draw the replicates.

    Raises InputError when there is no outcome or no score file in a finished run's folder, ProtocolError when two runs
    of a protocol were judged by other videos.
    """
    finished = [outcome for outcome in outcomes if outcome.result]
    if not finished:
        raise InputError("no run has finished: there is nothing to tabulate")
    abouts = [(outcome.protocol, outcome.result["about"]) for outcome in finished]
    lost = {protocol: about["without_crop"] for protocol, about in abouts if "without_crop" in about}
    runs: dict[str, dict[str, Runs]] = {}
    tested: dict[str, Headcount] = {}
    judged: dict[str, tuple[Outcome, Trial]] = {}  # the first run of each protocol
    datasets: set[str] = set()
    for protocol, method in dict.fromkeys((outcome.protocol, outcome.title) for outcome in outcomes):
        cell = [o for o in outcomes if (o.protocol, o.title) == (protocol, method)]
        made = [(outcome, _trial(outcome)) for outcome in cell if outcome.result]
        for one in made:
            _check_same_videos(judged.setdefault(protocol, one), one)
        trials = [one for _, one in made]
        measured = errors(trials, replicates=replicates, seed=seed) if trials else None
        results = [o.result for o in sorted(cell, key=lambda one: one.seed) if o.result]
        runs.setdefault(protocol, {})[method] = Runs(results, _failures(cell), measured)
        for first in trials[:1]:
            tested[protocol] = replace(_tested(first), without_crop=lost.get(protocol))
            datasets |= {*first.dev["dataset"], *first.target["dataset"]}
    return Gathered(
        runs=runs,
        method_of={outcome.title: method_name(outcome.method) for outcome in outcomes},
        tested=tested,
        datasets=tuple(sorted(datasets)),
        seeds=tuple(sorted({outcome.seed for outcome in outcomes})),
        commits=tuple(sorted({str(outcome.result["about"]["commit"]) for outcome in finished})),
        replicates=replicates,
        seed=seed,
    )


def _trial(outcome: Outcome) -> Trial:
    scores = read_table(outcome.scores, RUN_SCORES)
    return trial(scores.filter(run=outcome.folder.name), outcome.result["chosen"])


def _check_same_videos(one: tuple[Outcome, Trial], other: tuple[Outcome, Trial]) -> None:
    for (has, rich), (lacks, poor) in ((one, other), (other, one)):
        for there, here in ((rich.dev, poor.dev), (rich.target, poor.target)):
            missing = there.join(here, on=JUDGED, how="anti")
            if not missing.is_empty():
                raise ProtocolError(
                    f"run {lacks.folder.name} was not judged by video {missing['video'][0]!r}, as run "
                    f"{has.folder.name} was",
                    where=str(lacks.scores),
                    remedy="Delete the run that is damaged or of other data, and it is made again.",
                )


def _failures(outcomes: Iterable[Outcome]) -> dict[int, str]:
    return {o.seed: o.failure or "no result" for o in outcomes if not o.result}


def _tested(one: Trial) -> Headcount:
    live = int((one.target["label"] == "live").sum())
    return Headcount(
        validation_people=one.dev.select(PERSON).n_unique(),
        people=one.target.select(PERSON).n_unique(),
        live=live,
        spoof=len(one.target) - live,
    )
