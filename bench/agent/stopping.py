"""When enough latency rounds have been taken: a pure function of what they have shown so far.

The interval is the one that the host reports (bench/analysis/batches.py): Student's t over the
logarithms of the round medians or, from three fresh loads on, over the means of the loads. Looking
after every lap costs coverage only where the least number of rounds is small: with normal round
medians, simulated intervals at the end of this rule cover 93.5 % from 10 rounds on, 94.2 % from 20
and 94.7 % from 40, whatever the target.

The number of loads is fixed, so where they are the batches, rounds can only make out what each load
is like. They go on until the scatter within the loads takes no more than half of the variance that
the target allows; whether the target is met then depends on how much the loads differ.

``loads_by_case`` holds for each case a list per load so far of the natural logarithms of its round
medians, in order.
"""

import functools
import math

FEWEST_ROUNDS = 3
"""No interval from fewer round medians."""
LOADS_AS_BATCHES = 3
"""Fresh loads from which they, and not their rounds, are the batches of the interval."""
WITHIN_LOADS = math.sqrt(0.5)
"""Part of the target that the scatter within loads may take, where loads are the batches."""
SETTLED_LAPS = 10
SETTLED_CHANGE = 0.05
"""The noise has settled when its estimate moved by less than this share over the last laps."""


def decide(loads_by_case, elapsed_s, procedure):
    """Why to stop now, or ``None``; as long as loads are to come, why to go on with the next.

    ``elapsed_s``: time that the latency rounds of all cases have taken together. Before the last
    load, limits are shares of the whole, and the interval may be wider as if the rest were to come.

    ``target``: every case has reached it. ``loads``: it is missed because the loads differ, which
    more rounds do not change. ``max-rounds``, ``max-time``: a limit was reached. ``settled``: every
    case that is off its target would need more rounds than the limits allow even if its noise were
    at the low end of what the rounds so far leave open (95 %), and the estimate of its noise no
    longer moves. More laps then help only by the square root of their number and not enough.
    """
    reason = _why_stop(loads_by_case, elapsed_s, procedure)
    if reason is None or procedure["loads"] < LOADS_AS_BATCHES:
        return reason
    if _share(loads_by_case, procedure) < 1:
        return reason
    widths = [relative_half_width(loads) for loads in loads_by_case.values()]
    if all(width is not None and width <= procedure["target_ci"] for width in widths):
        return "target"
    return "loads" if reason == "target" else reason


def most_laps(procedure):
    """Most latency rounds per case; without any limit, exactly the least number is taken."""
    if procedure["latency_rounds_max"] is not None:
        return procedure["latency_rounds_max"]
    return procedure["latency_rounds"] if procedure["max_time_s"] is None else float("inf")


def laps_to_go(loads_by_case, elapsed_s, procedure):
    """How many more laps will probably be taken until ``decide`` ends them."""
    share = _share(loads_by_case, procedure)
    rounds = fewest_rounds(loads_by_case)
    wanted = 0.0
    for loads in loads_by_case.values():
        scatter = _Scatter(loads, procedure)
        if scatter.deviations:
            wanted = max(wanted, share * scatter.rounds_needed(scatter.deviations[-1]))
    most = share * most_laps(procedure)
    if elapsed_s > 0:
        most = min(most, rounds * share * _longest_s(procedure) / elapsed_s)
    return max(0.0, min(wanted, most) - rounds)


def fewest_rounds(loads_by_case):
    """Latency rounds of the case that has fewest."""
    return min(sum(len(load) for load in loads) for loads in loads_by_case.values())


def relative_half_width(loads):
    """Half-width of the median's 95 % interval relative to it; ``None`` below 3 rounds."""
    values = _joined(loads)
    if len(loads) >= LOADS_AS_BATCHES:
        values = [sum(load) / len(load) for load in loads]
    count = len(values)
    if count < FEWEST_ROUNDS:
        return None
    width = t_quantile(count - 1) * _deviations([values])[-1] / math.sqrt(count)
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


def _why_stop(loads_by_case, elapsed_s, procedure):
    """As ``decide``, where ``target`` is about what more rounds can still reach."""
    share = _share(loads_by_case, procedure)
    rounds = fewest_rounds(loads_by_case)
    if rounds < math.floor(share * procedure["latency_rounds"] + 1e-9):
        return None
    scatters = [_Scatter(loads, procedure) for loads in loads_by_case.values()]
    scatters = [scatter for scatter in scatters if not scatter.is_enough(share)]
    if not scatters:
        return "target"
    most_rounds, most_s = share * most_laps(procedure), share * _longest_s(procedure)
    if rounds >= most_rounds:
        return "max-rounds"
    if elapsed_s >= most_s:
        return "max-time"
    if elapsed_s > 0:
        most_rounds = min(most_rounds, rounds * most_s / elapsed_s)
    if all(scatter.is_hopeless(most_rounds / share) for scatter in scatters):
        return "settled"
    return None


def _share(loads_by_case, procedure):
    """The part (0..1] of the whole that is to be done by the end of the present load."""
    return max(len(loads) for loads in loads_by_case.values()) / float(procedure["loads"])


class _Scatter(object):
    """The noise of a case that more rounds average out, and how far it must be averaged.

    That is the scatter of all rounds, or the scatter within loads where those are the batches.
    """

    def __init__(self, loads, procedure):
        by_load = procedure["loads"] >= LOADS_AS_BATCHES
        self._count = sum(len(load) for load in loads)
        self.deviations = _deviations(loads if by_load else [_joined(loads)])
        self._freedom = procedure["loads"] - 1 if by_load else self._count - 1
        self._wanted = math.asinh(procedure["target_ci"]) * (WITHIN_LOADS if by_load else 1.0)

    def is_enough(self, share):
        """Whether the rounds so far are, when they are a ``share`` of all."""
        if self._count < FEWEST_ROUNDS or not self.deviations:
            return False
        return self._count >= share * self.rounds_needed(self.deviations[-1])

    def is_hopeless(self, most_rounds):
        """Whether the noise is known, and known to need more than ``most_rounds``."""
        if len(self.deviations) < FEWEST_ROUNDS + SETTLED_LAPS - 1:
            return False
        last = self.deviations[-SETTLED_LAPS - 1 :]
        if max(last) - min(last) > SETTLED_CHANGE * last[-1]:
            return False
        lowest = last[-1] * (1 - 1.96 / math.sqrt(2.0 * self._count))
        return self.rounds_needed(lowest) > most_rounds

    def rounds_needed(self, deviation):
        """Rounds over all loads that average a noise of ``deviation`` out far enough."""
        return (t_quantile(self._freedom) * deviation / self._wanted) ** 2


def _joined(loads):
    return [value for load in loads for value in load]


def _longest_s(procedure):
    return float("inf") if procedure["max_time_s"] is None else procedure["max_time_s"]


def _deviations(groups):
    """Standard deviations within the groups, pooled, of the first values (Welford's recurrence).

    One for each value from the first on that leaves a degree of freedom.
    """
    squares, freedom, found = 0.0, 0, []
    for values in groups:
        mean = 0.0
        for count, value in enumerate(values, 1):
            delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
            if count > 1:
                freedom += 1
                found.append(math.sqrt(squares / freedom))
    return found
