"""When enough latency rounds have been taken: a pure function of what they have shown so far.

The interval is the one that the host reports (bench/analysis/stats.py): Student's t over the
logarithms of the round medians. Looking after every lap costs coverage only where the least number
of rounds is small: with normal round medians, simulated intervals at the end of this rule cover
93.5 % from 10 rounds on, 94.2 % from 20 and 94.7 % from 40, whatever the target.
"""

import functools
import math

FEWEST_ROUNDS = 3
"""No interval from fewer round medians."""
SETTLED_LAPS = 10
SETTLED_CHANGE = 0.05
"""The noise has settled when its estimate moved by less than this share over the last laps."""


def decide(log_medians_by_case, elapsed_s, procedure, share=1.0):
    """Why to stop now (``target``, ``max-rounds``, ``max-time``, ``settled``) or ``None``.

    ``log_medians_by_case``: for each case the natural logarithms of its round medians, in order.
    ``elapsed_s``: time that the latency rounds of all cases have taken together. ``share``: the
    part (0..1] of the whole that is to be done by now, where rounds are spread over several loads:
    limits shrink with it, and the interval may be wider as if the rest were to come.

    ``settled``: every case that is off its target would need more rounds than the limits allow
    even if its noise were at the low end of what the rounds so far leave open (95 %), and the
    estimate of its noise no longer moves. More laps then help only by the square root of their
    number and not enough.
    """
    rounds = min(len(values) for values in log_medians_by_case.values())
    if rounds < math.floor(share * procedure["latency_rounds"] + 1e-9):
        return None
    target = procedure["target_ci"] / math.sqrt(share)
    open_cases = [values for values in log_medians_by_case.values() if not _reached(values, target)]
    if not open_cases:
        return "target"
    most_rounds, most_s = share * most_laps(procedure), share * _longest_s(procedure)
    if rounds >= most_rounds:
        return "max-rounds"
    if elapsed_s >= most_s:
        return "max-time"
    if elapsed_s > 0:
        most_rounds = min(most_rounds, rounds * most_s / elapsed_s)
    if all(_is_hopeless(values, target, most_rounds) for values in open_cases):
        return "settled"
    return None


def most_laps(procedure):
    """Most latency rounds per case; without any limit, exactly the least number is taken."""
    if procedure["latency_rounds_max"] is not None:
        return procedure["latency_rounds_max"]
    return procedure["latency_rounds"] if procedure["max_time_s"] is None else float("inf")


def laps_to_go(log_medians_by_case, elapsed_s, procedure, share=1.0):
    """How many more laps will probably be taken until ``decide`` ends them."""
    rounds = min(len(values) for values in log_medians_by_case.values())
    target = procedure["target_ci"] / math.sqrt(share)
    wanted = max(
        _rounds_needed(_deviations(values)[-1], len(values), target) if len(values) > 1 else 0.0
        for values in log_medians_by_case.values()
    )
    most = share * most_laps(procedure)
    if elapsed_s > 0:
        most = min(most, rounds * share * _longest_s(procedure) / elapsed_s)
    return max(0.0, min(wanted, most) - rounds)


def relative_half_width(log_medians):
    """Half-width of the median's 95 % interval relative to it; ``None`` below 3 rounds."""
    count = len(log_medians)
    if count < FEWEST_ROUNDS:
        return None
    width = t_quantile(count - 1) * _deviations(log_medians)[-1] / math.sqrt(count)
    # (e^w - e^-w) / 2; above 100 the value no longer matters, but JSON has no infinity.
    return math.sinh(min(width, 100.0))


@functools.lru_cache(maxsize=None)
def t_quantile(freedom):
    """Student's 97.5 % quantile for a whole number of degrees of freedom (at least 1).

    Newton's method on the probability of |T| < t, which is concave in t, so that it rises to the
    root from any start below it, such as the normal quantile.
    """
    t = 1.959963984540054
    log_scale = math.lgamma((freedom + 1) / 2.0) - math.lgamma(freedom / 2.0)
    scale = 2 * math.exp(log_scale) / math.sqrt(freedom * math.pi)
    for _ in range(50):
        density = scale * (1 + t * t / freedom) ** (-(freedom + 1) / 2.0)
        step = (0.95 - _probability_within(t, freedom)) / density
        t += step
        if abs(step) < 1e-12 * t:
            break
    return t


def _probability_within(t, freedom):
    """Probability of |T| < t: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    total, term = 0.0, math.cos(angle) if odd else 1.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= square * (k + 1) / float(k + 2)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def _reached(values, target):
    width = relative_half_width(values)
    return width is not None and width <= target


def _is_hopeless(values, target, most_rounds):
    count = len(values)
    if count < FEWEST_ROUNDS + SETTLED_LAPS:
        return False
    deviations = _deviations(values)
    last = deviations[-SETTLED_LAPS - 1 :]
    if max(last) - min(last) > SETTLED_CHANGE * last[-1]:
        return False
    lowest = last[-1] * (1 - 1.96 / math.sqrt(2.0 * count))
    return _rounds_needed(lowest, count, target) > most_rounds


def _rounds_needed(deviation, count, target):
    return (t_quantile(count - 1) * deviation / math.asinh(target)) ** 2


def _longest_s(procedure):
    return float("inf") if procedure["max_time_s"] is None else procedure["max_time_s"]


def _deviations(values):
    """Standard deviations of the first 1, 2, ... values (Welford's recurrence)."""
    mean, squares, found = 0.0, 0.0, []
    for count, value in enumerate(values, 1):
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
        found.append(math.sqrt(squares / (count - 1)) if count > 1 else 0.0)
    return found
