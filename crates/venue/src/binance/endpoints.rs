//! The endpoints that may be signed. What is not here is refused, whatever it does; nothing that
//! takes money out is here.
//!
//! Binance does not sign the path, so a request is judged by what its parameters could do at any
//! endpoint: `order/test` counts as an order, and a read may not carry an order's parameters.

use trading::Market;

use crate::http::Method;
use crate::unsigned::Surface;

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Order,
    AlgoOrder,
    CancelReplace,
    Amend,
    AmendKeepPriority,
    Cancel,
    AlgoCancel,
    CancelAll,
    BatchPlace,
    BatchAmend,
    BatchCancel,
    Read,
    /// A private stream's listen key; wants a key, no signature.
    ListenKey,
    DeadMansSwitch,
    Leverage,
    /// A mode, named by its parameter.
    Mode(&'static str),
}

/// The host that serves a path.
pub(crate) fn surface(path: &str) -> Option<Surface> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    match first {
        "api" | "sapi" => Some(Surface::Spot),
        "fapi" | "futures" => Some(Surface::UsdMargined),
        "dapi" => Some(Surface::CoinMargined),
        _ => None,
    }
}

/// What `method path` does, and on which market; `None` for what may not be signed.
pub(crate) fn find(method: Method, path: &str) -> Option<(Kind, Market)> {
    if let Some(rest) = path.strip_prefix("/api/v3/") {
        return spot(method, rest).map(|kind| (kind, Market::Spot));
    }
    if let Some(rest) = path.strip_prefix("/sapi/v1/margin/") {
        return margin(method, rest).map(|kind| (kind, Market::Margin));
    }
    if let Some(rest) = path.strip_prefix("/sapi/") {
        return wallet(method, rest).map(|kind| (kind, Market::Spot));
    }
    if let Some(rest) = path.strip_prefix("/fapi/") {
        return futures(method, rest).map(|kind| (kind, Market::Linear));
    }
    if let Some(rest) = path.strip_prefix("/dapi/") {
        return futures(method, rest).map(|kind| (kind, Market::Inverse));
    }
    None
}

fn spot(method: Method, rest: &str) -> Option<Kind> {
    Some(match (method, rest) {
        (Method::Post, "order" | "order/test" | "sor/order" | "sor/order/test") => Kind::Order,
        (Method::Post, "order/cancelReplace") => Kind::CancelReplace,
        (Method::Put, "order/amend/keepPriority") => Kind::AmendKeepPriority,
        (Method::Delete, "order") => Kind::Cancel,
        (Method::Delete, "openOrders") => Kind::CancelAll,
        (Method::Post | Method::Put | Method::Delete, "userDataStream") => Kind::ListenKey,
        (
            Method::Get,
            "order" | "openOrders" | "allOrders" | "orderList" | "openOrderList" | "allOrderList" | "account"
            | "account/commission" | "myTrades" | "myAllocations" | "myPreventedMatches" | "myFilters"
            | "rateLimit/order" | "order/amendments" | "historicalTrades",
        ) => Kind::Read,
        _ => return None,
    })
}

fn margin(method: Method, rest: &str) -> Option<Kind> {
    Some(match (method, rest) {
        (Method::Post, "order") => Kind::Order,
        (Method::Delete, "order") => Kind::Cancel,
        (Method::Delete, "openOrders") => Kind::CancelAll,
        (
            Method::Get,
            "order"
            | "openOrders"
            | "allOrders"
            | "orderList"
            | "openOrderList"
            | "allOrderList"
            | "account"
            | "isolated/account"
            | "isolated/allPairs"
            | "isolated/accountLimit"
            | "myTrades"
            | "allPairs"
            | "allAssets"
            | "priceIndex"
            | "maxBorrowable"
            | "interestHistory"
            | "interestRateHistory"
            | "crossMarginData"
            | "isolatedMarginData"
            | "isolatedMarginTier"
            | "rateLimit/order"
            | "tradeCoeff"
            | "forceLiquidationRec"
            | "capital-flow"
            | "leverageBracket",
        ) => Kind::Read,
        _ => return None,
    })
}

fn wallet(method: Method, rest: &str) -> Option<Kind> {
    Some(match (method, rest) {
        (
            Method::Get,
            "v1/account/info"
            | "v1/account/status"
            | "v1/account/apiTradingStatus"
            | "v1/account/apiRestrictions"
            | "v1/accountSnapshot"
            | "v1/asset/tradeFee"
            | "v1/asset/assetDetail"
            | "v1/asset/assetDividend"
            | "v1/asset/wallet/balance"
            | "v1/capital/config/getall"
            | "v1/system/status",
        )
        | (Method::Post, "v3/asset/getUserAsset" | "v1/asset/get-funding-asset") => Kind::Read,
        (Method::Post | Method::Put | Method::Delete, "v1/userDataStream" | "v1/userDataStream/isolated") => {
            Kind::ListenKey
        }
        _ => return None,
    })
}

/// USD-M and COIN-M name their endpoints alike.
fn futures(method: Method, rest: &str) -> Option<Kind> {
    Some(match (method, rest) {
        (Method::Post, "v1/order" | "v1/order/test") => Kind::Order,
        (Method::Post, "v1/algoOrder") => Kind::AlgoOrder,
        (Method::Delete, "v1/algoOrder") => Kind::AlgoCancel,
        (Method::Put, "v1/order") => Kind::Amend,
        (Method::Delete, "v1/order") => Kind::Cancel,
        (Method::Delete, "v1/allOpenOrders" | "v1/algoOpenOrders") => Kind::CancelAll,
        (Method::Post, "v1/batchOrders") => Kind::BatchPlace,
        (Method::Put, "v1/batchOrders") => Kind::BatchAmend,
        (Method::Delete, "v1/batchOrders") => Kind::BatchCancel,
        (Method::Post, "v1/countdownCancelAll") => Kind::DeadMansSwitch,
        (Method::Post, "v1/leverage") => Kind::Leverage,
        (Method::Post, "v1/marginType") => Kind::Mode("marginType"),
        (Method::Post, "v1/positionSide/dual") => Kind::Mode("dualSidePosition"),
        (Method::Post, "v1/multiAssetsMargin") => Kind::Mode("multiAssetsMargin"),
        (Method::Post | Method::Put | Method::Delete, "v1/listenKey") => Kind::ListenKey,
        (
            Method::Get,
            "v1/order"
            | "v1/openOrder"
            | "v1/openOrders"
            | "v1/allOrders"
            | "v1/algoOrder"
            | "v1/openAlgoOrders"
            | "v1/allAlgoOrders"
            | "v1/userTrades"
            | "v1/account"
            | "v2/account"
            | "v3/account"
            | "v1/balance"
            | "v2/balance"
            | "v3/balance"
            | "v1/positionRisk"
            | "v2/positionRisk"
            | "v3/positionRisk"
            | "v1/income"
            | "v1/leverageBracket"
            | "v2/leverageBracket"
            | "v1/commissionRate"
            | "v1/forceOrders"
            | "v1/adlQuantile"
            | "v1/positionSide/dual"
            | "v1/multiAssetsMargin"
            | "v1/positionMargin/history"
            | "v1/rateLimit/order"
            | "v1/apiTradingStatus"
            | "v1/orderAmendment"
            | "v1/symbolConfig"
            | "v1/accountConfig"
            | "v1/feeBurn"
            | "v1/pmAccountInfo"
            | "v1/historicalTrades",
        ) => Kind::Read,
        _ => return None,
    })
}

/// Whether anyone may ask this without a key: market data, which changes nothing. `historicalTrades`
/// wants a key (but no signature), so it is a read.
pub(crate) fn is_public(path: &str) -> bool {
    if let Some(rest) = path.strip_prefix("/api/v3/") {
        return matches!(
            rest,
            "ping"
                | "time"
                | "exchangeInfo"
                | "depth"
                | "trades"
                | "aggTrades"
                | "klines"
                | "uiKlines"
                | "avgPrice"
                | "ticker"
                | "ticker/24hr"
                | "ticker/price"
                | "ticker/bookTicker"
                | "ticker/tradingDay"
                | "executionRules"
                | "referencePrice"
        );
    }
    if let Some(rest) = path.strip_prefix("/fapi/").or_else(|| path.strip_prefix("/dapi/")) {
        return matches!(
            rest,
            "v1/ping"
                | "v1/time"
                | "v1/exchangeInfo"
                | "v1/depth"
                | "v1/rpiDepth"
                | "v1/trades"
                | "v1/aggTrades"
                | "v1/klines"
                | "v1/continuousKlines"
                | "v1/indexPriceKlines"
                | "v1/markPriceKlines"
                | "v1/premiumIndexKlines"
                | "v1/premiumIndex"
                | "v1/fundingRate"
                | "v1/fundingInfo"
                | "v1/ticker/24hr"
                | "v1/ticker/price"
                | "v2/ticker/price"
                | "v1/ticker/bookTicker"
                | "v1/openInterest"
                | "v1/indexInfo"
                | "v1/assetIndex"
                | "v1/constituents"
                | "v1/insuranceBalance"
                | "v1/tradingSchedule"
                | "v1/symbolAdlRisk"
        );
    }
    path.strip_prefix("/futures/data/")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        || path == "/sapi/v1/system/status"
}
