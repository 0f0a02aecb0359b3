"""The stack under test, as the environment describes it, and each client library pointed at it."""

import functools
import json
import os
import socket
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import ccxt
import pytest

# The one instrument every test trades, and amounts that the policy allows and denies.
SYMBOL = "BTCUSDT"
SMALL = "0.005"
TOO_MUCH = "0.5"


def setting(name):
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: run these tests with `cargo xtask clients`", pytrace=False)
    return value


@dataclass(frozen=True)
class Login:
    """A bot's stand-in key at one venue's gateway."""

    venue: str
    url: str
    key: str
    secret: str
    bot: str

    @classmethod
    def of(cls, venue):
        prefix = f"SEAWALL_{venue.upper()}"
        url = setting(f"{prefix}_URL").rstrip("/")
        fields = [setting(f"{prefix}_{field}") for field in ("KEY", "SECRET", "BOT")]
        return cls(venue, url, *fields)

    def with_secret(self, secret):
        return Login(self.venue, self.url, self.key, secret, self.bot)


def redirected(venue, url, module=ccxt):
    """Every address that ccxt knows of `venue`, with the gateway in place of the host."""
    standard = getattr(module, venue)().urls["api"]

    def move(address):
        if isinstance(address, dict):
            return {name: move(inner) for name, inner in address.items()}
        parts = urlsplit(address.replace("{hostname}", "host"))
        base = url.replace("http://", "ws://") if parts.scheme == "wss" else url
        return base + STREAM_HOSTS.get(parts.hostname, "") + parts.path

    return move(standard)


# Where the gateway keeps apart what Binance keeps apart by host.
STREAM_HOSTS = {"stream.binance.com": "/stream", "fstream.binance.com": "/fstream"}


def ccxt_exchange(login, market_type):
    """An unmodified ccxt client: another base URL, a stand-in key, and which market it trades."""
    configuration = {
        "apiKey": login.key,
        "secret": login.secret,
        "urls": {"api": redirected(login.venue, login.url)},
        "options": {"defaultType": market_type},
    }
    return getattr(ccxt, login.venue)(configuration)


def unified(market_type):
    """ccxt's own name of the instrument."""
    return "BTC/USDT" if market_type == "spot" else "BTC/USDT:USDT"


@dataclass(frozen=True)
class Trader:
    """A ccxt client with its markets loaded, and the prices that a test needs."""

    login: Login
    exchange: ccxt.Exchange
    market_type: str
    symbol: str

    def price(self, percent):
        """The last price times `percent`, on the price grid."""
        last = self.exchange.fetch_ticker(self.symbol)["last"]
        return float(self.exchange.price_to_precision(self.symbol, last * percent / 100))

    def rest(self, percent=95, amount=SMALL):
        """A post-only buy order that rests below the market, placed now."""
        params = {"postOnly": True}
        return self.exchange.create_order(self.symbol, "limit", "buy", float(amount), self.price(percent), params)

    def open_ids(self):
        return [order["id"] for order in self.exchange.fetch_open_orders(self.symbol)]


MARKETS = [("binance", "spot"), ("binance", "swap"), ("bybit", "spot"), ("bybit", "swap")]


@functools.cache
def loaded(venue, market_type):
    """A client with its markets loaded, once for all tests."""
    login = Login.of(venue)
    exchange = ccxt_exchange(login, market_type)
    exchange.load_markets()
    return Trader(login, exchange, market_type, unified(market_type))


def trading(venue, market_type):
    trader = loaded(venue, market_type)
    yield trader
    for order in trader.open_ids():
        trader.exchange.cancel_order(order, trader.symbol)


@pytest.fixture(params=MARKETS, ids="-".join)
def trader(request):
    """One bot on one market; what it left resting is cancelled afterwards."""
    yield from trading(*request.param)


@pytest.fixture(params=[market for market in MARKETS if market[1] == "swap"], ids="-".join)
def derivatives_trader(request):
    """A bot on a market with positions."""
    yield from trading(*request.param)


@pytest.fixture
def binance():
    return Login.of("binance")


@pytest.fixture
def bybit():
    return Login.of("bybit")


@pytest.fixture
def maker():
    """A bot whose Binance account may only make liquidity."""
    return Login.of("maker")


@pytest.fixture
def taker():
    """A bot whose Binance account may take half a coin at market."""
    return Login.of("taker")


@pytest.fixture
def sign_socket():
    return setting("SEAWALL_SIGN_SOCKET")


@pytest.fixture
def data():
    """The stack's data directory: for what only the operator sees."""
    return Path(setting("SEAWALL_DATA_DIR"))


@pytest.fixture
def real_keys(data):
    """The keys that the paper venue issued, which live in the vault alone."""
    return json.loads((data / "paper-accounts.json").read_text())


def ask(path, line):
    """One line to the sign socket, one line back; `line` is an object or text that is sent as it is."""
    text = line if isinstance(line, str) else json.dumps(line)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(text.encode() + b"\n")
        return json.loads(connection.makefile().readline())


def order_id():
    """A client order id that no earlier run used."""
    return f"test-{uuid.uuid4().hex[:20]}"


def on_grid(price, tick):
    """`price` rounded down to a multiple of `tick`, as text."""
    tick = Decimal(tick)
    return format((Decimal(str(price)) // tick) * tick, "f")
