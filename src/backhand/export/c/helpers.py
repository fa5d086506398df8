"""The small functions that programs in C need, as texts.

``$real``, ``$bits`` and the like stand for what differs from float to double, and ``@name`` for the
name of a function of the file.
"""

from __future__ import annotations

REAL = {"float32": "float", "float64": "double"}
BITS = {"float32": "uint32_t", "float64": "uint64_t"}
FRACTION = {"float32": 23, "float64": 52}

FMA = {
    "float32": """\
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__) \\
    || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 4)) \\
    || (defined(__riscv_flen) && __riscv_flen >= 32)
#define @FMA_HAS 1
#define @fma(a, b, c) __builtin_fmaf(a, b, c)
#else
#define @FMA_HAS 0
#define @fma(a, b, c) ((a) * (b) + (c))
#endif""",
    "float64": """\
#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__aarch64__) \\
    || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 8)) \\
    || (defined(__riscv_flen) && __riscv_flen >= 64)
#define @FMA_HAS_f64 1
#define @fma_f64(a, b, c) __builtin_fma(a, b, c)
#else
#define @FMA_HAS_f64 0
#define @fma_f64(a, b, c) ((a) * (b) + (c))
#endif""",
}

PRODUCT = """\
$kernel/* y = b + x w, each sum one fma after another; N columns at once, the last N may overlap */
static void @product(const $real *x, const $weight *w, const $real *b, $real *y,
    const int32_t depth, const int32_t width)
{
#define @COLUMNS(N) \\
    if (width >= N) { \\
        for (int32_t c = 0; c < width; c += N) { \\
            const int32_t first = c < width - N ? c : width - N; \\
            const $weight *row = w + first; \\
            $real sums[N]; \\
            for (int32_t j = 0; j < N; j++) { \\
                sums[j] = b ? b[first + j] : 0; \\
            } \\
            for (int32_t k = 0; k < depth; k++, row += width) { \\
                for (int32_t j = 0; j < N; j++) { \\
                    sums[j] = @fma(x[k], ($real)row[j], sums[j]); \\
                } \\
            } \\
            for (int32_t j = 0; j < N; j++) { \\
                y[first + j] = sums[j]; \\
            } \\
        } \\
        return; \\
    }
$call#if defined(__AVX__) || defined(__aarch64__)
    @COLUMNS(64)
#endif
#if defined(__SSE2__) || defined(__aarch64__)
    @COLUMNS(32)
    @COLUMNS(16)
    @COLUMNS(8)
#endif
#if defined(__SSE2__) || defined(__aarch64__) || $many
    @COLUMNS(4)
#endif
    @COLUMNS(1)
#undef @COLUMNS
}"""

CORTEX_M = """\
#if $many
/* 16 columns, whose sums stay in registers; what loads 8 weights is one instruction */
static void @columns16(const float *x, const float *w, const float *b, float *y, int32_t depth,
    const int32_t width)
{
    const int32_t step = 4 * width - 32;
    if (!b) {
        for (int32_t j = 0; j < 16; j++) {
            y[j] = 0;
        }
        b = y;
    }
#define @HALF(X, A, B, C, D, E, F, G, H) \\
    "vfma.f32 " #A ", s16, " X "\\n vfma.f32 " #B ", s17, " X "\\n" \\
    "vfma.f32 " #C ", s18, " X "\\n vfma.f32 " #D ", s19, " X "\\n" \\
    "vfma.f32 " #E ", s20, " X "\\n vfma.f32 " #F ", s21, " X "\\n" \\
    "vfma.f32 " #G ", s22, " X "\\n vfma.f32 " #H ", s23, " X "\\n"
#define @STEP(X) \\
    "vldmia %[w]!, {s16-s23}\\n" @HALF(X, s0, s1, s2, s3, s4, s5, s6, s7) \\
    "vldmia %[w], {s16-s23}\\n" @HALF(X, s8, s9, s10, s11, s12, s13, s14, s15) \\
    "add %[w], %[w], %[step]\\n"
    __asm__ volatile("vldmia %[b], {s0-s15}\\n"
#if !defined(__OPTIMIZE_SIZE__)
        "subs %[depth], %[depth], #4\\n"
        "blt 2f\\n"
        "1: vldmia %[x]!, {s24-s27}\\n" @STEP("s24") @STEP("s25") @STEP("s26") @STEP("s27")
        "subs %[depth], %[depth], #4\\n"
        "bge 1b\\n"
        "2: adds %[depth], %[depth], #4\\n"
        "beq 4f\\n"
#endif
        "3: vldmia %[x]!, {s24}\\n" @STEP("s24")
        "subs %[depth], %[depth], #1\\n"
        "bne 3b\\n"
        "4: vstmia %[y], {s0-s15}\\n"
        : [x] "+r"(x), [w] "+r"(w), [depth] "+r"(depth)
        : [b] "r"(b), [y] "r"(y), [step] "r"(step)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
        "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24",
        "s25", "s26", "s27");
#undef @HALF
#undef @STEP
}
#endif

"""

CALL_CORTEX_M = """\
#if $many
    if (width >= 16) {
        for (int32_t c = 0; c < width; c += 16) {
            const int32_t first = c < width - 16 ? c : width - 16;
            @columns16(x, w + first, b ? b + first : 0, y + first, depth, width);
        }
        return;
    }
#endif
"""

IS_CORTEX_M = """(defined(__GNUC__) && @FMA_HAS \\
    && (defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__)))"""

WITHIN = ("fma", "FMA_HAS", "COLUMNS", "columns16", "HALF", "STEP")
"""Names in the texts that are no helpers by themselves."""

TRANSPOSED = """\
/* y = b + x w' of w (width, depth) */
static void @product_transposed(const $real *x, const $weight *w, const $real *b, $real *y,
    const int32_t depth, const int32_t width)
{
    for (int32_t c = 0; c < width; c++, w += depth) {
        $real sum = b ? b[c] : 0;
        for (int32_t k = 0; k < depth; k++) {
            sum = @fma(x[k], ($real)w[k], sum);
        }
        y[c] = sum;
    }
}"""

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {
    "bits": (
        (),
        """\
static $bits @bits(const $real a)
{
    union { $real real; $bits bits; } u;
    u.real = a;
    return u.bits;
}""",
    ),
    "real": (
        (),
        """\
static $real @real(const $bits a)
{
    union { $real real; $bits bits; } u;
    u.bits = a;
    return u.real;
}""",
    ),
    "abs": (
        ("bits", "real"),
        """\
static $real @abs(const $real a)
{
    return @real(@bits(a) & ~$sign);
}""",
    ),
    "copysign": (
        ("bits", "real"),
        """\
static $real @copysign(const $real a, const $real b)
{
    return @real((@bits(a) & ~$sign) | (@bits(b) & $sign));
}""",
    ),
    "round": (
        ("abs", "copysign"),
        """\
/* the nearest whole number, half to even */
static $real @round(const $real a)
{
    const $real large = $large, b = @abs(a);
    return b < large ? @copysign((b + large) - large, a) : a;
}""",
    ),
    "minimum": (
        (),
        """\
static $real @minimum(const $real a, const $real b)
{
    return a != a || a < b ? a : b;
}""",
    ),
    "maximum": (
        (),
        """\
static $real @maximum(const $real a, const $real b)
{
    return a != a || a > b ? a : b;
}""",
    ),
    "add": (
        (),
        """\
static $real @add(const $real a, const $real b)
{
    return a + b;
}""",
    ),
    "sqrt": (
        ("bits", "real"),
        """\
/* the square root, rounded to nearest, bit by bit */
static $real @sqrt(const $real a)
{
    $bits m = @bits(a), root = 0, bit, rest = 0;
    int32_t e = (int32_t)(m >> $fraction);
    if (!(a > 0) || a - a != 0) {
        return a == 0 || a > 0 ? a : @real($nan);
    }
    m &= ($one << $fraction) - 1;
    if (e > 0) {
        m |= $one << $fraction;
    } else {
        e = 1;
        while (!(m >> $fraction)) {
            m <<= 1;
            e -= 1;
        }
    }
    e -= $bias;
    if (e & 1) {
        m <<= 1;
        e -= 1;
    }
    for (bit = $one << ($fraction + 1); bit != 0; bit >>= 1) {
        m <<= 1;
        if (m >= rest + bit) {
            m -= rest + bit;
            rest += bit << 1;
            root += bit;
        }
    }
    root += (m != 0) & root;
    return @real((root >> 1) + (($bits)(e / 2 + $bias - 1) << $fraction));
}""",
    ),
    "tree_add": (
        ("add",),
        """\
static $real @tree_add($real *a)
{
    for (int32_t half = 8; half > 0; half /= 2) {
        for (int32_t i = 0; i < half; i++) {
            a[i] = @add(a[i], a[i + half]);
        }
    }
    return a[0];
}""",
    ),
    "tree_maximum": (
        ("maximum",),
        """\
static $real @tree_maximum($real *a)
{
    for (int32_t half = 8; half > 0; half /= 2) {
        for (int32_t i = 0; i < half; i++) {
            a[i] = @maximum(a[i], a[i + half]);
        }
    }
    return a[0];
}""",
    ),
    "place": (
        (),
        """\
static int32_t @place(const $real a, const int32_t values)
{
    return a >= 1 ? (a < ($real)values ? (int32_t)a : values - 1) : 0;
}""",
    ),
    "product": (("fma",), PRODUCT),
    "product_int8": (("fma",), PRODUCT.replace("@product", "@product_int8")),
    "product_transposed": (("fma",), TRANSPOSED),
    "product_transposed_int8": (
        ("fma",),
        TRANSPOSED.replace("@product_transposed", "@product_transposed_int8"),
    ),
}
"""Each helper with the others that it calls; @name is another one's name."""
