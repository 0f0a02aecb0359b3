"""A bot without any library: one JSON line to the sign socket, one line back."""

import json
import urllib.error
import urllib.request

import pytest

from conftest import SMALL, SYMBOL, TOO_MUCH, ask, order_id


def send(request):
    """Sends what the vault returned to the venue, as it is."""
    body = request["body"].encode() or None
    ready = urllib.request.Request(request["url"], body, request["headers"], method=request["method"])
    with urllib.request.urlopen(ready, timeout=10) as reply:
        return json.load(reply)


def binance_order(quantity=SMALL):
    return {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": quantity, "newClientOrderId": order_id()}


def bybit_order(quantity=SMALL):
    order = {"category": "linear", "symbol": SYMBOL, "side": "Buy", "orderType": "Market"}
    return {**order, "qty": quantity, "orderLinkId": order_id()}


def test_binances_native_body_is_signed_and_the_venue_takes_it(sign_socket, binance):
    reply = ask(sign_socket, {"bot": binance.bot, "venue": "binance", "order": binance_order()})
    assert reply["status"] == "approved"
    assert len(bytes.fromhex(reply["leaf"])) == 32
    assert send(reply["request"])["status"] == "FILLED"


def test_bybits_native_body_is_signed_and_the_venue_takes_it(sign_socket, bybit):
    reply = ask(sign_socket, {"bot": bybit.bot, "venue": "bybit", "order": bybit_order()})
    assert reply["status"] == "approved"
    assert send(reply["request"])["retCode"] == 0


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_a_neutral_order_is_signed_and_the_venue_takes_it(sign_socket, venue, request):
    login = request.getfixturevalue(venue)
    place = {"market": "linear", "symbol": SYMBOL, "side": "buy", "type": "market", "quantity": SMALL}
    reply = ask(sign_socket, {"bot": login.bot, "venue": venue, "place": place})
    assert reply["status"] == "approved"
    answer = send(reply["request"])
    assert answer.get("retCode", 0) == 0 and "code" not in answer


def test_a_denial_lists_the_reasons_and_the_record(sign_socket, bybit):
    reply = ask(sign_socket, {"bot": bybit.bot, "venue": "bybit", "order": bybit_order(TOO_MUCH)})
    assert reply["status"] == "denied"
    assert any(TOO_MUCH in denial["text"] for denial in reply["denials"])
    assert reply["seq"] >= 0
    assert "request" not in reply


def test_records_follow_one_another(sign_socket, bybit):
    first = ask(sign_socket, {"bot": bybit.bot, "venue": "bybit", "order": bybit_order(TOO_MUCH)})
    second = ask(sign_socket, {"bot": bybit.bot, "venue": "bybit", "order": bybit_order(TOO_MUCH)})
    assert second["seq"] > first["seq"]
    assert second["leaf"] != first["leaf"]


def test_a_line_that_is_no_request_is_denied_by_name_and_recorded(sign_socket, bybit):
    reply = ask(sign_socket, {"bot": bybit.bot, "withdraw": "everything"})
    assert reply["status"] == "denied"
    assert any("withdraw" in denial["text"] for denial in reply["denials"])
    assert reply["seq"] >= 0 and "request" not in reply


# The order that another project's bots send, to the byte.
FOREIGN = '{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.5}'


def foreign_line(login):
    return f'{{"bot":"{login.bot}","venue":"binance","order":{FOREIGN}}}'


def test_a_foreign_bots_order_is_signed_and_the_venue_fills_it(sign_socket, taker):
    reply = ask(sign_socket, foreign_line(taker))
    assert reply["status"] == "approved"
    assert "quantity=0.5&" in reply["request"]["url"] + reply["request"]["body"] + "&"
    filled = send(reply["request"])
    assert (filled["status"], filled["side"], float(filled["executedQty"])) == ("FILLED", "BUY", 0.5)


def test_a_foreign_bots_order_is_denied_to_a_maker_with_every_reason(sign_socket, maker):
    reply = ask(sign_socket, foreign_line(maker))
    assert reply["status"] == "denied"
    assert "request" not in reply
    texts = {denial["code"]: denial["text"] for denial in reply["denials"]}
    assert set(texts) == {
        "order_type_not_allowed",
        "maker_only",
        "quantity_over_limit",
        "notional_over_limit",
        "day_budget_exceeded",
        "rolling_budget_exceeded",
    }
    assert "0.5" in texts["quantity_over_limit"] and "0.01" in texts["quantity_over_limit"]


def test_a_signed_request_that_was_changed_is_refused_by_the_venue(sign_socket, taker):
    request = ask(sign_socket, foreign_line(taker))["request"]
    changed = {name: value.replace("quantity=0.5", "quantity=0.6") for name, value in request.items() if name != "headers"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        send({**changed, "headers": request["headers"]})
    assert json.load(refused.value)["code"] == -1022
