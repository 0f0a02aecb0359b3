"""ccxt, unmodified: configuration only. https://docs.ccxt.com/#/README?id=overriding-exchange-properties"""

import ccxt
import pytest

from conftest import SMALL, TOO_MUCH, ccxt_exchange


def test_markets_load(trader):
    market = trader.exchange.market(trader.symbol)
    assert market["id"] == "BTCUSDT"
    assert market["spot"] == (trader.market_type == "spot")


def test_ticker_and_book_pass_through(trader):
    ticker = trader.exchange.fetch_ticker(trader.symbol)
    assert ticker["last"] > 0
    book = trader.exchange.fetch_order_book(trader.symbol, 5)
    assert book["bids"][0][0] < book["asks"][0][0]


def test_balance(trader):
    balance = trader.exchange.fetch_balance()
    assert balance["USDT"]["total"] > 0


def test_post_only_limit_rests_and_is_cancelled(trader):
    order = trader.rest()
    assert order["id"] in trader.open_ids()
    trader.exchange.cancel_order(order["id"], trader.symbol)
    assert order["id"] not in trader.open_ids()


def test_resting_order_reads_back_as_it_was_placed(trader):
    placed = trader.rest()
    orders = {order["id"]: order for order in trader.exchange.fetch_open_orders(trader.symbol)}
    order = orders[placed["id"]]
    assert (order["side"], order["type"], order["amount"]) == ("buy", "limit", float(SMALL))
    assert order["postOnly"] is True


def test_amend(trader):
    order = trader.rest(percent=95)
    price = trader.price(90)
    amended = trader.exchange.edit_order(order["id"], trader.symbol, "limit", "buy", float(SMALL), price, amendment(trader))
    orders = trader.exchange.fetch_open_orders(trader.symbol)
    assert [(order["id"], order["price"]) for order in orders] == [(amended["id"], price)]


def amendment(trader):
    """Binance spot replaces the order, so it has to be told again; elsewhere the order stays post-only."""
    return {"postOnly": True} if trader.login.venue == "binance" and trader.market_type == "spot" else {}


def test_cancel_all(trader):
    trader.rest(percent=95)
    trader.rest(percent=94)
    assert len(trader.open_ids()) == 2
    trader.exchange.cancel_all_orders(trader.symbol)
    assert trader.open_ids() == []


def test_market_order_fills_and_shows_among_my_trades(trader):
    order = buy_at_market(trader)
    fills = fills_of(trader, order["id"])
    assert sum(fill["amount"] for fill in fills) == pytest.approx(float(SMALL))
    assert all(fill["side"] == "buy" and fill["price"] > 0 for fill in fills)


def test_immediate_or_cancel_fills(trader):
    price = trader.price(102)
    order = trader.exchange.create_order(trader.symbol, "limit", "buy", float(SMALL), price, {"timeInForce": "IOC"})
    assert fills_of(trader, order["id"])
    assert order["id"] not in trader.open_ids()


def test_position_opens_and_a_reduce_only_order_closes_it(derivatives_trader):
    trader = derivatives_trader
    buy_at_market(trader)
    held = position(trader)
    assert held > 0
    trader.exchange.create_order(trader.symbol, "market", "sell", held, None, {"reduceOnly": True})
    assert position(trader) == 0


def test_too_large_an_order_is_denied_with_our_reasons(trader):
    with pytest.raises(ccxt.InvalidOrder) as denied:
        trader.rest(amount=TOO_MUCH)
    assert "seawall denied" in str(denied.value)
    assert TOO_MUCH in str(denied.value), "the reason states the number"
    assert trader.open_ids() == []


def test_amending_beyond_the_limit_is_denied_and_changes_nothing(trader):
    order = trader.rest(percent=95)
    with pytest.raises(ccxt.InvalidOrder) as denied:
        trader.exchange.edit_order(
            order["id"], trader.symbol, "limit", "buy", float(TOO_MUCH), trader.price(95), amendment(trader)
        )
    assert "seawall denied" in str(denied.value)
    orders = trader.exchange.fetch_open_orders(trader.symbol)
    assert [(left["id"], left["amount"]) for left in orders] == [(order["id"], float(SMALL))]


def test_withdrawal_is_denied(trader):
    request = {"coin": "USDT", "address": "0x000000000000000000000000000000000000dEaD", "amount": "1"}
    with pytest.raises(ccxt.ExchangeError) as denied:
        if trader.login.venue == "binance":
            trader.exchange.sapi_post_capital_withdraw_apply(request)
        else:
            trader.exchange.private_post_v5_asset_withdraw_create(request)
    assert "seawall denied" in str(denied.value)


def test_a_symbol_the_policy_does_not_name_is_denied(trader):
    with pytest.raises(ccxt.ExchangeError) as denied:
        if trader.login.venue == "binance":
            place = trader.exchange.private_post_order
            if trader.market_type == "swap":
                place = trader.exchange.fapiprivate_post_order
            place({"symbol": "DOGEUSDT", "side": "BUY", "type": "MARKET", "quantity": "100"})
        else:
            category = "spot" if trader.market_type == "spot" else "linear"
            order = {"symbol": "DOGEUSDT", "side": "Buy", "orderType": "Market", "qty": "100"}
            trader.exchange.private_post_v5_order_create({"category": category, **order})
    assert "seawall denied" in str(denied.value)
    assert "DOGEUSDT" in str(denied.value)


def test_wrong_stand_in_secret_is_refused(trader):
    impostor = ccxt_exchange(trader.login.with_secret("x" * len(trader.login.secret)), trader.market_type)
    # Markets are public, so the first request that needs a key is the order itself.
    impostor.set_markets_from_exchange(trader.exchange)
    with pytest.raises(ccxt.AuthenticationError):
        impostor.create_order(trader.symbol, "limit", "buy", float(SMALL), trader.price(95), {"postOnly": True})
    assert trader.open_ids() == []


def test_unknown_stand_in_key_is_refused(trader):
    stranger = ccxt_exchange(trader.login, trader.market_type)
    stranger.apiKey = "nobody-" + trader.login.key
    stranger.set_markets_from_exchange(trader.exchange)
    with pytest.raises(ccxt.AuthenticationError):
        stranger.create_order(trader.symbol, "limit", "buy", float(SMALL), trader.price(95), {"postOnly": True})


def test_a_clock_that_is_late_is_denied_as_such(trader):
    late = ccxt_exchange(trader.login, trader.market_type)
    late.set_markets_from_exchange(trader.exchange)
    late.options["timeDifference"] = 60_000
    with pytest.raises(ccxt.InvalidNonce) as denied:
        late.create_order(trader.symbol, "limit", "buy", float(SMALL), trader.price(95), {"postOnly": True})
    assert "seawall denied" in str(denied.value)
    assert trader.open_ids() == []


def buy_at_market(trader):
    return trader.exchange.create_order(trader.symbol, "market", "buy", float(SMALL))


def fills_of(trader, order):
    return [fill for fill in trader.exchange.fetch_my_trades(trader.symbol) if fill["order"] == order]


def position(trader):
    positions = trader.exchange.fetch_positions([trader.symbol])
    return sum(position["contracts"] or 0 for position in positions if position["side"] == "long")
