"""What is measured: which predictors, on which processes and logs, at which sizes, with how many seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from benchmarks.quality.ours import AUTO, GUIDES_NETWORK, NAMES, SERVED, auto_recipes, name_of
from benchmarks.quality.peers import PEERS
from benchmarks.quality.processes import PROCESSES

GUIDE = "guide"
REAL_LOGS = ("kaist", "toggl_student")
#: A real log has one size only, its own.
WHOLE = 0
SIZES = {GUIDE: (600, 2000, 10_000)}
OTHER_SIZES = (600, 2000)
SEEDS = {GUIDE: 10}
OTHER_SEEDS = {600: 10, 2000: 3, WHOLE: 5}
#: Every architecture with every recipe is measured on this process, elsewhere only the guide's network and what the
#: default chooses from.
EVERY_RECIPE = GUIDE
#: Where the default is also scored with values missing.
GAPS_SIZE, GAPS_SEEDS = 600, 5
#: Where what a retraining serves is measured too: the sizes that intervals are judged at, and the real logs.
SERVED_SIZES = (600, WHOLE)


@dataclass(frozen=True)
class Filters:
    """What a caller asks for; empty means everything."""

    processes: Sequence[str] = ()
    sizes: Sequence[int] = ()
    seeds: int | None = None
    only: Sequence[str] = ()
    quick: bool = False

    def wants(self, predictor: str) -> bool:
        """Whether a predictor is among those asked for (names with * and ?)."""
        return not self.only or any(fnmatchcase(predictor, pattern) for pattern in self.only)


@dataclass(frozen=True)
class Case:
    """One log and what is to be fitted on it; predictors that are fitted together stand together."""

    process: str
    size: int
    seed: int
    groups: tuple[tuple[str, ...], ...]

    @property
    def gaps(self) -> bool:
        """Whether the default is scored with values missing too."""
        return self.size == GAPS_SIZE and self.seed < GAPS_SEEDS

    @property
    def cost(self) -> int:
        """Roughly, in sessions to learn from."""
        return (self.size or 1000) + 2000


def cases(filters: Filters) -> Iterator[Case]:
    """The cases, small logs first, so that something can be seen soon."""
    wanted = [name for name in (*PROCESSES, *REAL_LOGS) if not filters.processes or name in filters.processes]
    by_size = sorted((size, name) for name in wanted for size in _sizes(name, filters))
    for size, name in by_size:
        for seed in range(_seeds(name, size, filters)):
            yield Case(name, size, seed, tuple(_groups(name, size, seed, filters)))


def _sizes(process: str, filters: Filters) -> tuple[int, ...]:
    if process in REAL_LOGS:
        return (WHOLE,)
    sizes = (600,) if filters.quick else SIZES.get(process, OTHER_SIZES)
    return tuple(size for size in sizes if not filters.sizes or size in filters.sizes)


def _seeds(process: str, size: int, filters: Filters) -> int:
    planned = SEEDS.get(process) or OTHER_SEEDS[size]
    if filters.quick:
        planned = 2
    return planned if filters.seeds is None else filters.seeds


def _groups(process: str, size: int, seed: int, filters: Filters) -> Iterator[tuple[str, ...]]:
    together = (*(name_of(recipe) for recipe in auto_recipes(seed)), AUTO)
    if any(filters.wants(name) for name in together):
        yield together
    for name in NAMES:
        if name not in together and filters.wants(name) and (filters.only or _planned(name, process, size, filters)):
            yield (name,)
    yield from ((name,) for name in PEERS if filters.wants(name))


def _planned(name: str, process: str, size: int, filters: Filters) -> bool:
    if name == GUIDES_NETWORK:
        return True
    if name == SERVED:
        return size in SERVED_SIZES
    return not filters.quick and process == EVERY_RECIPE
