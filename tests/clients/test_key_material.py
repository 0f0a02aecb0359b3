"""The real keys stay in the vault: bots, logs and other processes never see them."""

import hashlib
import hmac
import json
import time
import urllib.request
from pathlib import Path

import pytest
import websocket

from conftest import SMALL, SYMBOL, ask, ccxt_exchange, order_id

# The processes that handle orders and logs without ever holding a key.
IGNORANT = {"gateway", "journal"}


def real(real_keys, venue, account):
    (key,) = [key for key in real_keys if (key["venue"], key["account"]) == (venue, account)]
    return key


def words(real_keys, *fields):
    found = [key[field] for key in real_keys for field in fields]
    assert len(found) >= 2 and all(len(word) >= 16 for word in found)
    return found


class Witness:
    """Collects everything that reaches a bot."""

    def __init__(self):
        self.heard = []

    def listen_to(self, exchange):
        fetch = exchange.session.send

        def send(request, **options):
            reply = fetch(request, **options)
            self.heard.append(repr(reply.headers) + reply.text)
            return reply

        exchange.session.send = send

    def assert_ignorant_of(self, secrets):
        assert self.heard
        for text in self.heard:
            assert not [word for word in secrets if word in text]


def test_http_replies_hold_neither_key_nor_secret(trader, real_keys):
    witness, exchange = Witness(), ccxt_exchange(trader.login, trader.market_type)
    witness.listen_to(exchange)
    exchange.load_markets()
    exchange.fetch_balance()
    price = trader.price(95)
    order = exchange.create_order(trader.symbol, "limit", "buy", float(SMALL), price, {"postOnly": True})
    exchange.fetch_open_orders(trader.symbol)
    exchange.cancel_order(order["id"], trader.symbol)
    exchange.fetch_my_trades(trader.symbol)
    if trader.login.venue == "bybit":
        # The venue names the key it was asked with; the bot sees the one it knows.
        assert exchange.private_get_v5_user_query_api()["result"]["apiKey"] == trader.login.key
    assert len(witness.heard) > 5
    witness.assert_ignorant_of(words(real_keys, "api_key", "secret"))


def test_a_venues_error_reaches_the_bot_without_the_key(bybit, real_keys):
    """The venue rejects: no such order. Its words arrive, nothing of the request does."""
    exchange, witness = ccxt_exchange(bybit, "swap"), Witness()
    witness.listen_to(exchange)
    exchange.load_markets()
    with pytest.raises(Exception, match="order not exists|110001"):
        exchange.cancel_order("00000000-0000-0000-0000-000000000000", "BTC/USDT:USDT")
    witness.assert_ignorant_of(words(real_keys, "api_key", "secret"))


def test_sign_socket_replies_never_hold_a_secret(sign_socket, binance, bybit, real_keys):
    orders = {
        "binance": {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": SMALL},
        "bybit": {"category": "linear", "symbol": SYMBOL, "side": "Buy", "orderType": "Market", "qty": SMALL},
    }
    for login in (binance, bybit):
        reply = ask(sign_socket, {"bot": login.bot, "venue": login.venue, "order": orders[login.venue]})
        assert reply["status"] == "approved"
        assert not [secret for secret in words(real_keys, "secret") if secret in json.dumps(reply)]
    # A ready request names the API key in its header, as the venue asks; that is no secret.
    account = real(real_keys, "bybit", "main")
    assert account["api_key"] in reply["request"]["headers"].values()


def stream(login, path):
    return websocket.create_connection(login.url.replace("http://", "ws://") + path, timeout=5)


def heard(connection, accept, limit=50):
    """Every frame until `accept` likes one, that one last."""
    frames = []
    while len(frames) < limit:
        frames.append(connection.recv())
        if accept(json.loads(frames[-1])):
            return frames
    raise AssertionError(frames)


def bybit_login(login):
    expires = str(int(time.time() * 1000) + 5000)
    signature = hmac.new(login.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return expires, {"op": "auth", "args": [login.key, expires, signature]}


@pytest.mark.parametrize("path", ["/v5/private", "/v5/trade"])
def test_the_bot_never_sees_the_real_login(bybit, real_keys, path):
    account = real(real_keys, "bybit", "main")
    expires, login = bybit_login(bybit)
    signed = hmac.new(account["secret"].encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    connection = stream(bybit, path)
    connection.send(json.dumps(login))
    frames = heard(connection, lambda frame: frame.get("op") == "auth")
    answer = json.loads(frames[-1])
    assert answer.get("success") is True or answer.get("retCode") == 0, answer
    if path == "/v5/private":
        connection.send(json.dumps({"op": "subscribe", "args": ["order", "wallet", "execution"]}))
        assert json.loads(heard(connection, lambda frame: frame.get("op") == "subscribe")[-1])["success"]
        exchange = ccxt_exchange(bybit, "swap")
        exchange.load_markets()
        exchange.create_order("BTC/USDT:USDT", "market", "buy", float(SMALL))
        frames += heard(connection, lambda frame: frame.get("topic") == "order")
    connection.close()
    text = "\n".join(frames)
    assert not [word for word in (signed, account["api_key"], account["secret"]) if word in text]


def test_a_private_topic_needs_a_login_that_fits(bybit):
    _, login = bybit_login(bybit.with_secret("x" * 36))
    connection = stream(bybit, "/v5/private")
    connection.send(json.dumps(login))
    refused = json.loads(heard(connection, lambda frame: frame.get("op") == "auth")[-1])
    assert refused["success"] is False
    connection.send(json.dumps({"op": "subscribe", "args": ["order"]}))
    refused = json.loads(heard(connection, lambda frame: frame.get("op") == "subscribe")[-1])
    assert refused["success"] is False
    connection.close()


def binance_call(login, number, method, **params):
    params = {**params, "apiKey": login.key, "timestamp": int(time.time() * 1000)}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = hmac.new(login.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"id": number, "method": method, "params": params})


def test_an_order_by_websocket_call_shows_no_key(binance, real_keys):
    account = real(real_keys, "binance", "binance")
    connection = stream(binance, "/ws-api/v3")
    frames = []

    def call(number, text):
        connection.send(text)
        frames.extend(heard(connection, lambda frame: frame.get("id") == number))
        return json.loads(frames[-1])

    placed = call(
        1,
        binance_call(
            binance, 1, "order.place", symbol=SYMBOL, side="BUY", type="MARKET", quantity=SMALL,
            newClientOrderId=order_id(),
        ),
    )
    assert (placed["status"], placed["result"]["status"]) == (200, "FILLED")
    assert call(2, binance_call(binance, 2, "session.logon"))["result"]["apiKey"] == binance.key
    assert call(3, json.dumps({"id": 3, "method": "session.status"}))["result"]["apiKey"] == binance.key
    connection.close()
    text = "\n".join(frames)
    assert account["api_key"] not in text and account["secret"] not in text


@pytest.fixture
def busy(trader):
    """The stack after an order has just gone through all of it."""
    return trader.rest()


@pytest.mark.parametrize("trader", [("bybit", "swap")], ids="-".join, indirect=True)
def test_logs_and_processes_hold_no_secret(data, real_keys, busy):
    logs = [path for path in (data / "process-logs").iterdir() if path.is_file()]
    assert {path.stem for path in logs} >= {"vault", "journal", "gateway", "paper"}
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [word for word in words(real_keys, "api_key", "secret") if word in text], path.name
    processes = running(data)
    assert set(processes) >= {"vault", "journal", "gateway", "paper", "up"}
    for name, pid in processes.items():
        for kind in ("cmdline", "environ"):
            try:
                seen = Path(f"/proc/{pid}/{kind}").read_bytes()
            except PermissionError:
                assert name == "vault", name  # closed to all but root
                continue
            found = [word for word in words(real_keys, "api_key", "secret") if word.encode() in seen]
            assert not found, (name, kind)


@pytest.mark.parametrize("trader", [("bybit", "swap")], ids="-".join, indirect=True)
def test_gateway_and_journal_hold_no_secret_in_memory(data, real_keys, busy, bybit):
    processes = running(data)
    try:
        # The search finds what is there: the gateway knows the stand-in's secret.
        assert in_memory(processes["gateway"], bybit.secret)
    except PermissionError:
        pytest.skip("this kernel lets no process read another's memory")
    for name in IGNORANT:
        assert not [secret for secret in words(real_keys, "secret") if in_memory(processes[name], secret)], name


def test_no_secret_lies_in_clear_in_any_file_but_the_venues_own(data, real_keys):
    for path in data.rglob("*"):
        if path.is_file() and path.name != "paper-accounts.json":
            content = path.read_bytes()
            assert not [secret for secret in words(real_keys, "secret") if secret.encode() in content], path


def running(data):
    """Process id of everything the stack runs, by name; the supervisor included."""
    addresses = json.loads((data / "run/addresses.json").read_text())
    return {"up": addresses["up_pid"], **{process["name"]: process["pid"] for process in addresses["processes"]}}


def in_memory(pid, word):
    """Whether the writable memory of `pid` holds `word`."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                if word.encode() in memory.read(end - start):
                    return True
    return False
