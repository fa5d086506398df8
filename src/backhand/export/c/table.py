"""Rows of a table in C: a struct with a field for each column, texts of categories, and days.

Without columns, as of pictures, a row is an array of numbers.
"""

from __future__ import annotations

from ..free_names import free_name
from ..imperative.expressions import indented
from ..imperative.writer import Routine
from ..program import MISSING, OTHER, Column, Program
from .dialect import wrapped
from .names import KEYWORDS, MACROS, comment, near_identifier, string

FIND = """\
static int32_t @find(const char *text, const char *const *texts, const int32_t many)
{
    if (!text || !*text) {
        return $missing;
    }
    for (int32_t i = 0; i < many; i++) {
        const char *a = text, *b = texts[i];
        while (*a && *a == *b) {
            a++;
            b++;
        }
        if (*a == *b) {
            return i;
        }
    }
    return $other;
}"""

DAYS = """\
double @days(const int32_t year, const int32_t month, const int32_t day)
{
    /* years begin with March, so that the leap day ends them; 400 years have 146097 days */
    const int32_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    const int32_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    const int32_t of_year = (153 * m + 2) / 5 + day - 1;
    const int32_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return (double)era * 146097 + (double)days - 719468;
}"""

MISSING_NUMBER = """\
double @missing(void)
{
    const double zero = 0.0;
    return zero / zero;
}"""

KINDS = {
    "number": "a number; @missing() if there is none",
    "date": "days since 1970-01-01, in UTC, see @days; @missing() if there is none",
    "category": "see @${field}_of_text",
}


class Table:
    """What a file has for the rows of a table.

    Parameters
    ----------
    program : Program
        With a stage that prepares.
    prefix : str
    prepare : Routine
        The function of its stage.
    call : str
        What calls it, with ``values`` and ``prepared``.
    taken : set of str
        Identifiers that are taken after the prefix.
    """

    def __init__(
        self, program: Program, prefix: str, prepare: Routine, call: str, taken: set[str]
    ) -> None:
        self.program, self.prefix, self.prepare, self.call = program, prefix, prepare, call
        fields = {*KEYWORDS, *MACROS}
        self.fields = [
            free_name(near_identifier(column.name, f"column{number}"), fields)
            for number, column in enumerate(program.columns, 1)
        ]
        self._functions = {
            i: free_name(f"{field}_of_text", taken) for i, field in enumerate(self.fields)
        }
        self._enums: dict[int, list[tuple[str, int, str]]] = {}
        for i, column in self._categories():
            field = self.fields[i]
            values = [
                (free_name(f"{field}_{near_identifier(value, f'value{k}')}", taken), k, value)
                for k, value in enumerate(column.values)
            ]
            others = [("OTHER", OTHER, "any other"), ("MISSING", MISSING, "none")]
            values += [(free_name(f"{field}_{name}", taken), k, text) for name, k, text in others]
            self._enums[i] = values

    def _categories(self) -> list[tuple[int, Column]]:
        return [(i, c) for i, c in enumerate(self.program.columns) if c.kind == "category"]

    @property
    def row(self) -> str:
        """A row as a parameter."""
        return f"const {self.prefix}_row *row" if self.program.columns else "const double *row"

    def _filled(self, text: str) -> str:
        text = text.replace("$missing", str(MISSING)).replace("$other", str(OTHER))
        return text.replace("@", f"{self.prefix}_")

    def declarations(self) -> list[str]:
        """For the header."""
        p, lines = self.prefix, []
        for i, column in self._categories():
            lines += [f"/* {comment(column.name)} */", "enum {"]
            entries = [
                f"    {p}_{name} = {k}{',' * (k != MISSING)} /* {comment(text)} */"
                for name, k, text in self._enums[i]
            ]
            lines += [*entries, "};", ""]
        if not self.program.columns:
            return [
                f"/* a row is {p.upper()}_INPUTS numbers, as they are before they are prepared */"
            ]
        lines += ["/* a row of the table */", "typedef struct {"]
        for column, field in zip(self.program.columns, self.fields, strict=True):
            kind = "int32_t" if column.kind == "category" else "double"
            what = KINDS[column.kind].replace("${field}", field)
            what = self._filled(what)
            lines.append(f"    {kind} {field}; /* {comment(column.name)}: {what} */")
        lines += [f"}} {p}_row;", ""]
        for i, _ in self._categories():
            lines += [
                "/* the category of a text in UTF-8, without spaces around it; a null pointer and",
                " * an empty text are a missing one */",
                f"int32_t {p}_{self._functions[i]}(const char *text);",
            ]
        if any(column.kind == "date" for column in self.program.columns):
            lines += [
                "/* days since 1970-01-01 of a date, with months and days from 1 */",
                f"double {p}_days(int32_t year, int32_t month, int32_t day);",
            ]
        lines += ["/* stands for a missing number or date */", f"double {p}_missing(void);"]
        return lines

    def definitions(self, real: str) -> list[str]:
        """For the source: texts, days and NAME_prepare."""
        p, parts = self.prefix, []
        if any(column.values for column in self.program.columns):
            parts.append(self._filled(FIND))
        for i, column in self._categories():
            name = self._functions[i]
            if not column.values:
                body = [f"    return text && *text ? {OTHER} : {MISSING};"]
            else:
                texts = [f"        {string(value)}" for value in column.values]
                body = ["    static const char *const texts[] = {", ",\n".join(texts), "    };"]
                body.append(f"    return {p}_find(text, texts, {len(texts)});")
            head = f"int32_t {p}_{name}(const char *text)"
            parts.append("\n".join([head, "{", *body, "}"]))
        if any(column.kind == "date" for column in self.program.columns):
            parts.append(self._filled(DAYS))
        if self.program.columns:
            parts.append(self._filled(MISSING_NUMBER))
        return [*parts, self._prepare(real)]

    def _values(self) -> list[str]:
        """The statement that collects what the stage is given."""
        program = self.program
        if not program.columns:
            return ["    const double *values = row;"]
        values = [
            f"(double)row->{self.fields[c]}"
            if program.columns[c].kind == "category"
            else f"row->{self.fields[c]}"
            for c in program.sources
        ]
        lines = ",\n".join(f"        {value}" for value in values)
        return [f"    const double values[{len(values)}] = {{", lines, "    };"]

    def _prepare(self, real: str) -> str:
        p, order = self.prefix, self.program.order
        cast = f"({real})" * (real != "double")
        at, table = "k", []
        if tuple(order) != tuple(range(len(order))):
            at, texts = "order[k]", [str(place) for place in order]
            table = [f"    static const int32_t order[{len(order)}] = {{"]
            table += [*indented(indented(wrapped(texts))), "    };"]
        lines = [
            f"void {p}_prepare({self.row}, {real} *x)",
            "{",
            *table,
            *self._values(),
            f"    double prepared[{self.prepare.results[0]}];",
            *([f"    double s[{self.prepare.scratch}];"] * (self.prepare.scratch > 0)),
            f"    {self.call}",
            f"    for (int32_t k = 0; k < {len(order)}; k++) {{",
            f"        x[k] = {cast}prepared[{at}];",
            "    }",
            "}",
        ]
        return "\n".join(lines)
