"""What schemathesis cannot know of `POST /orders` from its document (SCHEMATHESIS_HOOKS=hooks)."""

import uuid
from decimal import Decimal

import schemathesis

# The currencies without decimals; all others have two.
WHOLE = ("JPY", "KRW")


@schemathesis.hook
def filter_case(context, case):
    """JSON Schema has no decimals: a number of it is any float, and money is none of 0.1 + 0.2."""
    body = case.body
    if not isinstance(body, dict) or isinstance(body.get("amount"), (bool, type(None))):
        return True
    try:
        amount = Decimal(str(body["amount"])).normalize()
    except (ArithmeticError, KeyError):
        return True
    places = 0 if body.get("currency") in WHOLE else 2
    return not amount.is_finite() or amount.as_tuple().exponent >= -places


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key stands for one request: two that were made up independently must not share one."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 0 < len(key) <= 200 and key.isascii() and key.isprintable():
        case.headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"
