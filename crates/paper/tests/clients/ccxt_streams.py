"""ccxt.pro streams on one venue: `ccxt_streams.py binance|bybit [--url --key --secret]`.

Watches the public streams, then the user's own orders, fills, balance and positions while orders
are placed, and places an order over the WebSocket itself.
"""

import asyncio
import sys

import ccxt.pro

import venue

name = sys.argv.pop(1)
given = venue.arguments(name)
urls = {"binance": venue.ccxt_binance_urls, "bybit": venue.ccxt_bybit_urls}[name](given.url)
check = venue.Checks()
LIMIT_S = 15


def client(**options):
    # aiohttp would resolve through threads of its own; nothing here needs a name server.
    return getattr(ccxt.pro, name)({
        "apiKey": given.key, "secret": given.secret, "urls": {"api": urls}, "enableRateLimit": False, "options": options,
    })


async def within(label, watching):
    try:
        result = await asyncio.wait_for(watching, LIMIT_S)
    except Exception as error:  # noqa: BLE001
        check(label, False, f"{type(error).__name__}: {str(error)[:200]}")
        return None
    check(label, bool(result))
    return result


async def until(label, watch, wanted):
    """Watches until a row satisfies `wanted`."""
    async def loop():
        while True:
            for row in await watch():
                if wanted(row):
                    return row
    return await within(label, loop())


async def one_symbol(symbol):
    linear = symbol.endswith(":USDT")
    exchange = client(defaultType="swap" if linear else "spot")
    try:
        await exchange.load_markets()
        book = await within(f"{symbol} watch_order_book", exchange.watch_order_book(symbol, 50))
        await within(f"{symbol} watch_ticker", exchange.watch_ticker(symbol))
        await within(f"{symbol} watch_trades", exchange.watch_trades(symbol))
        await within(f"{symbol} watch_ohlcv", exchange.watch_ohlcv(symbol, "1m"))
        far = exchange.price_to_precision(symbol, book["bids"][0][0] * 0.9)

        orders = asyncio.create_task(until(f"{symbol} watch_orders sees the order", lambda: exchange.watch_orders(symbol), lambda row: row["amount"] == 0.002))
        await asyncio.sleep(1)  # let the subscription be acknowledged before the order it is to show
        placed = await exchange.create_order(symbol, "limit", "buy", 0.002, far)
        seen = await orders
        check(f"{symbol} the same order", bool(seen) and seen["id"] == placed["id"], seen and seen["status"])
        cancelled = asyncio.create_task(until(f"{symbol} watch_orders sees the cancel", lambda: exchange.watch_orders(symbol), lambda row: row["status"] == "canceled"))
        await exchange.cancel_order(placed["id"], symbol)
        await cancelled

        trades = asyncio.create_task(until(f"{symbol} watch_my_trades", lambda: exchange.watch_my_trades(symbol), lambda row: row["amount"] > 0))
        balance = asyncio.create_task(within(f"{symbol} watch_balance", exchange.watch_balance({"type": "swap" if linear else "spot"})))
        await asyncio.sleep(1)
        await exchange.create_order(symbol, "market", "buy", 0.01)
        await asyncio.gather(trades, balance)
        if linear:
            positions = asyncio.create_task(within(f"{symbol} watch_positions", exchange.watch_positions([symbol])))
            await asyncio.sleep(1)
            await exchange.create_order(symbol, "market", "buy", 0.01)
            await positions
            await exchange.create_order(symbol, "market", "sell", 0.02, None, {"reduceOnly": True})
        over = await within(f"{symbol} create_order_ws", exchange.create_order_ws(symbol, "limit", "buy", 0.002, float(far)))
        if over:
            await within(f"{symbol} cancel_order_ws", exchange.cancel_order_ws(over["id"], symbol))
    finally:
        await exchange.close()


async def main():
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        await one_symbol(symbol)


asyncio.run(main())
check.finish()
