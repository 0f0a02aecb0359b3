"""Streams of ccxt.pro, unmodified: market data, the account's own events, and order entry."""

import asyncio
import contextlib

import ccxt
import ccxt.pro
import pytest

from conftest import MARKETS, SMALL, TOO_MUCH, Login, redirected, unified

PATIENCE = 15


def post_only(market):
    """How ccxt says post-only over a stream. At Binance it sends `postOnly` itself along, which that
    venue does not know (and which is denied by name); the venue's own words work."""
    if market[0] == "bybit":
        return {"postOnly": True}
    return {} if market[1] == "spot" else {"timeInForce": "GTX"}


class Client:
    """A streaming client and one without streams, of the same bot on the same market."""

    def __init__(self, login, market_type):
        self.login, self.market_type, self.symbol = login, market_type, unified(market_type)
        self.exchange = self.connect(login)

    def connect(self, login):
        configuration = {
            "apiKey": login.key,
            "secret": login.secret,
            "urls": {"api": redirected(login.venue, login.url, ccxt.pro)},
            "options": {"defaultType": self.market_type},
        }
        return getattr(ccxt.pro, login.venue)(configuration)

    async def price(self, percent):
        last = (await self.exchange.fetch_ticker(self.symbol))["last"]
        return float(self.exchange.price_to_precision(self.symbol, last * percent / 100))

    async def rest(self, percent=95):
        price = await self.price(percent)
        return await self.exchange.create_order(self.symbol, "limit", "buy", float(SMALL), price, {"postOnly": True})

    async def open_ids(self):
        return [order["id"] for order in await self.exchange.fetch_open_orders(self.symbol)]


def run(market, scenario):
    """Runs `scenario` with a client, within a time limit; leaves no order and no socket behind."""

    async def whole():
        client = Client(Login.of(market[0]), market[1])
        try:
            await client.exchange.load_markets()
            async with asyncio.timeout(PATIENCE):
                await scenario(client)
        finally:
            for order in await client.open_ids():
                await client.exchange.cancel_order(order, client.symbol)
            await client.exchange.close()

    asyncio.run(whole())


@pytest.fixture(params=MARKETS, ids="-".join)
def market(request):
    return request.param


def test_ticker_and_book_pass_through(market):
    async def scenario(client):
        ticker = await client.exchange.watch_ticker(client.symbol)
        assert ticker["last"] > 0
        book = await client.exchange.watch_order_book(client.symbol)
        assert book["bids"][0][0] < book["asks"][0][0]

    run(market, scenario)


def test_own_orders_and_fills_arrive(market):
    async def scenario(client):
        exchange, symbol, seen = client.exchange, client.symbol, asyncio.Queue()

        async def listen(watch, kind):
            while True:
                for element in await watch(symbol):
                    await seen.put((kind, dict(element)))

        listeners = [
            asyncio.create_task(listen(exchange.watch_orders, "order")),
            asyncio.create_task(listen(exchange.watch_my_trades, "trade")),
        ]

        async def heard(accept):
            while True:
                for listener in listeners:
                    if listener.done():
                        listener.result()
                with contextlib.suppress(TimeoutError):
                    kind, element = await asyncio.wait_for(seen.get(), 0.5)
                    if accept(kind, element):
                        return element

        # The subscription is there once it tells of an order; ask until then.
        resting = None
        while resting is None:
            order = await client.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    resting = await heard(lambda kind, told: kind == "order" and told["id"] == order["id"])
        assert (resting["status"], resting["side"], resting["amount"]) == ("open", "buy", float(SMALL))
        await exchange.cancel_order(order["id"], symbol)
        await heard(lambda kind, told: kind == "order" and told["id"] == order["id"] and told["status"] == "canceled")
        bought = await exchange.create_order(symbol, "market", "buy", float(SMALL))
        trade = await heard(lambda kind, told: kind == "trade" and told["order"] == bought["id"])
        assert trade["price"] > 0
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)

    run(market, scenario)


def test_orders_over_a_stream_rest_and_are_cancelled(market):
    async def scenario(client):
        params = post_only(market)
        price = await client.price(95)
        order = await client.exchange.create_order_ws(client.symbol, "limit", "buy", float(SMALL), price, params)
        assert order["id"] in await client.open_ids()
        await client.exchange.cancel_order_ws(order["id"], client.symbol)
        assert order["id"] not in await client.open_ids()

    run(market, scenario)


def test_an_order_over_a_stream_is_amended(market):
    async def scenario(client):
        params = post_only(market)
        price = await client.price(95)
        order = await client.exchange.create_order_ws(client.symbol, "limit", "buy", float(SMALL), price, params)
        lower = await client.price(90)
        await client.exchange.edit_order_ws(order["id"], client.symbol, "limit", "buy", float(SMALL), lower)
        orders = await client.exchange.fetch_open_orders(client.symbol)
        assert [order["price"] for order in orders] == [lower]

    run(market, scenario)


def test_too_large_an_order_over_a_stream_is_denied_with_our_reasons(market):
    async def scenario(client):
        price = await client.price(95)
        with pytest.raises(ccxt.InvalidOrder) as denied:
            await client.exchange.create_order_ws(
                client.symbol, "limit", "buy", float(TOO_MUCH), price, post_only(market)
            )
        assert "seawall denied" in str(denied.value)
        assert TOO_MUCH in str(denied.value)
        assert await client.open_ids() == []

    run(market, scenario)


def test_wrong_stand_in_secret_is_refused_on_a_stream(market):
    async def scenario(client):
        impostor = client.connect(client.login.with_secret("x" * len(client.login.secret)))
        impostor.set_markets_from_exchange(client.exchange)
        price = await client.price(95)
        try:
            with pytest.raises(ccxt.AuthenticationError):
                await impostor.create_order_ws(client.symbol, "limit", "buy", float(SMALL), price, post_only(market))
        finally:
            await impostor.close()
        assert await client.open_ids() == []

    run(market, scenario)


def test_a_field_the_venue_does_not_know_is_denied_by_name_on_a_stream():
    async def scenario(client):
        price = await client.price(95)
        with pytest.raises(ccxt.BadRequest) as denied:
            await client.exchange.create_order_ws(
                client.symbol, "limit", "buy", float(SMALL), price, {"surprise": "1"}
            )
        assert "seawall denied" in str(denied.value)
        assert "surprise" in str(denied.value)

    run(("binance", "swap"), scenario)
