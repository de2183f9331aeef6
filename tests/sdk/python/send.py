"""Sends CloudEvents with the SDK for Python to a function that answers payments (order), in every mode, and reads its
replies.

Usage: send.py URL. It prints a line for each mode, and ends with 1 at the first thing that is not as it must be.
"""

import json
import sys

import requests
from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent, from_http

PATIENCE_S = 60
REPLY = {"Prefer": "reply"}


def payment(order):
    """An event that the function confirms an order for."""
    attributes = {
        "id": f"payment of {order}",
        "source": "/till",
        "type": "payments.processed",
        "subject": order,
        "time": "2026-11-22T08:00:00.123456789Z",
        "datacontenttype": "application/json",
    }
    data = {"order_id": order, "customer_id": "C-1", "amount": 12.5, "currency": "EUR", "payment_id": "P-1"}
    return CloudEvent(attributes, data)


def post(url, headers, body):
    answer = requests.post(url, headers=headers, data=body, timeout=PATIENCE_S)
    return answer


def same(what, found, expected):
    if found != expected:
        sys.exit(f"{what} is\n{found!r}\nand must be\n{expected!r}")


def main(url):
    for mode, written in (("binary", to_binary), ("structured", to_structured)):
        # The SDK writes header values as they are: an id for it has no characters that a header cannot hold.
        sent = payment(f"python-{mode}.1")
        headers, body = written(sent)
        replies = []
        for _ in range(2):
            answer = post(url, headers | REPLY, body)
            same(f"{mode}: status", answer.status_code, 200)
            same(f"{mode}: preference", answer.headers["preference-applied"], "reply")
            replies.append(from_http(answer.headers, answer.content))
        first, again = replies
        same(f"{mode}: the same event again", again.get_attributes(), first.get_attributes())
        same(f"{mode}: type", first["type"], "orders.confirmed")
        same(f"{mode}: subject", first["subject"], sent["subject"])
        same(f"{mode}: source", first["source"], "/jetlag/order")
        same(f"{mode}: order", first.get_data()["order_id"], sent["subject"])
        print(f"{mode}: replied, twice the same")

    headers, body = to_binary(payment("python-refused"))
    answer = post(url, headers | {"ce-type": "payments.dreamt"}, body)
    same("refused: status", answer.status_code, 422)
    same("refused: code", answer.json()["code"], "unknown_type")
    print("refused: told")

    events = [payment(f"python-batch-{number}") for number in (1, 2, 1)]
    body = b"[" + b",".join(to_json(event) for event in events) + b"]"
    answer = post(url, {"content-type": "application/cloudevents-batch+json"}, body)
    same("batch: status", answer.status_code, 202)
    outcomes = answer.json()["outcomes"]
    same("batch: ids", [one["id"] for one in outcomes], [event["id"] for event in events])
    same("batch: outcomes", sorted(one["outcome"] for one in outcomes), ["duplicate", "success", "success"])
    print("batch: an outcome for each")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
