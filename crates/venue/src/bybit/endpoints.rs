//! The endpoints that may be signed. What is not here is refused, whatever it does; nothing that
//! takes money out is here.
//!
//! Bybit signs neither path nor method, so a request is judged by what its body could do at any
//! endpoint: `pre-check` counts as an order, and a read has plain parameters and no body.

use crate::http::Method;

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Order,
    Amend,
    Cancel,
    CancelAll,
    BatchPlace,
    BatchAmend,
    BatchCancel,
    Read,
    DeadMansSwitch,
    Leverage,
    /// A mode, named by its parameter.
    Mode(&'static str),
}

/// What `method path` does; `None` for what may not be signed.
pub(crate) fn find(method: Method, path: &str) -> Option<Kind> {
    let rest = path.strip_prefix("/v5/")?;
    match method {
        Method::Post => post(rest),
        Method::Get => (is_read(rest) || is_public(path)).then_some(Kind::Read),
        Method::Put | Method::Delete => None,
    }
}

fn post(rest: &str) -> Option<Kind> {
    Some(match rest {
        "order/create" | "order/pre-check" => Kind::Order,
        "order/amend" => Kind::Amend,
        "order/cancel" => Kind::Cancel,
        "order/cancel-all" => Kind::CancelAll,
        "order/create-batch" => Kind::BatchPlace,
        "order/amend-batch" => Kind::BatchAmend,
        "order/cancel-batch" => Kind::BatchCancel,
        "order/disconnected-cancel-all" => Kind::DeadMansSwitch,
        "position/set-leverage" => Kind::Leverage,
        "position/switch-mode" => Kind::Mode("mode"),
        "account/set-margin-mode" => Kind::Mode("setMarginMode"),
        "account/set-hedging-mode" => Kind::Mode("setHedgingMode"),
        "position/set-tpsl-mode" => Kind::Mode("tpSlMode"),
        _ => return None,
    })
}

fn is_read(rest: &str) -> bool {
    matches!(
        rest,
        "order/realtime"
            | "order/history"
            | "order/spot-borrow-check"
            | "execution/list"
            | "position/list"
            | "position/closed-pnl"
            | "position/get-closed-positions"
            | "position/move-history"
            | "position/symbol-info"
            | "account/wallet-balance"
            | "account/info"
            | "account/fee-rate"
            | "account/collateral-info"
            | "account/borrow-history"
            | "account/transaction-log"
            | "account/contract-transaction-log"
            | "account/instruments-info"
            | "account/query-dcp-info"
            | "account/mmp-state"
            | "account/smp-group"
            | "account/user-setting-config"
            | "account/option-asset-info"
            | "asset/coin-greeks"
            | "asset/coin/query-info"
            | "asset/transfer/query-asset-info"
            | "asset/transfer/query-account-coin-balance"
            | "asset/transfer/query-account-coins-balance"
            | "asset/delivery-record"
            | "asset/settlement-record"
            | "asset/exchange/order-record"
            | "user/query-api"
            | "user/get-member-type"
            | "spot-margin-trade/state"
            | "spot-margin-trade/data"
            | "spot-margin-trade/interest-rate-history"
            | "spot-margin-trade/coinstate"
            | "spot-margin-trade/max-borrowable"
            | "spot-margin-trade/position-tiers"
            | "pre-upgrade/order/history"
            | "pre-upgrade/execution/list"
            | "pre-upgrade/position/closed-pnl"
            | "pre-upgrade/account/transaction-log"
    )
}

/// Whether anyone may ask this without a key: market data, which changes nothing.
pub(crate) fn is_public(path: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    path.strip_prefix("/v5/market/").is_some_and(plain)
        || matches!(
            path,
            "/v5/announcements/index"
                | "/v5/system/status"
                | "/v5/spot-margin-trade/data"
                | "/v5/spot-margin-trade/collateral"
                | "/v5/market/new-delivery-price"
        )
}
