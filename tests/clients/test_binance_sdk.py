"""Binance's own Python SDK for spot, unmodified: its `base_path` setting points at the gateway."""

import asyncio

import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_common.errors import BadRequestError, ClientError, Error, UnauthorizedError
from binance_sdk_spot.rest_api.models import (
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
    OrderCancelReplaceCancelReplaceModeEnum,
    OrderCancelReplaceSideEnum,
    OrderCancelReplaceTypeEnum,
)
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import OrderPlaceSideEnum, OrderPlaceTypeEnum

from conftest import SMALL, SYMBOL, TOO_MUCH, on_grid, order_id

TICK = "0.01"


@pytest.fixture
def api(binance):
    api = client(binance)
    yield api
    if open_orders(api):
        api.delete_open_orders(symbol=SYMBOL)


def client(login):
    configuration = ConfigurationRestAPI(
        api_key=login.key, api_secret=login.secret, base_path=login.url, retries=0, timeout=10_000
    )
    return Spot(config_rest_api=configuration).rest_api


def last_price(api):
    return float(api.ticker_price(symbol=SYMBOL).data().actual_instance.price)


def rest(api, quantity=SMALL, percent=95):
    """A post-only order below the market; returns the bot's id for it."""
    own = order_id()
    api.new_order(
        symbol=SYMBOL,
        side=NewOrderSideEnum.BUY,
        type=NewOrderTypeEnum.LIMIT_MAKER,
        quantity=float(quantity),
        price=float(on_grid(last_price(api) * percent / 100, TICK)),
        new_client_order_id=own,
    )
    return own


def open_orders(api):
    return {order.client_order_id: order for order in api.get_open_orders(symbol=SYMBOL).data()}


def test_account_balance(api):
    balances = {balance.asset: balance for balance in api.get_account().data().balances}
    assert float(balances["USDT"].free) > 0


def test_place_replace_cancel(api):
    own, new = rest(api), order_id()
    assert open_orders(api)[own].type == "LIMIT_MAKER"
    price = on_grid(last_price(api) * 0.9, TICK)
    api.order_cancel_replace(
        symbol=SYMBOL,
        side=OrderCancelReplaceSideEnum.BUY,
        type=OrderCancelReplaceTypeEnum.LIMIT_MAKER,
        cancel_replace_mode=OrderCancelReplaceCancelReplaceModeEnum.STOP_ON_FAILURE,
        cancel_orig_client_order_id=own,
        new_client_order_id=new,
        quantity=float(SMALL),
        price=float(price),
    )
    orders = open_orders(api)
    assert own not in orders
    assert float(orders[new].price) == float(price)
    api.delete_order(symbol=SYMBOL, orig_client_order_id=new)
    assert new not in open_orders(api)


def test_immediate_or_cancel_shows_among_my_trades(api):
    order = api.new_order(
        symbol=SYMBOL,
        side=NewOrderSideEnum.BUY,
        type=NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.IOC,
        quantity=float(SMALL),
        price=float(on_grid(last_price(api) * 1.02, TICK)),
    ).data()
    trades = [trade for trade in api.my_trades(symbol=SYMBOL).data() if trade.order_id == order.order_id]
    assert sum(float(trade.qty) for trade in trades) == pytest.approx(float(SMALL))


def test_denial_is_the_venues_own_kind_of_error_with_our_reasons(api):
    with pytest.raises((BadRequestError, ClientError)) as denied:
        rest(api, quantity=TOO_MUCH)
    assert "seawall denied" in str(denied.value)
    assert TOO_MUCH in str(denied.value)
    assert open_orders(api) == {}


def test_wrong_secret_is_refused(binance):
    impostor = client(binance.with_secret("x" * len(binance.secret)))
    with pytest.raises((UnauthorizedError, BadRequestError)) as refused:
        impostor.get_account()
    assert isinstance(refused.value, Error)


def test_calls_over_the_websocket_api(api, binance):
    own, price = order_id(), float(on_grid(last_price(api) * 0.95, TICK))

    async def trade():
        url = binance.url.replace("http://", "ws://") + "/ws-api/v3"
        calls = Spot(
            config_ws_api=ConfigurationWebSocketAPI(api_key=binance.key, api_secret=binance.secret, stream_url=url)
        ).websocket_api
        await calls.create_connection()
        events = asyncio.Queue()
        try:
            account = (await calls.account_status()).data().result
            assert float({balance.asset: balance for balance in account.balances}["USDT"].free) > 0
            stream = await calls.user_data_stream_subscribe_signature()
            stream.stream.on("message", events.put_nowait)
            order = {
                "symbol": SYMBOL,
                "side": OrderPlaceSideEnum.BUY,
                "type": OrderPlaceTypeEnum.LIMIT_MAKER,
                "price": price,
            }
            placed = await calls.order_place(**order, quantity=float(SMALL), new_client_order_id=own)
            assert placed.data().result.client_order_id == own
            assert own in open_orders(api)
            event = await asyncio.wait_for(events.get(), 5)
            assert own in str(event)
            # This SDK raises nothing here: an error is what it returns as the reply's data.
            denied = await calls.order_place(**order, quantity=float(TOO_MUCH), new_client_order_id=order_id())
            error = denied.data()["error"]
            assert error["code"] == -2010
            assert "seawall denied" in error["msg"] and TOO_MUCH in error["msg"]
            await calls.order_cancel(symbol=SYMBOL, orig_client_order_id=own)
            assert open_orders(api) == {}
        finally:
            await calls.close_connection(close_session=True)

    asyncio.run(trade())
