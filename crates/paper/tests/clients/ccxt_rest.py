"""ccxt (synchronous) over REST on one venue: `ccxt_rest.py binance|bybit [--url --key --secret]`."""

import sys

import ccxt

import venue

name = sys.argv.pop(1)
given = venue.arguments(name)
urls = {"binance": venue.ccxt_binance_urls, "bybit": venue.ccxt_bybit_urls}[name](given.url)
check = venue.Checks()


def client(key=given.key, secret=given.secret, **options):
    return getattr(ccxt, name)({
        "apiKey": key, "secret": secret, "urls": {"api": urls}, "enableRateLimit": False, "options": options,
    })


exchange = client()
markets = exchange.load_markets()
check("load_markets", "BTC/USDT" in markets and "BTC/USDT:USDT" in markets, sorted(markets))
for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
    linear = symbol.endswith(":USDT")
    ticker = exchange.fetch_ticker(symbol)
    check(f"{symbol} fetch_ticker", ticker["last"] > 0 and ticker["bid"] < ticker["ask"], ticker["last"])
    book = exchange.fetch_order_book(symbol, 5)
    check(f"{symbol} fetch_order_book", len(book["bids"]) >= 5 and book["bids"][0][0] < book["asks"][0][0])
    candles = exchange.fetch_ohlcv(symbol, "5m", limit=50)
    check(f"{symbol} fetch_ohlcv", len(candles) == 50, candles[-1])
    check(f"{symbol} fetch_trades", len(exchange.fetch_trades(symbol)) > 0)
    balance = exchange.fetch_balance({"type": "swap"} if linear else {})
    check(f"{symbol} fetch_balance", balance["USDT"]["free"] > 0, balance["USDT"])

    # What an interrupted run left behind.
    exchange.fetch_open_orders(symbol) and exchange.cancel_all_orders(symbol)
    for row in exchange.fetch_positions([symbol]) if linear else []:
        if row["contracts"]:
            exchange.create_order(symbol, "market", {"long": "sell", "short": "buy"}[row["side"]], row["contracts"], None, {"reduceOnly": True})

    far = exchange.price_to_precision(symbol, book["bids"][0][0] * 0.9)
    order = exchange.create_order(symbol, "limit", "buy", 0.002, far, {"clientOrderId": f"smoke-{exchange.milliseconds()}"})
    check(f"{symbol} create limit", bool(order["id"]), order["id"])
    open_ids = [row["id"] for row in exchange.fetch_open_orders(symbol)]
    check(f"{symbol} fetch_open_orders", order["id"] in open_ids, open_ids)
    farther = exchange.price_to_precision(symbol, book["bids"][0][0] * 0.89)
    edited = exchange.edit_order(order["id"], symbol, "limit", "buy", 0.003, farther)
    check(f"{symbol} edit_order", bool(edited["id"]), edited["id"])
    # Binance spot has no amend: ccxt cancels and replaces, so the id changes.
    rows = exchange.fetch_open_orders(symbol)
    check(f"{symbol} edited", any(row["amount"] == 0.003 for row in rows), [(row["id"], row["amount"], row["price"]) for row in rows])
    cancelled = exchange.cancel_order(edited["id"], symbol)
    check(f"{symbol} cancel_order", cancelled["id"] == edited["id"])
    check.raises(f"{symbol} cancel again", ccxt.OrderNotFound, lambda: exchange.cancel_order(edited["id"], symbol))

    post = exchange.create_order(symbol, "limit", "buy", 0.002, far, {"postOnly": True})
    check(f"{symbol} post-only rests", post["id"] in [row["id"] for row in exchange.fetch_open_orders(symbol)])
    crossing = exchange.price_to_precision(symbol, book["asks"][0][0] * 1.01)
    if name == "binance":
        check.raises(
            # ccxt chooses a market's own table of exceptions by the host name. With another base URL it has
            # only the common one, so codes of USD-M alone (-5022, -2019) arrive as a plain ExchangeError.
            f"{symbol} post-only crossing", (ccxt.OrderImmediatelyFillable, ccxt.OrderNotFillable, ccxt.ExchangeError),
            lambda: exchange.create_order(symbol, "limit", "buy", 0.002, crossing, {"postOnly": True}),
        )
    else:
        crossed = exchange.create_order(symbol, "limit", "buy", 0.002, crossing, {"postOnly": True})
        rows = exchange.fetch_canceled_and_closed_orders(symbol)
        found = [row for row in rows if row["id"] == crossed["id"]]
        reason = found and found[0]["info"]["rejectReason"]
        check(f"{symbol} post-only crossing", reason == "EC_PostOnlyWillTakeLiquidity", reason)
    exchange.cancel_all_orders(symbol)
    check(f"{symbol} cancel_all_orders", exchange.fetch_open_orders(symbol) == [])

    market = exchange.create_order(symbol, "market", "buy", 0.01)
    check(f"{symbol} market buy", bool(market["id"]), market.get("status"))
    options = {"acknowledged": True} if name == "bybit" else {}
    fetched = exchange.fetch_order(market["id"], symbol, options)
    check(f"{symbol} fetch_order", fetched["status"] == "closed" and fetched["filled"] == 0.01, fetched["average"])
    fills = exchange.fetch_my_trades(symbol)
    mine = [fill for fill in fills if fill["order"] == market["id"]]
    check(f"{symbol} fetch_my_trades", sum(fill["amount"] for fill in mine) == 0.01, mine and mine[0]["fee"])
    ioc = exchange.create_order(symbol, "limit", "sell", 0.01, exchange.price_to_precision(symbol, book["bids"][0][0] * 0.98), {"timeInForce": "IOC"})
    done = exchange.fetch_order(ioc["id"], symbol, options)
    check(f"{symbol} IOC sell", done["filled"] == 0.01, done["status"])
    link = f"dup-{exchange.milliseconds()}"
    first = exchange.create_order(symbol, "limit", "buy", 0.002, far, {"clientOrderId": link})
    check.raises(
        f"{symbol} duplicate client id", ccxt.ExchangeError,
        lambda: exchange.create_order(symbol, "limit", "buy", 0.002, far, {"clientOrderId": link}),
    )
    exchange.cancel_order(first["id"], symbol)
    check.raises(
        f"{symbol} too large", ccxt.ExchangeError,
        lambda: exchange.create_order(symbol, "limit", "buy", 900, far),
    )
    if linear:
        exchange.set_leverage(5, symbol)
        check.raises(
            f"{symbol} reduce-only with nothing", ccxt.ExchangeError,
            lambda: exchange.create_order(symbol, "market", "sell", 0.01, None, {"reduceOnly": True}),
        )
        exchange.create_order(symbol, "market", "sell", 0.01)
        positions = [row for row in exchange.fetch_positions([symbol]) if row["contracts"]]
        check(f"{symbol} position short", positions and positions[0]["side"] == "short", positions and (positions[0]["contracts"], positions[0]["entryPrice"], positions[0]["unrealizedPnl"]))
        stop = exchange.create_order(symbol, "market", "buy", 0.01, None, {"triggerPrice": exchange.price_to_precision(symbol, book["asks"][0][0] * 1.1), "triggerDirection": "ascending", "reduceOnly": True})
        check(f"{symbol} stop order", bool(stop["id"]), stop["id"])
        exchange.cancel_order(stop["id"], symbol, {"trigger": True})
        exchange.create_order(symbol, "market", "buy", 0.01, None, {"reduceOnly": True})
        positions = [row for row in exchange.fetch_positions([symbol]) if row["contracts"]]
        check(f"{symbol} position closed", positions == [])
        batch = exchange.create_orders([
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.002, "price": float(far)},
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.003, "price": float(far)},
        ])
        check(f"{symbol} create_orders", len(batch) == 2 and all(row["id"] for row in batch))
        exchange.cancel_orders([row["id"] for row in batch], symbol)
        check(f"{symbol} cancel_orders", exchange.fetch_open_orders(symbol) == [])

check.raises("wrong secret", ccxt.AuthenticationError, lambda: client(secret="wrong").fetch_balance())
check.raises("unknown key", ccxt.AuthenticationError, lambda: client(key="nobody").fetch_balance())
check.raises(
    # ccxt takes -2015 for overload (DDoSProtection) once a key has worked before.
    "withdrawal without permission", (ccxt.PermissionDenied, ccxt.AuthenticationError, ccxt.DDoSProtection),
    lambda: exchange.withdraw("USDT", 10, "0x" + "1" * 40, {"network": "ETH"}),
)
check.finish()
