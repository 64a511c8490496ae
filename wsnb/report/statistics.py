"""How sure numbers are: intervals over seeds and over pictures, and which of them can be distinguished.

Pictures are drawn again 10,000 times, the same draws for all numbers on the same pictures: differences are paired.
"""

import functools
import math
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from scipy import stats

from wsnb.files import FileError
from wsnb.metrics import counts
from wsnb.run.paths import split_seed

DRAWS, LEVEL, SEED = 10_000, 0.95, 0


def over_seeds(values, level=LEVEL) -> tuple:
    """(mean, low, high) of the VALUES of several seeds, by Student's t; NaN for the limits of a single one."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), math.nan, math.nan
    mean, far = values.mean(), stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return float(mean), float(mean - far), float(mean + far)


@functools.lru_cache(maxsize=4)
def draws_of(n, draws=DRAWS, seed=SEED) -> np.ndarray:
    """Draw N pictures of N, DRAWS times: how often each is in, float32 [DRAWS, N]."""
    chosen = np.random.default_rng(seed).integers(0, n, (draws, n))
    places = (chosen + n * np.arange(draws)[:, None]).ravel()
    return np.bincount(places, minlength=draws * n).reshape(draws, n).astype(np.float32)


def drawn_again(tables, measure, draws=DRAWS, seed=SEED) -> tuple:
    """Score the counts of N pictures in %: of all (a number), of DRAWS draws of N of them [DRAWS], without each one in
    turn [N]."""
    n = len(tables)
    whole, drawn, without = (counts.weighted(tables, measure, weights)
                             for weights in (np.ones((1, n)), draws_of(n, draws, seed), 1 - np.eye(n)))
    return whole[0], drawn, without


def interval(value, drawn, without, level=LEVEL) -> tuple:
    """(low, high) by the bias-corrected and accelerated bootstrap (Efron, 1987) from the scores of `drawn_again`: a
    data-set score is biased under drawing, since rare classes may be missing. NaN for a single picture."""
    drawn, without = drawn[np.isfinite(drawn)], without[np.isfinite(without)]
    if not len(drawn) or len(without) < 2 or not np.isfinite(value):
        return math.nan, math.nan
    below = ((drawn < value).sum() + (drawn == value).sum() / 2) / len(drawn)
    bias = stats.norm.ppf(np.clip(below, 1 / (len(drawn) + 1), len(drawn) / (len(drawn) + 1)))
    away = without.mean() - without
    size = (away**2).sum() ** 1.5
    lean = (away**3).sum() / (6 * size) if size else 0.0
    tails = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(drawn, stats.norm.cdf(bias + tails / (1 - lean * tails)))
    return float(low), float(high)


def difference(first, second, n) -> float:
    """p of no difference between two numbers on the same N pictures; each is (values of its seeds, scores of draws).

    The variance over pictures is that of the paired draws, the one over seeds, where there are several, is added; the
    degrees of freedom are Welch's. 1 where nothing says how far pictures differ: of a single one, or without scores.
    """
    change, paired = np.mean(first[0]) - np.mean(second[0]), first[1] - second[1]
    paired = paired[np.isfinite(paired)]
    if n < 2 or len(paired) < 2:
        return 1.0
    spread = [(np.var(paired), n - 1)]
    spread += [(np.var(values, ddof=1) / len(values), len(values) - 1) for values, _ in (first, second)
               if len(values) > 1]
    variance = sum(part for part, _ in spread)
    if not variance:
        return 1.0 if not change else 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in spread)
    return float(2 * stats.t.sf(abs(change) / math.sqrt(variance), freedom))


def holm(p_values) -> np.ndarray:
    """Correct the P_VALUES of all comparisons of a table (Holm, 1979): none is called different by luck with more than
    the probability that they are held against."""
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    made = np.empty(len(order))
    made[order] = np.minimum(steps, 1.0)
    return made


def alike(distinct) -> list[str]:
    """Letters of each row of a symmetric bool matrix DISTINCT [R, R]: rows that share one cannot be distinguished."""
    cliques = nx.find_cliques(nx.from_numpy_array(~np.asarray(distinct) & ~np.eye(len(distinct), dtype=bool)))
    letters = [[] for _ in distinct]
    for number, rows in enumerate(sorted(sorted(clique) for clique in cliques)):
        for row in rows:
            letters[row].append(_letter(number))
    return [" ".join(found) for found in letters]


def _letter(number) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[number % 26]


LIMITS = ["low", "high", "seed_low", "seed_high"]
COLUMNS = [*LIMITS, "alike"]
OWN = ["seed", "stage", "key", "git_commit", "git_dirty", "started", "seconds", "peak_cpu_bytes", "peak_gpu_bytes",
       "published", "value", "undefined", "counts", "label_seconds", "label_total", "label_counted", "label_prices",
       "threshold"]  # columns of the results frame in which seeds of one number may differ  # fmt: skip


def merged(rows) -> pd.DataFrame:
    """Rows of the results frame with one row for all seeds of a number: `value` is their mean, `values` and `tables`
    are tuples of their values and `counts`, `seeds` is their number.

    Seeds are the experiments NAME, NAME@seed1, ... and stand in the row of the first as NAME.
    """
    rows = rows.assign(experiment=[split_seed(name)[0] for name in rows.experiment], of=rows.experiment)
    keys = [name for name in rows if name not in (*OWN, "of")]
    same = rows[keys].map(str).agg("|".join, axis=1) if len(rows) else rows.of
    same = same + "|" + rows.groupby([same, "of"]).cumcount().map(str)  # numbers that no field tells apart stay apart
    seeds = rows.groupby(same, sort=False)
    first = rows.groupby(same, sort=False).head(1).drop(columns="of")
    return first.assign(value=list(seeds["value"].mean()), values=list(seeds["value"].agg(tuple)),
                        tables=list(seeds["counts"].agg(tuple)), seeds=list(seeds.size()))


def add(rows) -> pd.DataFrame:
    """ROWS of numbers on the same pictures, sorted, with the columns COLUMNS: intervals in % over pictures and over
    seeds, and the letters of `alike`; NaN and "" without counts of single pictures.

    The columns `values` and `tables` are those of `merged`.
    """
    made, known = pd.DataFrame(index=rows.index, columns=COLUMNS, dtype=object), {}
    for row in rows.itertuples():
        _, *seeds = over_seeds(row.values)
        pictures = (math.nan, math.nan)
        if all(row.tables):
            value, drawn, without = scored(row.tables)
            known[row.Index] = row.values, drawn, len(without)
            pictures = interval(value, drawn, without)
        made.loc[row.Index] = [*pictures, *seeds, ""]
    sizes = {n for *_, n in known.values()}
    if len(sizes) > 1:
        raise FileError(f"{', '.join(rows.title)}: counts of {sorted(sizes)} pictures for the same ones; run them "
                        "again")
    if len(known) > 1:
        made.loc[list(known), "alike"] = alike(_distinct(list(known.values())))
    return pd.concat([rows, made.astype({name: float for name in COLUMNS[:-1]})], axis=1)


def limits(rows, prefix="") -> pd.DataFrame:
    """The columns LIMITS of ROWS of `merged`, whose names begin with PREFIX: 95 % over pictures and over seeds, in %.

    NaN without counts of single pictures, of a single seed and where a row has no number.
    """
    made = pd.DataFrame(index=rows.index, columns=LIMITS, dtype=float)
    for place, values, tables in zip(rows.index, rows[f"{prefix}values"], rows[f"{prefix}tables"], strict=True):
        if isinstance(values, tuple):
            over_pictures = interval(*scored(tables)) if all(tables) else (math.nan, math.nan)
            made.loc[place] = [*over_pictures, *over_seeds(values)[1:]]
    return made


def change(first, second) -> tuple:
    """(low, high), 95 % over pictures, of the number with the tables FIRST minus that with SECOND, of the same
    pictures drawn in pairs. NaN where counts are missing or of another number of pictures."""
    if not all((*first, *second)):
        return math.nan, math.nan
    (value, drawn, without), (before, other, others) = scored(first), scored(second)
    if len(without) != len(others):
        return math.nan, math.nan
    return interval(value - before, drawn - other, without - others)


def scored(tables) -> tuple:
    """The mean over seeds of `drawn_again`; TABLES: of `merged`, one a seed."""
    found = [_scored(*table, Path(table[0]).stat().st_mtime_ns) for table in tables]
    return tuple(np.mean(part, axis=0) for part in zip(*found, strict=True))


@functools.lru_cache(maxsize=512)
def _scored(path, name, measure, written) -> tuple:
    """Score the counts in a file; WRITTEN, its time, makes a new one be read anew."""
    return drawn_again(counts.read(path, name), measure)


def _distinct(known) -> np.ndarray:
    """Which of the numbers KNOWN, (values, draws, pictures), differ at LEVEL after Holm's correction."""
    pairs = [(i, j) for j in range(len(known)) for i in range(j)]
    found = holm([difference(known[i][:2], known[j][:2], known[i][2]) for i, j in pairs]) < 1 - LEVEL
    distinct = np.zeros((len(known), len(known)), bool)
    for (i, j), one in zip(pairs, found, strict=True):
        distinct[i, j] = distinct[j, i] = one
    return distinct
