"""From logits and answers to classes, and the names of classes."""

from __future__ import annotations

from ..program import Decision
from .dialect import real_text
from .names import comment, string

SHOWN = 50
"""Classes that the header lists, at most."""

LARGEST = """\
    int32_t best = 0;
    for (int32_t k = 1; k < $many; k++) {
        best = $of[k] > $of[best] ? k : best;
    }
    return best;"""


def names_one(decision: Decision) -> bool:
    """Whether a row has one class, whose number `predict` returns."""
    return decision.kind not in ("numbers", "labels")


def declarations(decision: Decision, prefix: str, real: str) -> list[str]:
    """For the header."""
    if decision.kind == "numbers":
        return []
    classes = [comment(str(label)) for label in decision.classes]
    lines = [f"#define {prefix.upper()}_CLASSES {len(classes)}"]
    lines += [f"/* {k}: {label} */" for k, label in enumerate(classes[:SHOWN])]
    if decision.kind == "labels":
        lines += [
            "/* whether a row with these logits has a label, by its number */",
            f"int {prefix}_has_label(const {real} *logits, int32_t label);",
        ]
    return [
        *lines,
        "/* the name of a class by its number, in UTF-8; empty if there is none */",
        f"const char *{prefix}_class_name(int32_t number);",
    ]


def function(decision: Decision, prefix: str, real: str, real_y: str, dtype: str) -> list[str]:
    """The function of logits and y that finds the class, or of logits that looks for a label."""
    if decision.kind == "numbers":
        return []
    if decision.kind == "labels":
        return [
            f"int {prefix}_has_label(const {real} *logits, const int32_t label)\n"
            "{\n    return logits[label] > 0;\n}"
        ]
    of = "logits" if "logit" in decision.kind else "y"
    if decision.kind == "threshold":
        body = f"    return y[1] >= {real_text(decision.threshold, dtype)};"
    elif decision.kind == "positive_logit":
        body = "    return logits[0] > 0;"
    else:
        body = LARGEST.replace("$many", str(len(decision.classes))).replace("$of", of)
    given = f"const {real} *logits" if of == "logits" else f"const {real_y} *y"
    return [f"static int32_t {prefix}_class_of({given})\n{{\n{body}\n}}"]


def class_of(decision: Decision, prefix: str) -> str:
    """The call of `function`."""
    return f"{prefix}_class_of({'logits' if 'logit' in decision.kind else 'y'})"


def class_names(decision: Decision, prefix: str) -> list[str]:
    """The function that names a class."""
    if decision.kind == "numbers":
        return []
    names = ",\n".join(f"        {string(str(label))}" for label in decision.classes)
    return [
        f"""\
const char *{prefix}_class_name(const int32_t number)
{{
    static const char *const names[] = {{
{names}
    }};
    return number >= 0 && number < {len(decision.classes)} ? names[number] : "";
}}"""
    ]
