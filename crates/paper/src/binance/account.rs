//! Balances, positions, fills and settings of spot and USD-M futures.

use serde_json::{Value, json};
use trading::{Decimal, Market};

use super::orders::failure;
use super::params::{Failure, Params};
use super::public::{instrument, text};
use super::render::side;
use crate::auth::Key;
use crate::exchange::{Command, Exchange, Fill, MAX_LEVERAGE, Reject};
use crate::num::{self, Round};
use crate::state::Front;

/// What futures are settled in.
const SETTLE: &str = "USDT";

/// `GET /api/v3/account`.
pub(crate) fn spot(front: &Front, key: &Key, params: &Params, now_ms: u64) -> Value {
    let exchange = front.exchange();
    let fee = text(Market::Spot, exchange.rules().spot_fee);
    let omit_zero = params.flag("omitZeroBalances");
    let wallets = exchange.account(key.account).wallets.iter();
    let balances: Vec<Value> = wallets
        .filter(|((market, _), balance)| {
            *market == Market::Spot && !(omit_zero && balance.free.is_zero() && balance.locked.is_zero())
        })
        .map(|((_, asset), balance)| {
            json!({
                "asset": asset, "free": text(Market::Spot, balance.free), "locked": text(Market::Spot, balance.locked),
            })
        })
        .collect();
    json!({
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": { "maker": fee, "taker": fee, "buyer": "0.00000000", "seller": "0.00000000" },
        "canTrade": key.permissions().trade, "canWithdraw": key.permissions().withdraw, "canDeposit": true,
        "brokered": false, "requireSelfTradePrevention": false, "preventSor": false, "updateTime": now_ms,
        "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"], "uid": 1_000 + key.account,
    })
}

/// `GET /sapi/v1/account/apiRestrictions`.
pub(crate) fn restrictions(key: &Key) -> Value {
    json!({
        "ipRestrict": key.ips().is_some(), "createTime": 1_700_000_000_000_u64,
        "enableReading": key.permissions().read, "enableSpotAndMarginTrading": key.permissions().trade,
        "enableWithdrawals": key.permissions().withdraw, "enableInternalTransfer": key.permissions().transfer,
        "permitsUniversalTransfer": key.permissions().transfer, "enableVanillaOptions": false, "enableMargin": false,
        "enableFutures": key.permissions().trade, "enablePortfolioMarginTrading": false, "enableFixApiTrade": false,
        "enableFixReadOnly": false,
    })
}

/// `GET /sapi/v1/capital/config/getall`.
pub(crate) fn coins(front: &Front, key: &Key) -> Value {
    let exchange = front.exchange();
    let account = exchange.account(key.account);
    let mut assets: Vec<&str> =
        exchange.listings().iter().flat_map(|listing| [&*listing.spec.base, &*listing.spec.quote]).collect();
    assets.sort_unstable();
    assets.dedup();
    let coin = |asset: &&str| {
        let balance = account.balance(Market::Spot, asset);
        json!({
            "coin": asset, "depositAllEnable": false, "withdrawAllEnable": false, "name": asset,
            "free": balance.free, "locked": balance.locked, "freeze": "0", "withdrawing": "0", "ipoing": "0",
            "ipoable": "0", "storage": "0", "isLegalMoney": false, "trading": true, "networkList": [],
        })
    };
    assets.iter().map(coin).collect()
}

/// `GET /sapi/v1/asset/tradeFee`.
pub(crate) fn trade_fees(front: &Front, params: &Params) -> Value {
    let exchange = front.exchange();
    let fee = exchange.rules().spot_fee;
    let listed = exchange.listings().iter().filter(|listing| {
        listing.spec.market == Market::Spot
            && params.get("symbol").is_none_or(|symbol| symbol == listing.spec.symbol)
    });
    listed.map(|listing| json!({ "symbol": listing.spec.symbol, "makerCommission": fee, "takerCommission": fee })).collect()
}

/// `GET myTrades` and `GET userTrades`.
pub(crate) fn fills(front: &Front, key: &Key, market: Market, params: &Params) -> Result<Value, Failure> {
    let exchange = front.exchange();
    let wanted = match params.get("symbol") {
        None if market == Market::Linear => None,
        _ => Some(instrument(&exchange, market, params)?),
    };
    let (from, to) =
        (params.integer("startTime")?.unwrap_or(0), params.integer("endTime")?.unwrap_or(u64::MAX));
    let (order, from_id) = (params.integer("orderId")?, params.integer("fromId")?.unwrap_or(0));
    let chosen = exchange.account(key.account).fills.iter().rev().filter(|fill| {
        wanted.map_or(exchange.listings()[fill.instrument].spec.market == market, |wanted| {
            fill.instrument == wanted
        }) && (from..=to).contains(&fill.time_ms)
            && order.is_none_or(|order| fill.order_id == order)
            && fill.trade_id >= from_id
    });
    let mut newest: Vec<Value> =
        chosen.take(params.limit(500, 1_000)?).map(|fill| render_fill(&exchange, market, fill)).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

fn render_fill(exchange: &Exchange, market: Market, fill: &Fill) -> Value {
    let text = |value| text(market, value);
    let buyer = fill.side == trading::Side::Buy;
    let mut row = json!({
        "symbol": exchange.listings()[fill.instrument].spec.symbol, "id": fill.trade_id, "orderId": fill.order_id,
        "price": text(fill.price), "qty": text(fill.quantity), "quoteQty": text(fill.value),
        "commission": text(fill.fee), "commissionAsset": fill.fee_asset, "time": fill.time_ms,
    });
    let rest = if market == Market::Spot {
        json!({ "orderListId": -1, "isBuyer": buyer, "isMaker": fill.maker, "isBestMatch": true })
    } else {
        json!({
            "side": side(fill.side), "realizedPnl": fill.realised, "positionSide": "BOTH",
            "buyer": buyer, "maker": fill.maker,
        })
    };
    if let (Some(row), Value::Object(rest)) = (row.as_object_mut(), rest) {
        row.extend(rest);
    }
    row
}

/// Wallet, unrealised profit, margin used and margin left, in that order.
struct Margin {
    wallet: Decimal,
    unrealised: Decimal,
    equity: Decimal,
    used: Decimal,
    available: Decimal,
}

fn margin(exchange: &Exchange, account: usize) -> Margin {
    let wallet = exchange.account(account).balance(Market::Linear, SETTLE).free;
    let equity = exchange.equity(account, SETTLE);
    let used = exchange.margin_used(account, SETTLE);
    let available = num::sub(equity, used).max(Decimal::ZERO);
    Margin { wallet, unrealised: num::sub(equity, wallet), equity, used, available }
}

/// `GET /fapi/v2/balance` and `v3`.
pub(crate) fn futures_balance(front: &Front, key: &Key, now_ms: u64) -> Value {
    let exchange = front.exchange();
    let margin = margin(&exchange, key.account);
    json!([{
        "accountAlias": "paper", "asset": SETTLE, "balance": margin.wallet, "crossWalletBalance": margin.wallet,
        "crossUnPnl": margin.unrealised, "availableBalance": margin.available, "maxWithdrawAmount": margin.available,
        "marginAvailable": true, "updateTime": now_ms,
    }])
}

/// `GET /fapi/v2/account` and `v3`.
pub(crate) fn futures_account(front: &Front, key: &Key, now_ms: u64) -> Value {
    let exchange = front.exchange();
    let margin = margin(&exchange, key.account);
    let zero = Decimal::ZERO;
    let mut positions = Vec::new();
    for (instrument, listing) in exchange.listings().iter().enumerate() {
        if listing.spec.market == Market::Linear {
            let position = exchange.position(key.account, instrument);
            positions.push(json!({
                "symbol": listing.spec.symbol, "positionSide": "BOTH", "positionAmt": position.quantity,
                "unrealizedProfit": exchange.unrealised(instrument, &position), "isolatedMargin": "0", "isolated": false,
                "notional": num::mul(position.quantity, listing.mark()), "isolatedWallet": "0",
                "initialMargin": exchange.margin_of(key.account, instrument, None), "maintMargin": "0",
                "positionInitialMargin": exchange.margin_of(key.account, instrument, None),
                "openOrderInitialMargin": "0", "entryPrice": position.entry_price(),
                "leverage": exchange.leverage(key.account, instrument).to_string(), "maxNotional": "100000000",
                "bidNotional": "0", "askNotional": "0", "updateTime": position.updated_ms,
            }));
        }
    }
    json!({
        "feeTier": 0, "canTrade": key.permissions().trade, "canDeposit": true, "canWithdraw": key.permissions().withdraw,
        "updateTime": 0, "multiAssetsMargin": false, "tradeGroupId": -1,
        "totalInitialMargin": margin.used, "totalMaintMargin": zero, "totalWalletBalance": margin.wallet,
        "totalUnrealizedProfit": margin.unrealised, "totalMarginBalance": margin.equity,
        "totalPositionInitialMargin": margin.used, "totalOpenOrderInitialMargin": zero,
        "totalCrossWalletBalance": margin.wallet, "totalCrossUnPnl": margin.unrealised,
        "availableBalance": margin.available, "maxWithdrawAmount": margin.available,
        "assets": [{
            "asset": SETTLE, "walletBalance": margin.wallet, "unrealizedProfit": margin.unrealised,
            "marginBalance": margin.equity, "maintMargin": zero, "initialMargin": margin.used,
            "positionInitialMargin": margin.used, "openOrderInitialMargin": zero,
            "crossWalletBalance": margin.wallet, "crossUnPnl": margin.unrealised,
            "availableBalance": margin.available, "maxWithdrawAmount": margin.available,
            "marginAvailable": true, "updateTime": now_ms,
        }],
        "positions": positions,
    })
}

/// `GET /fapi/v2/positionRisk` and `v3`; version 3 leaves flat positions out.
pub(crate) fn position_risk(
    front: &Front,
    key: &Key,
    params: &Params,
    open_only: bool,
) -> Result<Value, Failure> {
    let exchange = front.exchange();
    let wanted = params.get("symbol").map(|_| instrument(&exchange, Market::Linear, params)).transpose()?;
    let mut rows = Vec::new();
    for (at, listing) in exchange.listings().iter().enumerate() {
        let position = exchange.position(key.account, at);
        let skipped = listing.spec.market != Market::Linear
            || wanted.is_some_and(|wanted| wanted != at)
            || (open_only && position.quantity.is_zero());
        if skipped {
            continue;
        }
        let notional = num::mul(position.quantity, listing.mark());
        let initial = exchange.margin_of(key.account, at, None);
        rows.push(json!({
            "symbol": listing.spec.symbol, "positionSide": "BOTH", "positionAmt": position.quantity,
            "entryPrice": position.entry_price(), "breakEvenPrice": position.entry_price(),
            "markPrice": listing.mark(), "unRealizedProfit": exchange.unrealised(at, &position),
            "liquidationPrice": "0", "isolatedMargin": "0", "notional": notional, "marginAsset": SETTLE,
            "isolatedWallet": "0", "initialMargin": initial,
            "maintMargin": num::divide(num::absolute(notional), Decimal::from_integer(250), 8, Round::Up),
            "positionInitialMargin": initial, "openOrderInitialMargin": "0", "adl": 0, "bidNotional": "0",
            "askNotional": "0", "leverage": exchange.leverage(key.account, at).to_string(), "marginType": "cross",
            "isAutoAddMargin": "false", "maxNotionalValue": "100000000", "updateTime": position.updated_ms,
        }));
    }
    Ok(Value::Array(rows))
}

/// `POST /fapi/v1/leverage`.
pub(crate) fn set_leverage(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let instrument = instrument(&front.exchange(), Market::Linear, params)?;
    params.require("leverage")?;
    let wanted = params.integer("leverage")?.unwrap_or(0);
    let leverage = u32::try_from(wanted).map_err(|_| failure(Market::Linear, Reject::Leverage))?;
    front
        .apply(Command::SetLeverage { account: key.account, instrument, leverage })
        .map_err(|reject| failure(Market::Linear, reject))?;
    Ok(json!({ "leverage": leverage, "maxNotionalValue": "100000000", "symbol": params.get("symbol") }))
}

/// `GET /fapi/v1/leverageBracket`.
pub(crate) fn brackets(front: &Front, params: &Params) -> Value {
    let exchange = front.exchange();
    let listed = exchange.listings().iter().filter(|listing| {
        listing.spec.market == Market::Linear
            && params.get("symbol").is_none_or(|symbol| symbol == listing.spec.symbol)
    });
    listed
        .map(|listing| {
            json!({
                "symbol": listing.spec.symbol, "notionalCoef": 1,
                "brackets": [{
                    "bracket": 1, "initialLeverage": MAX_LEVERAGE, "notionalCap": 100_000_000, "notionalFloor": 0,
                    "maintMarginRatio": Value::Number("0.004".parse().expect("a number")), "cum": 0,
                }],
            })
        })
        .collect()
}

/// `GET /fapi/v1/commissionRate`.
pub(crate) fn commission(front: &Front, params: &Params) -> Result<Value, Failure> {
    let exchange = front.exchange();
    instrument(&exchange, Market::Linear, params)?;
    let rules = exchange.rules();
    Ok(json!({
        "symbol": params.get("symbol"), "makerCommissionRate": rules.maker_fee, "takerCommissionRate": rules.taker_fee,
    }))
}
