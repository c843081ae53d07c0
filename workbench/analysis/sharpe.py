"""What a Sharpe ratio is worth: how likely it is no luck, of one track record and of the best of several."""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from workbench.analysis.definitions import Unknown
from workbench.errors import InputError

__all__ = [
    "DeflatedSharpe",
    "Moments",
    "measure_deflated_sharpe",
    "measure_expected_maximum",
    "measure_minimum_track_record",
    "measure_moments",
    "measure_probabilistic_sharpe",
    "read_returns",
]

_NORMAL = NormalDist()
# A variance below this share of the mean square is rounding noise, not variance.
_NOISE = 1e-12


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the Sharpe statistics need to know of a series of returns.

    Attributes
    ----------
    sharpe : float
        Mean / standard deviation of the returns of one period, **not annualised**: an annualised Sharpe ratio
        divided by the square root of the periods in a year.
    skewness : float
        Third standardised moment of the returns; 0 for a normal distribution.
    kurtosis : float
        Fourth standardised moment, **not the excess**: 3 for a normal distribution.
    observations : int
        Returns in the series, at least 2. The statistics are asymptotic: below some 30 observations they
        promise more than they know.

    Raises
    ------
    InputError
        If a number is not finite, there are fewer than 2 observations, or no distribution has this skewness
        and kurtosis (which is what an excess kurtosis looks like).

    """

    sharpe: float
    skewness: float
    kurtosis: float
    observations: int

    def __post_init__(self) -> None:
        for name in ("sharpe", "skewness", "kurtosis"):
            _require_finite(name, getattr(self, name))
        if self.observations < 2:
            raise InputError(
                f"{self.observations} observations are too few", expected="at least 2", field="observations"
            )
        least = 1.0 + self.skewness**2
        # A series of two values has exactly the least kurtosis: leave room for rounding.
        if self.kurtosis < least * (1.0 - 1e-9):
            raise InputError(
                f"a kurtosis of {self.kurtosis:g} is impossible with a skewness of {self.skewness:g}",
                expected=f"at least 1 + skewness^2 = {least:g}",
                advice="give the kurtosis itself (3 for a normal distribution), not the excess kurtosis",
                field="kurtosis",
            )


class DeflatedSharpe(msgspec.Struct, frozen=True, kw_only=True):
    """
    The deflated Sharpe ratio, and all that it was made from.

    Attributes
    ----------
    probability : float
        The deflated Sharpe ratio. In spite of its name it is a probability, 0 to 1: that the true Sharpe
        ratio is above `expected_maximum`. It is no smaller Sharpe ratio.
    sharpe : float
        The Sharpe ratio of the chosen trial, per observation.
    expected_maximum : float
        The Sharpe ratio per observation that the best of as many worthless trials is expected to show.
    trials : int
        The number of **all** trials, as given.
    variance : float
        The variance of the trials' Sharpe ratios per observation, as given.
    skewness, kurtosis, observations
        As in `Moments`.

    """

    probability: float
    sharpe: float
    expected_maximum: float
    trials: int
    variance: float
    skewness: float
    kurtosis: float
    observations: int


def measure_moments(returns: npt.ArrayLike) -> Moments:
    """
    Return the moments of a series of returns.

    The Sharpe ratio has the sample standard deviation (ddof 1) and a risk-free rate of 0, as everywhere
    here; skewness and kurtosis are those of the sample (not corrected for bias).

    Parameters
    ----------
    returns : array-like of shape (observations,)
        Returns per period, as fractions, such as a run's daily returns.

    Raises
    ------
    InputError
        If there are fewer than 2 returns, one is not finite, or all are the same.

    """
    values = read_returns(returns, dimensions=1)
    if len(values) < 2:
        raise InputError(f"{len(values)} returns are too few", expected="at least 2", field="returns")
    deviations = values - values.mean()
    variance = float((deviations**2).mean())
    if variance <= _NOISE * float((values**2).mean()):
        raise InputError("the returns are all the same: they have no Sharpe ratio", field="returns")
    standardised = deviations / math.sqrt(variance)
    return Moments(
        sharpe=float(values.mean() / values.std(ddof=1)),
        skewness=float((standardised**3).mean()),
        kurtosis=float((standardised**4).mean()),
        observations=len(values),
    )


def measure_probabilistic_sharpe(moments: Moments, *, benchmark: float = 0.0) -> float:
    """
    Return the probability that the true Sharpe ratio is above a benchmark.

    Normal((SR - benchmark) sqrt(T - 1) / sqrt(1 - skewness SR + (kurtosis - 1) / 4 SR^2)): the probabilistic
    Sharpe ratio, Bailey and López de Prado 2012, The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2),
    section 3. The standard error is taken at the estimated Sharpe ratio, as there.

    Parameters
    ----------
    moments : Moments
        The track record.
    benchmark : float, default 0.0
        The Sharpe ratio to beat, per observation.

    Raises
    ------
    InputError
        If the benchmark is not finite, or the Sharpe ratio has no standard error.

    """
    _require_finite("benchmark", benchmark)
    error = math.sqrt(_measure_dispersion(moments) / (moments.observations - 1))
    return _NORMAL.cdf((moments.sharpe - benchmark) / error)


def measure_minimum_track_record(
    moments: Moments, *, benchmark: float = 0.0, confidence: float = 0.95
) -> float | Unknown:
    """
    Return how many observations it takes to trust that the true Sharpe ratio is above a benchmark.

    1 + (1 - skewness SR + (kurtosis - 1) / 4 SR^2) (z / (SR - benchmark))^2, with z the normal quantile of
    the confidence: the minimum track record length, Bailey and López de Prado 2012, The Sharpe Ratio
    Efficient Frontier, eq. 13. It counts observations, not years, and is for one track record that was not
    chosen from several.

    Parameters
    ----------
    moments : Moments
        The track record; its own length does not matter.
    benchmark : float, default 0.0
        The Sharpe ratio to beat, per observation.
    confidence : float, default 0.95
        The probability to reach, from 0.5 to below 1.

    Returns
    -------
    float or Unknown
        Observations, not rounded; unknown if the Sharpe ratio is not above the benchmark.

    Raises
    ------
    InputError
        If the benchmark is not finite, the confidence is out of range, or the Sharpe ratio has no standard
        error.

    """
    _require_finite("benchmark", benchmark)
    if not 0.5 <= confidence < 1.0:
        raise InputError(
            f"confidence is {confidence}", expected="a probability from 0.5 to below 1", field="confidence"
        )
    dispersion = _measure_dispersion(moments)
    if moments.sharpe <= benchmark:
        return Unknown("the Sharpe ratio is not above the benchmark, so no length is enough")
    return 1.0 + dispersion * (_NORMAL.inv_cdf(confidence) / (moments.sharpe - benchmark)) ** 2


def measure_expected_maximum(trials: int, variance: float) -> float:
    """
    Return the Sharpe ratio that the best of several trials is expected to show if all are worthless.

    sqrt(variance) ((1 - g) z(1 - 1 / N) + g z(1 - 1 / (N e))), with z the normal quantile and g the
    Euler-Mascheroni constant: Bailey and López de Prado 2014, The Deflated Sharpe Ratio, Journal of Portfolio
    Management 40(5), eq. 1 with a mean of 0. An approximation for independent trials and large N (8 % low at
    N = 2). A single trial was not chosen from anything: 0.

    Parameters
    ----------
    trials : int
        The number of **all** trials, N: whatever was tried on the same data counts, also what failed or was
        thrown away. Trials that resemble each other are in truth fewer; counting all is the cautious side.
    variance : float
        The variance of the trials' Sharpe ratios per observation (ddof 1): that of annualised ones divided
        by the periods in a year.

    Raises
    ------
    InputError
        If there is no trial, or the variance is negative or not finite.

    """
    if trials < 1:
        raise InputError(f"trials is {trials}", expected="at least 1", field="trials")
    _require_finite("variance", variance)
    if variance < 0:
        raise InputError(f"variance is {variance}", expected="at least 0", field="variance")
    if trials == 1:
        return 0.0
    # z(1 - p) = -z(p), which stays exact for any number of trials.
    first, second = -_NORMAL.inv_cdf(1.0 / trials), -_NORMAL.inv_cdf(1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - np.euler_gamma) * first + np.euler_gamma * second)


def measure_deflated_sharpe(moments: Moments, *, trials: int, variance: float) -> DeflatedSharpe:
    """
    Return the probability that the best trial's true Sharpe ratio is above what luck alone would show.

    The probabilistic Sharpe ratio with the expected maximum of all trials as the benchmark: Bailey and López
    de Prado 2014, The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), eq. 2. They ask for 0.95.

    Parameters
    ----------
    moments : Moments
        The track record of the chosen trial.
    trials : int
        The number of **all** trials, see `measure_expected_maximum`.
    variance : float
        The variance of the trials' Sharpe ratios per observation, see `measure_expected_maximum`.

    Raises
    ------
    InputError
        If there is no trial, the variance is negative or not finite, or the Sharpe ratio has no standard
        error.

    """
    benchmark = measure_expected_maximum(trials, variance)
    return DeflatedSharpe(
        probability=measure_probabilistic_sharpe(moments, benchmark=benchmark),
        sharpe=moments.sharpe,
        expected_maximum=benchmark,
        trials=trials,
        variance=variance,
        skewness=moments.skewness,
        kurtosis=moments.kurtosis,
        observations=moments.observations,
    )


def read_returns(returns: npt.ArrayLike, *, dimensions: int) -> npt.NDArray[np.float64]:
    """
    Return returns as an array of floats.

    Raises
    ------
    InputError
        If the shape is another, or a return is not finite.

    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != dimensions:
        shape = "(observations,)" if dimensions == 1 else "(observations, trials)"
        raise InputError(
            f"the returns have {values.ndim} dimensions", expected=f"the shape {shape}", field="returns"
        )
    unknown = int(values.size - np.isfinite(values).sum())
    if unknown:
        raise InputError(
            f"{unknown} of {values.size} returns are not finite", expected="finite numbers", field="returns"
        )
    return values


def _measure_dispersion(moments: Moments) -> float:
    """Return the variance of the Sharpe ratio's estimate x (observations - 1)."""
    sharpe = moments.sharpe
    dispersion = 1.0 - moments.skewness * sharpe + (moments.kurtosis - 1.0) / 4.0 * sharpe**2
    # It is at least (1 - skewness x sharpe / 2)^2, and 0 for certain series of two values only.
    if dispersion <= _NOISE:
        raise InputError("the Sharpe ratio has no standard error: the returns take two values only")
    return dispersion


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError(f"{name} is {value}", expected="a finite number", field=name)
