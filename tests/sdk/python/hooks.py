"""What schemathesis cannot know of `POST /orders` from its document (SCHEMATHESIS_HOOKS=hooks)."""

import uuid
from decimal import Decimal

import schemathesis

# The currencies without decimals; all others have two.
WHOLE = ("JPY", "KRW")


# The most bytes of a text.
BYTES_MAX = {"order_id": 128, "customer_id": 128, "sku": 64}


@schemathesis.hook
def filter_case(context, case):
    """JSON Schema counts characters, and lengths here are those of UTF-8. And it has no decimals: a number of it is any
    float, and money is none of 0.1 + 0.2."""
    body = case.body
    if not isinstance(body, dict):
        return True
    lines = body.get("lines")
    parts = [body] + [line for line in (lines if isinstance(lines, list) else []) if isinstance(line, dict)]
    for name, most in BYTES_MAX.items():
        texts = [part[name] for part in parts if isinstance(part.get(name), str)]
        if any(len(text) <= most < len(text.encode("utf-8", "surrogatepass")) for text in texts):
            return False
    if isinstance(body.get("amount"), (bool, type(None))):
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
