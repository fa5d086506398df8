"""From answers to classes and their names."""

from __future__ import annotations

from ..program import Decision
from .dialect import real_text
from .names import comment, string


def declarations(decision: Decision, prefix: str, real: str) -> list[str]:
    """For the header."""
    if decision.kind == "numbers":
        return []
    many = len(decision.classes)
    lines = [f"#define {prefix.upper()}_CLASSES {many}"]
    lines += [f"/* class {i}: {comment(str(c))} */" for i, c in enumerate(decision.classes[:20])]
    lines += [f"/* and {many - 20} more */"] * (many > 20)
    if decision.kind == "labels":
        lines += [
            "/* whether answers y give a row a label, by its number */",
            f"int {prefix}_has_label(const {real} *y, int32_t label);",
        ]
    else:
        lines += [
            "/* the number of the class that answers y stand for */",
            f"int32_t {prefix}_class_of(const {real} *y);",
        ]
    lines += [
        "/* the name of a class by its number, in UTF-8 */",
        f"const char *{prefix}_class_name(int32_t number);",
    ]
    return lines


def definitions(decision: Decision, prefix: str, real: str, dtype: str) -> list[str]:
    """For the source."""
    if decision.kind == "numbers":
        return []
    names = ",\n".join(f"        {string(str(c))}" for c in decision.classes)
    name = f"""\
const char *{prefix}_class_name(const int32_t number)
{{
    static const char *const names[] = {{
{names}
    }};
    return number >= 0 && number < {len(decision.classes)} ? names[number] : "";
}}"""
    limit = real_text(decision.threshold, dtype)
    head = f"int32_t {prefix}_class_of(const {real} *y)\n{{\n"
    if decision.kind == "labels":
        first = (
            f"int {prefix}_has_label(const {real} *y, const int32_t label)\n{{\n"
            f"    return y[label] > {limit};\n}}"
        )
    elif decision.kind == "threshold":
        first = f"{head}    return y[1] >= {limit};\n}}"
    else:
        first = f"""\
{head}    int32_t best = 0;
    for (int32_t k = 1; k < {len(decision.classes)}; k++) {{
        if (y[k] > y[best]) {{
            best = k;
        }}
    }}
    return best;
}}"""
    return [first, name]
