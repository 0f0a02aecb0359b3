"""What every smoke script shares: where the venue is, and with which credentials.

Base URLs and credentials come from arguments or the environment, so that the same code runs
against the paper venue and through a gateway to it:

    BINANCE_URL  BINANCE_KEY  BINANCE_SECRET    (default http://127.0.0.1:8181, the demo trade key)
    BYBIT_URL    BYBIT_KEY    BYBIT_SECRET      (default http://127.0.0.1:8182, the demo trade key)
"""

import argparse
import os


def arguments(venue):
    port = {"binance": 8181, "bybit": 8182}[venue]
    upper = venue.upper()
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default=os.environ.get(f"{upper}_URL", f"http://127.0.0.1:{port}"))
    parser.add_argument("--key", default=os.environ.get(f"{upper}_KEY", f"paper-{venue}-trade"))
    parser.add_argument("--secret", default=os.environ.get(f"{upper}_SECRET", f"paper-{venue}-trade-secret"))
    return parser.parse_args()


def ccxt_binance_urls(base):
    """`urls.api` for ccxt's binance: replaces every host, REST and WebSocket.

    ccxt merges this dict over its own, so each name that is to be redirected must be here.
    """
    ws = "ws" + base.removeprefix("http")
    rest = {
        "public": "/api/v3", "private": "/api/v3", "v1": "/api/v1",
        "sapi": "/sapi/v1", "sapiV2": "/sapi/v2", "sapiV3": "/sapi/v3", "sapiV4": "/sapi/v4",
        "fapiPublic": "/fapi/v1", "fapiPublicV2": "/fapi/v2", "fapiPublicV3": "/fapi/v3",
        "fapiPrivate": "/fapi/v1", "fapiPrivateV2": "/fapi/v2", "fapiPrivateV3": "/fapi/v3",
        "fapiData": "/futures/data", "dapiData": "/futures/data",
        "dapiPublic": "/dapi/v1", "dapiPrivate": "/dapi/v1", "dapiPrivateV2": "/dapi/v2",
        "eapiPublic": "/eapi/v1", "eapiPrivate": "/eapi/v1",
        "papi": "/papi/v1", "papiV2": "/papi/v2",
    }
    urls = {name: base + path for name, path in rest.items()}
    urls["ws"] = {
        # ccxt takes a stream for spot only if its URL has "/stream" in it, as wss://stream.binance.com has.
        "spot": ws + "/stream/ws", "margin": ws + "/stream/ws", "linear": ws + "/fstream/ws", "inverse": ws + "/dstream/ws",
        "ws-api": {"spot": ws + "/ws-api/v3", "linear": ws + "/ws-fapi/v1", "inverse": ws + "/ws-dapi/v1"},
    }
    return urls


def ccxt_bybit_urls(base):
    """`urls.api` for ccxt's bybit: replaces every host, REST and WebSocket."""
    ws = "ws" + base.removeprefix("http")
    urls = {name: base for name in ("spot", "futures", "v2", "public", "private")}
    urls["ws"] = {
        "public": {kind: f"{ws}/v5/public/{kind}" for kind in ("spot", "linear", "inverse", "option")},
        "private": {
            "spot": {"unified": ws + "/v5/private", "nonUnified": ws + "/v5/private"},
            "contract": ws + "/v5/private", "usdc": ws + "/v5/private", "trade": ws + "/v5/trade",
        },
    }
    return urls


class Checks:
    """Prints each check and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def __call__(self, name, passed, shown=""):
        self.failed += not passed
        print(f"{'ok  ' if passed else 'FAIL'} {name} {shown}", flush=True)

    def raises(self, name, kind, action):
        try:
            result = action()
        except kind as error:
            self(name, True, f"{type(error).__name__}: {str(error)[:110]}")
        except Exception as error:  # noqa: BLE001
            self(name, False, f"{type(error).__name__}: {str(error)[:300]}")
        else:
            self(name, False, f"no exception, but {result}")

    def finish(self):
        print(f"{self.failed} failed")
        raise SystemExit(1 if self.failed else 0)
