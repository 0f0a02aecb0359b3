"""pybit, Bybit's own Python library, unmodified. It has no setting for another host, so the
attribute that holds the host is set, as its users do for a proxy."""

import queue

import pybit._websocket_trading
import pybit.unified_trading
import pytest
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from conftest import SMALL, SYMBOL, TOO_MUCH, on_grid, order_id

TICK = "0.1"


@pytest.fixture
def session(bybit):
    session = client(bybit)
    yield session
    session.cancel_all_orders(category="linear", symbol=SYMBOL)


def client(login):
    session = HTTP(api_key=login.key, api_secret=login.secret, max_retries=1)
    session.endpoint = login.url
    return session


def last_price(session):
    ticker = session.get_tickers(category="linear", symbol=SYMBOL)["result"]["list"][0]
    return float(ticker["lastPrice"])


def rest(session, quantity=SMALL, percent=95):
    """A post-only order below the market; returns the bot's id for it."""
    link = order_id()
    price = on_grid(last_price(session) * percent / 100, TICK)
    session.place_order(
        category="linear",
        symbol=SYMBOL,
        side="Buy",
        orderType="Limit",
        timeInForce="PostOnly",
        qty=quantity,
        price=price,
        orderLinkId=link,
    )
    return link


def open_orders(session):
    orders = session.get_open_orders(category="linear", symbol=SYMBOL)["result"]["list"]
    return {order["orderLinkId"]: order for order in orders}


def test_wallet_balance(session):
    account = session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    assert float(account["totalEquity"]) > 0


def test_place_amend_cancel(session):
    link = rest(session)
    assert open_orders(session)[link]["timeInForce"] == "PostOnly"
    price = on_grid(last_price(session) * 0.9, TICK)
    session.amend_order(category="linear", symbol=SYMBOL, orderLinkId=link, price=price)
    assert float(open_orders(session)[link]["price"]) == float(price)
    session.cancel_order(category="linear", symbol=SYMBOL, orderLinkId=link)
    assert link not in open_orders(session)


def test_market_order_shows_among_executions(session):
    link = order_id()
    session.place_order(
        category="linear", symbol=SYMBOL, side="Buy", orderType="Market", qty=SMALL, orderLinkId=link
    )
    executions = session.get_executions(category="linear", symbol=SYMBOL)["result"]["list"]
    assert sum(float(fill["execQty"]) for fill in executions if fill["orderLinkId"] == link) == float(SMALL)


def test_batch_with_one_bad_leg_is_denied_whole(session):
    price = on_grid(last_price(session) * 0.95, TICK)
    legs = [
        {
            "symbol": SYMBOL,
            "side": "Buy",
            "orderType": "Limit",
            "timeInForce": "PostOnly",
            "qty": quantity,
            "price": price,
            "orderLinkId": order_id(),
        }
        for quantity in (SMALL, TOO_MUCH)
    ]
    with pytest.raises(InvalidRequestError) as denied:
        session.place_batch_order(category="linear", request=legs)
    assert "seawall denied" in str(denied.value)
    assert open_orders(session) == {}


def test_denial_is_the_venues_own_kind_of_error_with_our_reasons(session):
    with pytest.raises(InvalidRequestError) as denied:
        rest(session, quantity=TOO_MUCH)
    assert "seawall denied" in str(denied.value)
    assert TOO_MUCH in denied.value.message


def test_an_unknown_field_is_denied_by_name(session):
    with pytest.raises(InvalidRequestError) as denied:
        session.place_order(
            category="linear", symbol=SYMBOL, side="Buy", orderType="Market", qty=SMALL, surprise="1"
        )
    assert "surprise" in denied.value.message


def test_wrong_secret_is_refused(bybit):
    impostor = client(bybit.with_secret("x" * len(bybit.secret)))
    # Bybit answers a wrong signature with code 10004; pybit raises either kind for it.
    with pytest.raises((InvalidRequestError, FailedRequestError)):
        impostor.get_wallet_balance(accountType="UNIFIED")


@pytest.fixture
def streams(bybit, monkeypatch):
    """pybit's stream addresses, which are constants of its modules, pointed at the gateway."""
    base = bybit.url.replace("http://", "ws://")
    monkeypatch.setattr(pybit.unified_trading, "PRIVATE_WSS", base + "/v5/private")
    monkeypatch.setattr(pybit._websocket_trading, "TRADE_WSS", base + "/v5/trade")
    return {"testnet": False, "api_key": bybit.key, "api_secret": bybit.secret}


def test_order_entry_and_order_updates_over_streams(session, streams):
    updates, answers = queue.Queue(), queue.Queue()
    private = WebSocket(channel_type="private", **streams)
    private.order_stream(callback=lambda message: [updates.put(order) for order in message["data"]])
    trade = WebSocketTrading(**streams)
    link = order_id()
    order = {"category": "linear", "symbol": SYMBOL, "orderLinkId": link}
    price = on_grid(last_price(session) * 0.95, TICK)
    placing = {**order, "side": "Buy", "orderType": "Limit", "timeInForce": "PostOnly", "price": price}
    try:
        trade.place_order(answers.put, answers.put, **placing, qty=SMALL)
        assert answers.get(timeout=5)["retCode"] == 0
        lower = on_grid(last_price(session) * 0.9, TICK)
        trade.amend_order(answers.put, answers.put, **order, price=lower)
        assert answers.get(timeout=5)["retCode"] == 0
        assert float(open_orders(session)[link]["price"]) == float(lower)
        trade.cancel_order(answers.put, answers.put, **order)
        assert answers.get(timeout=5)["retCode"] == 0
        states = [updates.get(timeout=5) for _ in range(3)]
        assert [(state["orderLinkId"], state["orderStatus"]) for state in states] == [
            (link, "New"),
            (link, "New"),
            (link, "Cancelled"),
        ]
        trade.place_order(answers.put, answers.put, **{**placing, "orderLinkId": order_id()}, qty=TOO_MUCH)
        denied = answers.get(timeout=5)
        assert denied["retCode"] != 0
        assert "seawall denied" in denied["retMsg"] and TOO_MUCH in denied["retMsg"]
        assert open_orders(session) == {}
    finally:
        private.exit()
        trade.exit()
