"""Write the watermark-statistics-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, nor anything beyond the standard library. Tails are exact sums:
in integers where the law is discrete and small, else in 60 decimal digits from the definition of
each law (never from an approximation of the tail), so that every printed digit is right.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
Case = dict[str, Any]

getcontext().prec = 60
NEGLIGIBLE = Decimal("1e-45")
EULER = Decimal("0.577215664901532860606512090082402431042159335939923598805767")
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")

# 1. Numbers.


def bernoulli(count: int) -> list[Fraction]:
    """Return B_0 to B_(count - 1), with B_1 = -1/2."""
    out: list[Fraction] = []
    for m in range(count):
        out.append(
            Fraction(int(m == 0))
            - sum((math.comb(m, k) * out[k] / (m - k + 1) for k in range(m)), Fraction())
        )
    return out


BERNOULLI = bernoulli(42)


def decimal(value: Fraction) -> Decimal:
    """Return a fraction to 60 digits."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def log_factorial(n: int) -> Decimal:
    """Return ln n!: the integer's logarithm, or Stirling's series with 20 terms."""
    if n < 2000:
        return Decimal(math.factorial(n)).ln()
    z = Decimal(n)
    total = (z + Decimal("0.5")) * z.ln() - z + (2 * PI).ln() / 2
    for k in range(1, 21):
        total += decimal(BERNOULLI[2 * k]) / (2 * k * (2 * k - 1)) / z ** (2 * k - 1)
    return total


def digits(value: Decimal) -> str:
    """Return 30 significant digits."""
    return f"{value:.29e}"


def logarithm(value: Decimal | Fraction) -> str:
    """Return ln of a probability."""
    return digits((decimal(value) if isinstance(value, Fraction) else value).ln())


# 2. Tails.


def log_one_minus(log_value: Decimal) -> Decimal:
    """Return ln(1 - e**log_value)."""
    return (1 - log_value.exp()).ln()


def log_gamma(n: int, x: Decimal) -> Decimal:
    """Return ln P(Gamma(n) >= x) = ln P(Poisson(x) < n), adding Poisson masses."""
    start, step = (n - 1, -1) if x >= n else (n, 1)
    term = total = Decimal(1)
    j = start
    while j + min(step, 0) >= 0 and term > NEGLIGIBLE * total:
        term *= j / x if step < 0 else x / (j + 1)
        total += term
        j += step
    mass = start * x.ln() - x - log_factorial(start) + total.ln()
    return mass if step < 0 else log_one_minus(mass)


def binomial_exact(k: int, n: int, p: Fraction) -> Fraction:
    """Return P(Binomial(n, p) >= k), all terms in integers."""
    a, d = p.numerator, p.denominator
    b = d - a
    hits = sum(math.comb(n, j) * a**j * b ** (n - j) for j in range(max(k, 0), n + 1))
    return Fraction(hits, d**n)


def log_binomial(k: int, n: int, p: Fraction) -> Decimal:
    """Return ln P(Binomial(n, p) >= k), adding masses away from the mean."""
    odds, up = decimal(p / (1 - p)), k >= n * p
    start = k if up else k - 1
    term = total = Decimal(1)
    j = start
    while 0 <= j <= n and term > NEGLIGIBLE * total:
        term *= Decimal(n - j) / (j + 1) * odds if up else Decimal(j) / (n - j + 1) / odds
        total += term
        j += 1 if up else -1
    choose = log_factorial(n) - log_factorial(start) - log_factorial(n - start)
    chance = start * decimal(p).ln() + (n - start) * decimal(1 - p).ln()
    mass = choose + chance + total.ln()
    return mass if up else log_one_minus(mass)


def bit_sums(weights: list[int], n: int, p: Fraction) -> tuple[list[int], int]:
    """Return P(S >= k) for every k over a common denominator: a power packed into one integer."""
    a, d = p.numerator, p.denominator
    width = ((d ** (n * len(weights))).bit_length() + 7) // 8  # Bytes that any sum fits into.
    one = 1
    for w in weights:
        one = one * (d - a) + ((one * a) << (8 * width * w))
    power = one**n
    size = n * sum(weights) + 1
    data = power.to_bytes(width * size, "little")
    tail, out = 0, []
    for k in reversed(range(size)):
        tail += int.from_bytes(data[k * width : (k + 1) * width], "little")
        out.append(tail)
    if tail != d ** (n * len(weights)):
        raise ArithmeticError("a coefficient overflowed")
    return out[::-1], tail


def log_two_gamma(n: int, x: Decimal, first: Decimal, second: Decimal) -> Decimal:
    """Return ln P(first Gamma(n) + second Gamma(n) >= x), first > second > 0.

    Divided by second it is Gamma(2 n + K), K negative binomial: Moschopoulos, "The distribution
    of the sum of independent gamma random variables", 1985.
    """
    y, ratio = x / second, second / first
    mass = (-y).exp()
    tail = mass
    for j in range(1, 2 * n):
        mass *= y / j
        tail += mass
    chance = ratio**n
    total, k, part = chance * tail, 0, Decimal(1)
    while part > NEGLIGIBLE * total:  # Parts rise, if at all, before they fall (log-concave).
        chance *= (n + k) * (1 - ratio) / (k + 1)
        mass *= y / (2 * n + k)
        tail += mass
        part = chance * tail
        total += part
        k += 1
    return total.ln()


# 3. Scores of marked text.


def harmonic(x: Decimal) -> Decimal:
    """Return H(x) = psi(x + 1) + gamma."""
    less = sum((1 / (x + j) for j in range(1, 41)), Decimal(0))
    z = x + 40
    value = z.ln() + 1 / (2 * z) + EULER - less
    for k in range(1, 21):
        value -= decimal(BERNOULLI[2 * k]) / (2 * k) / z ** (2 * k)
    return value


def spread(x: Decimal) -> Decimal:
    """Return pi^2 / 6 - psi'(x + 1)."""
    more = sum((1 / (x + j) ** 2 for j in range(1, 41)), Decimal(0))
    z = x + 40
    value = 1 / z - 1 / (2 * z * z)
    for k in range(1, 21):
        value += decimal(BERNOULLI[2 * k]) / z ** (2 * k + 1)
    return PI * PI / 6 - value - more


# 4. Vectors.

DEVIATIONS = (-5, -1, 0, 1, 3, 8, 20, 40, 96)


def gamma_cases() -> list[Case]:
    """Return totals from five deviations below the mean to beyond 1e-2000."""
    out = []
    for n in (1, 2, 3, 15, 16, 17, 50, 200, 400, 5000, 1_000_000):
        for z in DEVIATIONS:
            x = round(n + z * math.sqrt(n) + max(z, 0) ** 2 / 2, 3)
            if x > 0:
                out.append({"total": x, "count": n, "ln_p": digits(log_gamma(n, Decimal(x)))})
    return out


def binomial_cases() -> list[Case]:
    """Return small ones in integers, large ones by masses."""
    out = []
    for p in (0.25, 0.5, 0.1, 0.999):
        for n in (1, 2, 20, 200, 400, 50_000, 1_000_000):
            ks = {round(n * p + z * math.sqrt(n * p * (1 - p))) for z in DEVIATIONS} | {n}
            for k in sorted(k for k in ks if 0 < k <= n):
                exact = Fraction(p)
                small = n <= 200
                ln_p = (
                    logarithm(binomial_exact(k, n, exact))
                    if small
                    else digits(log_binomial(k, n, exact))
                )
                out.append({"total": k, "count": n, "probability": p, "ln_p": ln_p})
    return out


def weighted_cases() -> list[Case]:
    """Return some totals of laws that fit into integers."""
    linear = [290 - 9 * layer for layer in range(30)]
    laws: list[tuple[list[int], int, float]] = [
        ([1], 50, 0.5),
        ([2, 2, 2], 40, 0.25),
        ([5, 4, 3, 2, 1], 1, 0.5),
        ([5, 4, 3, 2, 1], 60, 0.5),
        ([5, 4, 3, 2, 1], 190, 0.5),
        (list(range(10, 0, -1)), 95, 0.5),
        ([1, 1, 0, 3], 310, 0.25),
        ([9, 1], 320, 0.875),
        ([1000, 1], 30, 0.5),
        (linear, 1, 0.5),
        (linear, 5, 0.5),
    ]
    out = []
    for weights, n, p in laws:
        tails, whole = bit_sums(weights, n, Fraction(p))
        top = len(tails) - 1
        points = {1, top, top - 1, top - max(weights)}
        points |= {round(top * (p + (1 - p) * step / 12)) for step in range(-9, 12)}
        for k in sorted(k for k in points if 0 < k <= top):
            about = {"total": k, "count": n, "weights": weights, "probability": p}
            out.append(about | {"ln_p": logarithm(Fraction(tails[k], whole))})
    return out


def two_gamma_cases() -> list[Case]:
    """Return two keys mixed as engines mix them, and less evenly."""
    out = []
    for first, second in ((0.8, 0.2), (0.9, 0.1), (0.1, 0.9), (0.55, 0.45), (1.0, 0.03125)):
        large, small = max(first, second), min(first, second)
        for n in (1, 2, 5, 30, 120):
            for z in DEVIATIONS[1:]:
                deviation = math.sqrt(n * (large**2 + small**2))
                x = round(n * (large + small) + z * deviation + large * max(z, 0) ** 2 / 2, 3)
                if x > 0:
                    ln_p = digits(log_two_gamma(n, Decimal(x), Decimal(large), Decimal(small)))
                    about = {"total": x, "count": n, "first": first, "second": second}
                    out.append(about | {"ln_p": ln_p})
    return out


def score_cases() -> list[Case]:
    """Return the mean and variance of a Gumbel-max score by the probability of the token."""
    out = []
    for p in (1.0, 0.999, 0.75, 0.5, 0.1, 0.01, 1e-4, 1e-9):
        x = 1 / Decimal(p)
        out.append({"p": p, "mean": digits(harmonic(x)), "variance": digits(spread(x))})
    return out


def build() -> dict[str, Case]:
    """Return every vector by file name without `.json`."""
    return {
        "gamma": {"spec": "2", "why": "sum of n scores -ln(1 - u)", "cases": gamma_cases()},
        "binomial": {"spec": "4", "why": "k of n bits", "cases": binomial_cases()},
        "weighted-bits": {"spec": "5", "why": "weighted bits", "cases": weighted_cases()},
        "two-gamma": {"spec": "3", "why": "two keys, mixed", "cases": two_gamma_cases()},
        "gumbel-score": {"spec": "7", "why": "law of a marked token", "cases": score_cases()},
    }


def main() -> None:
    """Replace the vectors beside this script."""
    VECTORS.mkdir(exist_ok=True)
    for old in VECTORS.glob("*.json"):
        old.unlink()
    for name, vector in build().items():
        lines = ",\n  ".join(json.dumps(case) for case in vector["cases"])
        head = json.dumps({"expect": "ok"} | {k: vector[k] for k in ("spec", "why")})[:-1]
        (VECTORS / f"{name}.json").write_text(f'{head}, "cases": [\n  {lines}\n]}}\n')


if __name__ == "__main__":
    main()
