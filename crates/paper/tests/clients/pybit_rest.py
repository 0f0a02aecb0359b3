"""pybit 5 over REST and WebSocket: `pybit_rest.py [--url --key --secret]`.

pybit builds its base URL from fixed parts; setting `endpoint` on the session, and the module's
stream URL texts, is how it is pointed elsewhere without changing its code.
"""

import queue
import time

from pybit import exceptions
from pybit import _websocket_trading
from pybit import unified_trading
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

import venue

given = venue.arguments("bybit")
check = venue.Checks()
session = HTTP(api_key=given.key, api_secret=given.secret)
session.endpoint = given.url

check("get_server_time", int(session.get_server_time()["result"]["timeSecond"]) > 0)
for category in ("spot", "linear"):
    named = {"category": category, "symbol": "BTCUSDT"}
    check(f"{category} get_instruments_info", session.get_instruments_info(**named)["result"]["list"][0]["symbol"] == "BTCUSDT")
    ticker = session.get_tickers(**named)["result"]["list"][0]
    check(f"{category} get_tickers", float(ticker["bid1Price"]) < float(ticker["ask1Price"]), ticker["lastPrice"])
    check(f"{category} get_orderbook", len(session.get_orderbook(**named, limit=10)["result"]["b"]) == 10)
    check(f"{category} get_kline", len(session.get_kline(**named, interval=5, limit=20)["result"]["list"]) == 20)
    session.cancel_all_orders(**named)
    far = f"{float(ticker['bid1Price']) * 0.9:.1f}"
    link = f"pybit-{time.time_ns()}"
    placed = session.place_order(**named, side="Buy", orderType="Limit", qty="0.002", price=far, timeInForce="PostOnly", orderLinkId=link)
    order_id = placed["result"]["orderId"]
    check(f"{category} place_order", placed["result"]["orderLinkId"] == link, order_id)
    found = session.get_open_orders(**named, orderId=order_id)["result"]["list"]
    check(f"{category} get_open_orders", found[0]["orderStatus"] == "New")
    session.amend_order(**named, orderLinkId=link, qty="0.003")
    check(f"{category} amend_order", session.get_open_orders(**named, orderLinkId=link)["result"]["list"][0]["qty"] == "0.003")
    session.cancel_order(**named, orderId=order_id)
    gone = session.get_order_history(**named, orderId=order_id)["result"]["list"][0]
    check(f"{category} cancel_order", gone["orderStatus"] == "Cancelled", gone["rejectReason"])
    check.raises(f"{category} cancel again", exceptions.InvalidRequestError, lambda: session.cancel_order(**named, orderId=order_id))
    market = session.place_order(**named, side="Buy", orderType="Market", qty="600" if category == "spot" else "0.01")
    fills = session.get_executions(**named, orderId=market["result"]["orderId"])["result"]["list"]
    check(f"{category} get_executions", fills and float(fills[0]["execFee"]) > 0, fills and fills[0]["execPrice"])
    legs = [{"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.002", "price": far} for _ in range(2)]
    batch = session.place_batch_order(category=category, request=legs)
    check(f"{category} place_batch_order", [leg["code"] for leg in batch["retExtInfo"]["list"]] == [0, 0])
    all_gone = session.cancel_all_orders(**named)
    check(f"{category} cancel_all_orders", len(all_gone["result"]["list"]) == 2)
position = session.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][0]
check("get_positions", position["side"] == "Buy" and float(position["size"]) > 0, position["avgPrice"])
wallet = session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
check("get_wallet_balance", float(wallet["totalEquity"]) > 0, wallet["totalEquity"])
check("get_api_key_information", "Withdraw" not in session.get_api_key_information()["result"]["permissions"]["Wallet"])
check("get_fee_rates", len(session.get_fee_rates(category="spot", symbol="BTCUSDT")["result"]["list"]) == 1)
wrong = HTTP(api_key=given.key, api_secret="wrong")
wrong.endpoint = given.url
# pybit shows a refused signature (10004) as an invalid request.
check.raises("wrong secret", exceptions.InvalidRequestError, lambda: wrong.get_wallet_balance(accountType="UNIFIED"))
check.raises(
    "withdrawal without permission", (exceptions.InvalidRequestError, exceptions.UnauthorizedExceptionError),
    lambda: session.withdraw(coin="USDT", chain="ETH", address="0x1", amount="1", timestamp=int(time.time() * 1000), accountType="UTA"),
)

stream_url = "ws" + given.url.removeprefix("http")
for module in (unified_trading, _websocket_trading):
    for constant in ("PUBLIC_WSS", "PRIVATE_WSS", "TRADE_WSS"):
        if hasattr(module, constant):
            setattr(module, constant, stream_url + getattr(module, constant)[getattr(module, constant).index("/v5/"):])

heard = queue.Queue()
public = WebSocket(testnet=False, channel_type="linear")
public.orderbook_stream(50, "BTCUSDT", lambda message: heard.put(message["topic"]))
check("orderbook_stream", heard.get(timeout=10) == "orderbook.50.BTCUSDT")
private = WebSocket(testnet=False, channel_type="private", api_key=given.key, api_secret=given.secret)
orders = queue.Queue()
private.order_stream(lambda message: orders.put(message["data"][0]))
trading = WebSocketTrading(testnet=False, api_key=given.key, api_secret=given.secret)
time.sleep(1)  # pybit subscribes from a thread of its own
answers = queue.Queue()
trading.place_order(answers.put, category="linear", symbol="BTCUSDT", side="Buy", orderType="Limit", qty="0.002", price=far)
answer = answers.get(timeout=10)
check("WebSocketTrading.place_order", answer["retCode"] == 0, answer["data"])
seen = orders.get(timeout=10)
check("order_stream", seen["orderId"] == answer["data"]["orderId"], seen["orderStatus"])
session.cancel_all_orders(category="linear", symbol="BTCUSDT")
for stream in (public, private, trading):
    stream.exit()
check.finish()
