"""One Python process, two ways to a signed order: ccxt signs it here, or the vault signs it.

Reads one JSON object from standard input, writes one: for each pair, nanoseconds of each call.
"""

import json
import socket
import sys
import time

import ccxt


def exchange(secret):
    return ccxt.binance({"apiKey": "k" * 64, "secret": secret})


def signed_by_ccxt(own, turn):
    """What ccxt does for create_order once the order's parameters stand."""
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.00120",
        "price": f"61234.{turn % 90 + 10}",
        "timeInForce": "IOC",
        "newOrderRespType": "RESULT",
    }
    return own.sign("order", ["private"], "POST", order)


class Vault:
    """A bot's whole client: a line of JSON each way."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(10)

    def signed(self, account, turn):
        order = {
            "market": "spot",
            "symbol": "BTCUSDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.00120",
            "price": f"61234.{turn % 90 + 10}",
            "time_in_force": "immediate_or_cancel",
        }
        self.socket.sendall(json.dumps({"account": account, "place": order}).encode() + b"\n")
        reply = self.socket.recv(65536)
        while not reply.endswith(b"\n"):
            reply += self.socket.recv(65536)
        reply = json.loads(reply)
        if reply["status"] != "approved":
            raise SystemExit(f"the vault answered {reply}")
        return reply["request"]


def block(call, turns, warm_up):
    times = []
    for turn in range(warm_up + turns):
        started = time.perf_counter_ns()
        call(turn)
        took = time.perf_counter_ns() - started
        if turn >= warm_up:
            times.append(took)
    return times


def main():
    asked = json.load(sys.stdin)
    vaults = {name: Vault(path) for name, path in asked["sockets"].items()}
    found = {}
    for kind in asked["kinds"]:
        own = exchange(kind["secret"])
        account = kind["account"]
        ways = {"ccxt": lambda turn: signed_by_ccxt(own, turn)}
        for name, vault in vaults.items():
            ways[name] = lambda turn, vault=vault: vault.signed(account, turn)
        times = {name: [] for name in ways}
        for _ in range(asked["blocks"]):
            for name, call in ways.items():
                slow = name == "ccxt" and kind["slow"]
                turns = (2, 0) if slow else (asked["requests"], asked["warm_up"])
                times[name] += block(call, *turns)
        found[account] = times
    json.dump({"ccxt": ccxt.__version__, "python": sys.version.split()[0], "found": found}, sys.stdout)


main()
