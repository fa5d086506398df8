"""Polynomials of `functions.py`, lowest power first, exact in the format that they are for.

Each is the minimax fit, by Remez's exchange algorithm in 45 digits, for the relative error of the
function that it serves; the float32 ones were rounded coefficient by coefficient, the rest fitted
again each time. Beside each: what it approximates, where, and the relative error left.
"""

from __future__ import annotations

from typing import Final


def _exact(*texts: str) -> tuple[float, ...]:
    """Numbers from hexadecimal text, which rounds nothing."""
    return tuple(map(float.fromhex, texts))


# ln(2) as a sum of two numbers of the format
LN2_32: Final = (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29"))
LN2_64: Final = (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))

# (exp(r) - 1 - r) / r**2 on |r| <= ln(2)/2; expm1(r) within 2**-26.1
EXP_32: Final = _exact(
    "0x1.fffffep-2",
    "0x1.5554b4p-3",
    "0x1.5556f2p-5",
    "0x1.12254ap-7",
    "0x1.6b9c68p-10",
)

# the same, within 2**-60.5
EXP_64: Final = _exact(
    "0x1.p-1",
    "0x1.5555555555559p-3",
    "0x1.555555555555cp-5",
    "0x1.111111110f60ep-7",
    "0x1.6c16c16c114aep-10",
    "0x1.a01a01b0271bp-13",
    "0x1.a01a01ca5d818p-16",
    "0x1.71ddf7b82a242p-19",
    "0x1.27e47f4338978p-22",
    "0x1.af5fb29888c2cp-26",
    "0x1.200f6a8286983p-29",
)

# (log(1 + f) - f) / f**2 on sqrt(1/2) <= 1 + f <= sqrt(2); the logarithm within 2**-27.8
LOG_32: Final = _exact(
    "-0x1.fffff8p-2",
    "0x1.55555p-2",
    "-0x1.000438p-2",
    "0x1.99a428p-3",
    "-0x1.542422p-3",
    "0x1.226b32p-3",
    "-0x1.0f4cacp-3",
    "0x1.087db4p-3",
    "-0x1.38519p-4",
)

# (2 atanh(s) / s - 2) / s**2 as a function of s**2, s = f / (2 + f); within 2**-59.1
LOG_64: Final = _exact(
    "0x1.5555555555593p-1",
    "0x1.999999997fb2dp-2",
    "0x1.2492494217d1fp-2",
    "0x1.c71c51e7d55bbp-3",
    "0x1.746646329e58cp-3",
    "0x1.39a0f4795492fp-3",
    "0x1.2f0d9354c9758p-3",
)

# -log(erfc(a)) / a - 1 on 0 <= a <= 4; erf(a) within 2**-27.8
ERF_32: Final = _exact(
    "0x1.06eba8p-3",
    "0x1.45f3p-1",
    "0x1.a4f8c4p-4",
    "-0x1.39b7cap-6",
    "-0x1.637a12p-13",
    "0x1.b744ccp-10",
    "-0x1.4e2996p-11",
    "0x1.f28acep-14",
    "-0x1.3b02a8p-17",
)

# -log(erfc(a)) / a - 1 on 0 <= a <= 5.95; erf(a) within 2**-56.0
ERF_64: Final = _exact(
    "0x1.06eba8214db68p-3",
    "0x1.45f306dc9c897p-1",
    "0x1.a4f4e2a1b2071p-4",
    "-0x1.39668593d796fp-6",
    "-0x1.b6b68bef9a8d8p-13",
    "0x1.bca67bd21b23ap-10",
    "-0x1.35654fa5a9826p-11",
    "0x1.b22bc76e34246p-16",
    "0x1.0e7f986b3f6a3p-14",
    "-0x1.f2afb485063a9p-16",
    "0x1.c94f87a0651fp-19",
    "0x1.7c88217c16bf1p-19",
    "-0x1.d38100d0a29e8p-20",
    "0x1.6933c12db9123p-22",
    "0x1.268df7a0a0c64p-23",
    "-0x1.306906466f44ap-23",
    "0x1.1a4e49a800651p-24",
    "-0x1.681ce682075dbp-26",
    "0x1.576a891c08657p-28",
    "-0x1.f3435a4265df8p-31",
    "0x1.128160c725949p-33",
    "-0x1.bbab6637378cp-37",
    "0x1.f1e9792265306p-41",
    "-0x1.5ac98dab71505p-45",
    "0x1.c38ee0cbaf7b2p-51",
)

# (sin(2 pi s) / s - 4) / t on |s| <= 1/4 as a function of t = s**2 - 1/16; the sine within 2**-27.3
SINE_32: Final = _exact(
    "-0x1.fffff2p+4",
    "0x1.10b308p+6",
    "-0x1.0a9dd8p+6",
    "0x1.3d486cp+5",
)

# the same, within 2**-60.6
SINE_64: Final = _exact(
    "-0x1.fffffffffffffp+4",
    "0x1.10b0cd906e904p+6",
    "-0x1.0b0cd906e3546p+6",
    "0x1.2c79afad64abcp+5",
    "-0x1.b707801af12c4p+3",
    "0x1.c22bbc3b0e4ccp+1",
    "-0x1.559ffe5e050ep-1",
    "0x1.9e2494c1feb89p-4",
)
