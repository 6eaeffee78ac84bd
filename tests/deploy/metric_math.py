"""The grammar of what an alarm may compute, as AWS documents it. No emulator checks it, and PutMetricAlarm refuses what it cannot parse.

Metric math: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Metrics Insights: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
"""

import re

# Functions that give an alarm its one time series, and how many arguments they take.
FUNCTIONS = {"ABS": 1, "AVG": 1, "CEIL": 1, "DIFF": 1, "FILL": 2, "FLOOR": 1, "IF": (2, 3), "MAX": 1, "MIN": 1, "RATE": 1, "SUM": 1}
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^<>(),\[\]]))")
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}


class Invalid(ValueError):
    """An expression that CloudWatch would refuse."""


def metrics_of(expression: str) -> set[str]:
    """The ids that an expression of metric math uses, if it is one."""
    if re.match(r"\s*SELECT\b", expression):
        raise Invalid("a query of Metrics Insights")
    parser = _Parser(_tokens(expression))
    parser.logical()
    if parser.next is not None:
        raise Invalid(f"{parser.next!r} where the expression should end: {expression}")
    return parser.ids


def check_query(query: str) -> None:
    """Raises unless a query is one of Metrics Insights: its `WHERE` knows `AND`, and no `OR`."""
    name = r'(?:"[^"]+"|\w+)'
    condition = rf"{name}\s*(?:=|!=)\s*'[^']*'"
    grammar = (
        rf"SELECT (?:AVG|COUNT|MAX|MIN|SUM)\({name}\) FROM (?:{name}|SCHEMA\({name}(?:, {name})*\))"
        rf"(?: WHERE {condition}(?: AND {condition})*)?(?: GROUP BY {name}(?:, {name})*)?"
        r"(?: ORDER BY (?:AVG|COUNT|MAX|MIN|SUM)\(\)(?: ASC| DESC)?)?(?: LIMIT \d+)?"
    )
    if not re.fullmatch(grammar, " ".join(query.split())):
        raise Invalid(query)


def _tokens(expression):
    position, tokens = 0, []
    while expression[position:].strip():
        match = TOKEN.match(expression, position)
        if not match:
            raise Invalid(f"{expression[position:]!r} in {expression}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens):
        self.tokens, self.ids = tokens, set()

    @property
    def next(self):
        return self.tokens[0][1] if self.tokens else None

    def take(self, *expected):
        if not self.tokens or (expected and self.next not in expected):
            raise Invalid(f"{self.next!r} where one of {expected or 'anything'} should be")
        return self.tokens.pop(0)

    def chain(self, part, signs):
        part()
        while self.next in signs:
            self.take()
            part()

    def logical(self):
        self.chain(self.comparison, {"AND", "OR", "&&", "||"})

    def comparison(self):
        self.chain(self.sum, COMPARISONS)

    def sum(self):
        self.chain(self.product, {"+", "-"})

    def product(self):
        self.chain(self.value, {"*", "/", "^"})

    def value(self):
        kind, text = self.take()
        if text == "-":
            self.value()
        elif text == "(":
            self.logical()
            self.take(")")
        elif kind == "name" and self.next == "(":
            self.call(text)
        elif kind == "name":
            # An id begins with a small letter: capitals are functions and words.
            if not re.fullmatch(r"[a-z]\w*", text):
                raise Invalid(f"{text} is no id of a metric")
            self.ids.add(text)
        elif kind != "number":
            raise Invalid(f"{text!r} where a value should be")

    def call(self, function):
        self.take("(")
        arguments = 1
        self.logical()
        while self.next == ",":
            self.take()
            self.logical()
            arguments += 1
        self.take(")")
        allowed = FUNCTIONS.get(function)
        if allowed is None or arguments not in (allowed if isinstance(allowed, tuple) else (allowed,)):
            raise Invalid(f"{function} with {arguments} arguments")
