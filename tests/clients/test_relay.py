"""What the gateway relays, and whom it serves."""

import hashlib
import hmac
import json
import subprocess
import time
import urllib.error
import urllib.request

import ccxt
import pytest
import websocket

from conftest import SMALL, Login, ccxt_exchange, setting


def operator(*words):
    """Runs one of the operator's commands."""
    program = [setting("SEAWALL_PROGRAM"), "--data-dir", setting("SEAWALL_DATA_DIR")]
    done = subprocess.run([*program, *words], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def status():
    return json.loads(operator("status", "--json"))


@pytest.fixture
def venue_control():
    """The paper venue's own controls."""
    address = status()["paper"]["control"]

    def tell(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(address + path, data), timeout=5) as reply:
            return json.load(reply)

    yield tell
    tell("/faults", {"clear": True})


def place(trader, exchange=None):
    exchange = exchange or trader.exchange
    return exchange.create_order(trader.symbol, "limit", "buy", float(SMALL), trader.price(95), {"postOnly": True})


ORDER_PATHS = {
    ("binance", "spot"): "/api/v3/order",
    ("binance", "swap"): "/fapi/v1/order",
    ("bybit", "spot"): "/v5/order/create",
    ("bybit", "swap"): "/v5/order/create",
}


def test_a_server_error_reaches_the_client_as_it_is(trader, venue_control):
    body = "<html><b>The venue is being moved</b></html>"
    path = ORDER_PATHS[trader.login.venue, trader.market_type]
    venue_control("/faults", {"venue": trader.login.venue, "next": {"status": 503, "path": path, "body": body}})
    with pytest.raises(ccxt.ExchangeNotAvailable):
        place(trader)
    assert trader.exchange.last_http_response == body
    assert trader.open_ids() == []


def test_rate_limit_headers_reach_the_client(trader):
    place(trader)
    headers = {name.lower(): value for name, value in trader.exchange.last_response_headers.items()}
    if trader.login.venue == "binance":
        assert int(headers["x-mbx-used-weight-1m"]) > 0
        assert int(headers["x-mbx-order-count-10s"]) > 0
    else:
        assert int(headers["x-bapi-limit"]) > int(headers["x-bapi-limit-status"])


def test_the_venues_own_rejection_reaches_the_client_and_is_counted(derivatives_trader):
    trader, before = derivatives_trader, status()["decisions"]["rejected"]
    # No test leaves a short position, so there is nothing that a purchase could reduce.
    with pytest.raises(ccxt.ExchangeError) as rejected:
        trader.exchange.create_order(trader.symbol, "market", "buy", float(SMALL), None, {"reduceOnly": True})
    assert "seawall" not in str(rejected.value)
    assert json.loads(trader.exchange.last_http_response).get("retCode", -2022) in (-2022, 110017)
    # The gateway reports after it has relayed.
    deadline = time.monotonic() + 5
    while status()["decisions"]["rejected"] == before:
        assert time.monotonic() < deadline


def test_the_venue_refused_no_signature_of_ours(trader, venue_control):
    refused = venue_control("/stats")["signatures_refused"]
    place(trader)
    trader.exchange.fetch_balance()
    trader.exchange.cancel_all_orders(trader.symbol)
    assert venue_control("/stats")["signatures_refused"] == refused


def test_a_denied_order_never_reaches_the_venue(trader, venue_control):
    before = venue_control("/stats")
    with pytest.raises(ccxt.InvalidOrder):
        trader.exchange.create_order(trader.symbol, "limit", "buy", 0.5, 50000, {"postOnly": True})
    after = venue_control("/stats")
    assert (after["orders_accepted"], after["orders_rejected"]) == (before["orders_accepted"], before["orders_rejected"])


def test_a_stand_in_is_worthless_at_the_venue_itself(trader):
    address = status()["paper"][trader.login.venue]
    direct = Login(trader.login.venue, address, trader.login.key, trader.login.secret, trader.login.bot)
    exchange = ccxt_exchange(direct, trader.market_type)
    exchange.set_markets_from_exchange(trader.exchange)
    with pytest.raises(ccxt.AuthenticationError) as refused:
        place(trader, exchange)
    assert "seawall" not in str(refused.value)


def test_a_stand_in_fits_one_venue_only(binance, bybit):
    stranger = ccxt_exchange(Login("bybit", bybit.url, binance.key, binance.secret, binance.bot), "swap")
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()


def test_a_revoked_bot_is_refused_at_once_and_its_stream_ends(bybit):
    added = json.loads(operator("bot", "add", "shortlived", "--venue", "bybit", "--account", "main", "--json"))
    login = Login("bybit", added["base_url"], added["api_key"], added["secret"], "shortlived")
    exchange = ccxt_exchange(login, "swap")
    assert exchange.fetch_balance()["USDT"]["total"] > 0
    stream = private_stream(login)
    operator("bot", "remove", "shortlived")
    with pytest.raises(ccxt.AuthenticationError):
        exchange.fetch_balance()
    # Another bot's order on the same account is news that the revoked one no longer gets.
    other = ccxt_exchange(bybit, "swap")
    other.load_markets()
    other.create_order("BTC/USDT:USDT", "market", "buy", float(SMALL))
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        while True:
            assert "topic" not in json.loads(stream.recv() or raise_closed())


def raise_closed():
    raise websocket.WebSocketConnectionClosedException("the stream ended")


def private_stream(login):
    """A logged-in stream that hears of orders."""
    stream = websocket.create_connection(login.url.replace("http://", "ws://") + "/v5/private", timeout=5)
    expires = str(int(time.time() * 1000) + 5000)
    signature = hmac.new(login.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    for message in ({"op": "auth", "args": [login.key, expires, signature]}, {"op": "subscribe", "args": ["order"]}):
        stream.send(json.dumps(message))
        assert json.loads(stream.recv())["success"] is True
    return stream


def test_a_stream_serves_one_account(binance, taker):
    """A second login on one stream, of another account, is refused."""
    stream = websocket.create_connection(binance.url.replace("http://", "ws://") + "/ws-api/v3", timeout=5)

    def call(login):
        params = {"apiKey": login.key, "timestamp": int(time.time() * 1000)}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(login.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        stream.send(json.dumps({"id": 1, "method": "account.status", "params": params}))
        return json.loads(stream.recv())

    assert call(binance)["status"] == 200
    refused = call(taker)
    assert refused["status"] == 403
    assert "another bot" in refused["error"]["msg"]
    stream.close()


def test_a_halt_denies_new_orders_and_a_resume_allows_them(trader):
    order = place(trader)
    operator("halt", "--why", "a test")
    try:
        with pytest.raises(ccxt.InvalidOrder) as denied:
            place(trader)
        assert "halted" in str(denied.value).lower()
        trader.exchange.cancel_order(order["id"], trader.symbol)
    finally:
        operator("resume", "--why", "the test is over")
    assert place(trader)["id"] in trader.open_ids()
