//! Endpoints that are known and never signed: they move money or change who may, or do more than one
//! order's worth of something that the policy cannot judge.
//!
//! Nothing needs this list to be refused: what is not in a venue's own table of endpoints is refused
//! whatever it is. It tells apart a refusal on purpose from a request that is not understood, which is
//! a fault of ours.
//!
//! Sources: developers.binance.com (Spot, Wallet, Margin, Sub-account, Derivatives) and
//! bybit-exchange.github.io/docs/v5, both read in November 2026.

use trading::Venue;

/// Whether `path` is an endpoint that is refused by name. Entries end at a segment.
#[must_use]
pub fn is_withheld(venue: Venue, path: &str) -> bool {
    let list = match venue {
        Venue::Binance => BINANCE,
        Venue::Bybit => BYBIT,
    };
    list.iter()
        .any(|entry| path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

const BINANCE: &[&str] = &[
    // Order lists: several orders that depend on each other.
    "/api/v3/order/oco",
    "/api/v3/orderList/oco",
    "/api/v3/orderList/opo",
    "/api/v3/orderList/opoco",
    "/api/v3/orderList/oto",
    "/api/v3/orderList/otoco",
    "/api/v3/orderList",
    // Deposits, withdrawals, transfers, conversions, accounts and their keys.
    "/wapi/v3",
    "/sapi/v1/account",
    "/sapi/v2/account",
    "/sapi/v1/accountSnapshot",
    "/sapi/v1/apiReferral",
    "/sapi/v1/asset",
    "/sapi/v2/asset",
    "/sapi/v3/asset",
    "/sapi/v1/bnbBurn",
    "/sapi/v1/broker",
    "/sapi/v2/broker",
    "/sapi/v3/broker",
    "/sapi/v1/c2c",
    "/sapi/v1/capital",
    "/sapi/v1/convert",
    "/sapi/v1/fiat",
    "/sapi/v1/giftcard",
    "/sapi/v1/localentity",
    "/sapi/v2/localentity",
    "/sapi/v1/managed-subaccount",
    "/sapi/v1/pay",
    "/sapi/v1/rebate",
    "/sapi/v1/spot",
    "/sapi/v1/sub-account",
    "/sapi/v2/sub-account",
    "/sapi/v3/sub-account",
    "/sapi/v4/sub-account",
    // Lending, staking, borrowing.
    "/sapi/v1/blvt",
    "/sapi/v1/bswap",
    "/sapi/v1/dci",
    "/sapi/v1/eth-staking",
    "/sapi/v2/eth-staking",
    "/sapi/v1/futures",
    "/sapi/v2/futures",
    "/sapi/v1/lending",
    "/sapi/v1/loan",
    "/sapi/v2/loan",
    "/sapi/v1/margin/borrow-repay",
    "/sapi/v1/margin/isolated",
    "/sapi/v1/margin/loan",
    "/sapi/v1/margin/manual-liquidation",
    "/sapi/v1/margin/max-leverage",
    "/sapi/v1/margin/maxTransferable",
    "/sapi/v1/margin/order/oco",
    "/sapi/v1/margin/order/oto",
    "/sapi/v1/margin/order/otoco",
    "/sapi/v1/margin/orderList",
    "/sapi/v1/margin/repay",
    "/sapi/v1/margin/transfer",
    "/sapi/v1/mining",
    "/sapi/v1/portfolio",
    "/sapi/v2/portfolio",
    "/sapi/v1/simple-earn",
    "/sapi/v1/sol-staking",
    "/sapi/v1/staking",
    // Orders that go on by themselves.
    "/sapi/v1/algo",
    // Margin of a position, fees, conversions.
    "/fapi/v1/positionMargin",
    "/fapi/v1/feeBurn",
    "/fapi/v1/convert",
    "/fapi/v1/apiReferral",
    "/dapi/v1/positionMargin",
    // Products that are not traded here.
    "/eapi/v1",
    "/papi/v1",
    "/papi/v2",
];

const BYBIT: &[&str] = &[
    // Deposits, withdrawals, transfers, conversions.
    "/asset/v3/private",
    "/v5/asset/convert",
    "/v5/asset/convert-small-balance",
    "/v5/asset/deposit",
    "/v5/asset/exchange",
    "/v5/asset/fundinghistory",
    "/v5/asset/transfer",
    "/v5/asset/withdraw",
    "/v5/account/withdrawal",
    // Sub-accounts and keys.
    "/user/v3/private",
    "/v5/affiliate",
    "/v5/broker",
    "/v5/user",
    // Loans, lending, earning.
    "/v5/account/borrow",
    "/v5/account/no-convert-repay",
    "/v5/account/quick-repayment",
    "/v5/account/repay",
    "/v5/crypto-loan",
    "/v5/crypto-loan-common",
    "/v5/crypto-loan-fixed",
    "/v5/crypto-loan-flexible",
    "/v5/earn",
    "/v5/ins-loan",
    "/v5/lending",
    "/v5/spot-cross-margin-trade",
    "/v5/spot-lever-token",
    "/v5/spot-margin-trade",
    // The account's own settings.
    "/v5/account/mmp-modify",
    "/v5/account/mmp-reset",
    "/v5/account/set-collateral-switch",
    "/v5/account/set-collateral-switch-batch",
    "/v5/account/set-limit-px-action",
    "/v5/account/upgrade-to-uta",
    // Positions: margin, stops and moves that no order's limits judge.
    "/v5/position/add-margin",
    "/v5/position/confirm-pending-mmr",
    "/v5/position/move-positions",
    "/v5/position/set-auto-add-margin",
    "/v5/position/set-risk-limit",
    "/v5/position/switch-isolated",
    "/v5/position/trading-stop",
    // Deals between parties.
    "/v5/p2p",
    "/v5/rfq",
    "/v5/spread",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_money_is_known_by_name_and_what_is_unknown_is_not() {
        for path in [
            "/api/v3/order/oco",
            "/api/v3/orderList/otoco",
            "/sapi/v1/asset/transfer",
            "/sapi/v1/capital/withdraw/apply",
            "/sapi/v1/sub-account/virtualSubAccount",
            "/sapi/v1/margin/borrow-repay",
            "/fapi/v1/positionMargin",
        ] {
            assert!(is_withheld(Venue::Binance, path), "{path}");
        }
        for path in [
            "/v5/asset/transfer/inter-transfer",
            "/v5/asset/withdraw/create",
            "/v5/position/trading-stop",
            "/v5/user/create-sub-api",
        ] {
            assert!(is_withheld(Venue::Bybit, path), "{path}");
        }
        for path in [
            "/api/v3/orderz",
            "/api/v3/order",
            "/api/v3/nosuch",
            "/api/v3/order/ocoz",
            "/v5/asset/transfer",
            "",
            "/",
        ] {
            assert!(!is_withheld(Venue::Binance, path), "{path}");
        }
        for path in ["/v5/order/creates", "/v5/order", "/v5/userx", "/v5/asset", "/api/v3/order/oco"] {
            assert!(!is_withheld(Venue::Bybit, path), "{path}");
        }
    }
}
