"""Which parameters of a search mattered: the share of the trials' differences that goes with one parameter alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_TRIALS", "ParameterImportance", "measure_importance"]

LEAST_TRIALS = 20
"""With fewer trials a share says little."""

_LEAST_PER_GROUP = 4.0  # on average; fewer are put together
_MOST_GROUPS = 8


class ParameterImportance(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one parameter explains of the trials' differences.

    Attributes
    ----------
    name : str
        The parameter.
    share : float, optional
        From 0 to 1: of the variance of the trials' ranks, the part between the groups of equal or neighbouring values
        of the parameter, less what as many groups without any effect would show on average. ``None`` if it cannot be
        said: one value only, or no group of two trials.
    correlation : float, optional
        Spearman's rank correlation of the parameter with the objective; ``None`` for what is no number.
    groups : int
        How many groups were compared.
    trials : int
        Of how many trials.

    """

    name: str
    share: float | None
    correlation: float | None
    groups: int
    trials: int


def measure_importance(
    trials: pd.DataFrame, parameters: Sequence[str], objective: str
) -> list[ParameterImportance]:
    """
    Return what each parameter alone explains, the one that explains most first.

    It is the effect size of the Kruskal-Wallis test, (H - k + 1) / (n - k) for n trials in k groups (Tomczak and
    Tomczak 2014), not below zero. Ranks, so that one absurd trial does not decide. It sees main effects only: a
    parameter that matters in combination with another may show nothing. It describes the trials that there were: a
    sampler that gathers around good points makes a parameter look less important than it is. The shares need not add up
    to one.

    Neither of Optuna's evaluators is used: fANOVA needs scikit-learn, and PED-ANOVA looks at the best tenth of the
    trials, which of a backtest's 30 are three.

    Parameters
    ----------
    trials : pandas.DataFrame
        One row a trial; those without an objective are left out.
    parameters : sequence of str
        Columns of parameters: numbers, or anything that can be told apart.
    objective : str
        The column that is explained.

    """
    import pandas as pd

    values = pd.to_numeric(trials[objective], errors="coerce").replace([np.inf, -np.inf], np.nan)
    known = trials[values.notna()]
    ranks = values.dropna().rank()
    found = [_measure(known[name], ranks, name) for name in parameters]
    return sorted(found, key=lambda one: (one.share is None, -(one.share or 0.0)))


def _measure(column: pd.Series, ranks: pd.Series, name: str) -> ParameterImportance:
    import pandas as pd

    numbers = None
    if not column.map(lambda value: isinstance(value, bool)).any():
        converted = pd.to_numeric(column, errors="coerce")
        numbers = converted if converted.notna().all() and len(converted) else None
    groups = _group(column, numbers)
    count, total = int(groups.nunique()), float(((ranks - ranks.mean()) ** 2).sum())
    size = len(ranks)
    share = None
    if 1 < count < size and total > 0:
        means = ranks.groupby(groups.to_numpy()).transform("mean")
        h = (size - 1) * float(((means - ranks.mean()) ** 2).sum()) / total
        share = max((h - count + 1) / (size - count), 0.0)
    correlation = None
    if numbers is not None and numbers.nunique() > 1 and total > 0:
        correlation = float(np.corrcoef(numbers.rank(), ranks)[0, 1])
        correlation = None if math.isnan(correlation) else correlation
    return ParameterImportance(name=name, share=share, correlation=correlation, groups=count, trials=size)


def _group(column: pd.Series, numbers: pd.Series | None) -> pd.Series:
    """Return the group of each trial: its value, or a range of values where there are too many to compare."""
    import pandas as pd

    most = min(_MOST_GROUPS, max(int(len(column) / _LEAST_PER_GROUP), 2))
    if numbers is None:
        return column.astype(str)
    if numbers.nunique() <= most:
        return numbers
    return pd.qcut(numbers.rank(method="average"), most, labels=False, duplicates="drop")
