"""Binance's own `binance-sdk-spot` over REST and the WebSocket API: `binance_sdk.py [--url --key --secret]`."""

import asyncio
import time

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI, ConfigurationWebSocketStreams
from binance_common.errors import Error
from binance_sdk_spot.spot import Spot

import venue

given = venue.arguments("binance")
check = venue.Checks()
stream_url = "ws" + given.url.removeprefix("http")
spot = Spot(
    config_rest_api=ConfigurationRestAPI(api_key=given.key, api_secret=given.secret, base_path=given.url),
    config_ws_api=ConfigurationWebSocketAPI(api_key=given.key, api_secret=given.secret, stream_url=stream_url + "/ws-api/v3"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=stream_url),
)
rest = spot.rest_api

check("exchange_info", rest.exchange_info(symbol="BTCUSDT").data().symbols[0].symbol == "BTCUSDT")
book = rest.depth(symbol="BTCUSDT", limit=5).data()
check("depth", float(book.bids[0][0]) < float(book.asks[0][0]), book.bids[0])
check("klines", len(rest.klines(symbol="BTCUSDT", interval="5m", limit=20).data()) == 20)
far = f"{float(book.bids[0][0]) * 0.9:.2f}"
link = f"sdk-{time.time_ns()}"
placed = rest.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.002, price=float(far), new_client_order_id=link).data()
check("new_order", placed.client_order_id == link, placed.order_id)
check("get_open_orders", placed.order_id in [row.order_id for row in rest.get_open_orders(symbol="BTCUSDT").data()])
check("get_order", rest.get_order(symbol="BTCUSDT", orig_client_order_id=link).data().status == "NEW")
replaced = rest.order_cancel_replace(
    symbol="BTCUSDT", side="BUY", type="LIMIT", cancel_replace_mode="STOP_ON_FAILURE", time_in_force="GTC",
    quantity=0.003, price=float(far), cancel_order_id=placed.order_id,
).data()
check("order_cancel_replace", replaced.new_order_result == "SUCCESS")
check("delete_open_orders", len(rest.delete_open_orders(symbol="BTCUSDT").data()) == 1)
market = rest.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quote_order_qty=600.0).data()
check("market by quote quantity", market.status == "FILLED", market.fills[0].price)
check("my_trades", any(row.order_id == market.order_id for row in rest.my_trades(symbol="BTCUSDT").data()))
check("get_account", any(row.asset == "USDT" for row in rest.get_account().data().balances))
check.raises(
    "post-only crossing", Error,
    lambda: rest.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", quantity=0.002, price=round(float(far) * 1.2, 2)),
)


async def over_stream():
    connection = await spot.websocket_api.create_connection()
    try:
        response = await connection.order_place(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.002, price=float(far))
        result = response.data().result
        check("websocket order_place", bool(result.order_id), result.order_id)
        response = await connection.order_cancel(symbol="BTCUSDT", order_id=result.order_id)
        check("websocket order_cancel", response.data().result.status == "CANCELED")
        response = await connection.account_status()
        check("websocket account_status", len(response.data().result.balances) > 0)
    finally:
        await connection.close_connection(close_session=True)


asyncio.run(over_stream())
check.finish()
