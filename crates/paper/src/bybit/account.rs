//! `/v5/account`, `/v5/position`, `/v5/user`, `/v5/asset`.

use serde_json::{Value, json};
use trading::{Decimal, Market};

use super::market::{chosen, list};
use super::request::{Failure, Fields, failure};
use crate::auth::Key;
use crate::exchange::{Command, Exchange, Position};
use crate::num::{self, Round};
use crate::state::Front;

/// What linear instruments settle in, and what equity is counted in.
const SETTLE: &str = "USDT";

/// One unit of a currency in USDT, at the mark.
fn worth(exchange: &Exchange, asset: &str) -> Decimal {
    if asset == SETTLE {
        return Decimal::ONE;
    }
    let spot = exchange
        .listings()
        .iter()
        .find(|listing| listing.spec.market == Market::Spot && listing.spec.base == asset);
    spot.map_or(Decimal::ZERO, crate::exchange::Listing::mark)
}

/// `account/wallet-balance`, of all coins or of those in `coin`.
pub(crate) fn wallet(exchange: &Exchange, account: usize, coins: Option<&str>) -> Value {
    let used = exchange.margin_used(account, SETTLE);
    let mut total = Decimal::ZERO;
    let mut wallet_total = Decimal::ZERO;
    let mut rows = Vec::new();
    for ((_, asset), balance) in &exchange.account(account).wallets {
        let amount = num::add(balance.free, balance.locked);
        let equity = if asset == SETTLE { exchange.equity(account, SETTLE) } else { amount };
        let price = worth(exchange, asset);
        let value = num::round(num::mul(equity, price), 8, Round::Down);
        total = num::add(total, value);
        wallet_total = num::add(wallet_total, num::round(num::mul(amount, price), 8, Round::Down));
        let margin = if asset == SETTLE { used } else { Decimal::ZERO };
        let realised =
            exchange.account(account).positions.iter().fold(Decimal::ZERO, |sum, (at, position)| {
                if exchange.listings()[*at].spec.quote == *asset {
                    num::add(sum, position.realised)
                } else {
                    sum
                }
            });
        if coins.is_some_and(|coins| !coins.split(',').any(|coin| coin == asset)) {
            continue;
        }
        rows.push(json!({
            "coin": asset, "equity": equity, "usdValue": value, "walletBalance": amount, "free": balance.free,
            "locked": balance.locked, "spotHedgingQty": "0", "borrowAmount": "0", "availableToWithdraw": "",
            "accruedInterest": "0", "totalOrderIM": "0", "totalPositionIM": margin, "totalPositionMM": "0",
            "unrealisedPnl": num::sub(equity, amount), "cumRealisedPnl": realised, "bonus": exchange.account(account).bonus.get(asset).copied().unwrap_or_default(),
            "marginCollateral": true, "collateralSwitch": true, "availableToBorrow": "",
        }));
    }
    json!({
        "accountType": "UNIFIED", "accountIMRate": "0", "accountMMRate": "0", "accountLTV": "0",
        "totalEquity": total, "totalWalletBalance": wallet_total, "totalMarginBalance": total,
        "totalAvailableBalance": num::sub(total, used).max(Decimal::ZERO), "totalPerpUPL": num::sub(total, wallet_total),
        "totalInitialMargin": used, "totalMaintenanceMargin": "0", "coin": rows,
    })
}

pub(crate) fn wallet_balance(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    if fields.require("accountType")? != "UNIFIED" {
        return Err(Failure::new(10_001, "accountType only support UNIFIED."));
    }
    let coins = fields.get("coin");
    Ok(json!({ "list": [wallet(&front.exchange(), key.account, coins.as_deref())] }))
}

pub(crate) fn info() -> Value {
    json!({
        "unifiedMarginStatus": 5, "marginMode": "REGULAR_MARGIN", "isMasterTrader": false, "spotHedgingStatus": "OFF",
        "dcpStatus": "OFF", "timeWindow": 10, "smpGroup": 0, "updatedTime": "1700000000000",
    })
}

pub(crate) fn fee_rate(front: &Front, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let exchange = front.exchange();
    let rules = exchange.rules();
    let rows = chosen(&exchange, market, fields)?.into_iter().map(|at| {
        let spec = &exchange.listings()[at].spec;
        json!({
            "symbol": spec.symbol, "baseCoin": spec.base, "makerFeeRate": rules.fee(market, true),
            "takerFeeRate": rules.fee(market, false),
        })
    });
    Ok(list(market, rows))
}

/// A position as REST and streams show it.
pub(crate) fn position(exchange: &Exchange, account: usize, instrument: usize, held: &Position) -> Value {
    let listing = &exchange.listings()[instrument];
    let side = match held.quantity {
        quantity if quantity.is_positive() => "Buy",
        quantity if quantity.is_negative() => "Sell",
        _ => "",
    };
    let size = num::absolute(held.quantity);
    let value = num::mul(size, listing.mark());
    json!({
        "positionIdx": 0, "riskId": 1, "riskLimitValue": "100000000", "symbol": listing.spec.symbol, "side": side,
        "size": size, "avgPrice": held.entry_price(), "entryPrice": held.entry_price(), "positionValue": held.cost,
        "tradeMode": 0, "autoAddMargin": 0, "positionStatus": "Normal",
        "leverage": exchange.leverage(account, instrument).to_string(), "markPrice": listing.mark(), "liqPrice": "",
        "bustPrice": "", "positionIM": exchange.margin_of(account, instrument, None),
        "positionMM": num::divide(value, Decimal::from_integer(200), 8, Round::Up), "positionBalance": "0",
        "tpslMode": "Full", "takeProfit": "", "stopLoss": "", "trailingStop": "0", "sessionAvgPrice": "",
        "unrealisedPnl": exchange.unrealised(instrument, held), "curRealisedPnl": held.realised,
        "cumRealisedPnl": held.realised, "adlRankIndicator": 0, "isReduceOnly": false, "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "", "createdTime": held.updated_ms.to_string(),
        "updatedTime": held.updated_ms.to_string(), "seq": held.updated_ms,
    })
}

pub(crate) fn positions(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    if market != Market::Linear {
        return Ok(list(market, Vec::new()));
    }
    let named = fields.get("symbol").is_some();
    if !named && fields.get("settleCoin").is_none() {
        return Err(Failure::new(10_001, "params error: symbol or settleCoin required"));
    }
    let exchange = front.exchange();
    let mut rows = Vec::new();
    for instrument in chosen(&exchange, market, fields)? {
        let held = exchange.position(key.account, instrument);
        if named || !held.quantity.is_zero() {
            rows.push(position(&exchange, key.account, instrument, &held));
        }
    }
    Ok(list(market, rows))
}

pub(crate) fn set_leverage(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let market = fields.market()?;
    let instrument = super::market::instrument(&front.exchange(), market, fields)?;
    let whole = |name: &str| -> Result<u32, Failure> {
        fields.require(name)?;
        let value = fields.decimal(name)?.filter(|value| value.scale() == 0);
        value.and_then(|value| u32::try_from(value.mantissa()).ok()).ok_or_else(|| Failure::param(name))
    };
    let (buy, sell) = (whole("buyLeverage")?, whole("sellLeverage")?);
    if buy != sell {
        return Err(Failure::new(10_001, "buy leverage must equal sell leverage in one-way mode"));
    }
    if front.exchange().leverage(key.account, instrument) == buy {
        return Err(Failure::new(110_043, "leverage not modified"));
    }
    front
        .apply(Command::SetLeverage { account: key.account, instrument, leverage: buy })
        .map_err(|reject| failure(market, reject))?;
    Ok(json!({}))
}

/// `user/query-api`: what the key may do, in Bybit's words.
pub(crate) fn key_info(front: &Front, key: &Key) -> Value {
    let exchange = front.exchange();
    let master = crate::family::master_of(&exchange, key.account);
    let permissions = key.permissions();
    let when = |granted: bool, names: &[&str]| if granted { json!(names) } else { json!([]) };
    let mut wallet: Vec<&str> = Vec::new();
    if permissions.transfer {
        wallet.extend(["AccountTransfer", "SubMemberTransfer"]);
    }
    if permissions.withdraw {
        wallet.push("Withdraw");
    }
    json!({
        "id": "1", "note": "paper", "apiKey": key.api_key, "readOnly": u8::from(!(permissions.trade || permissions.transfer || permissions.withdraw)), "secret": "",
        "permissions": {
            "ContractTrade": when(permissions.trade, &["Order", "Position"]),
            "Spot": when(permissions.trade, &["SpotTrade"]), "Wallet": wallet,
            "Options": [], "Derivatives": when(permissions.trade, &["DerivativesTrade"]), "CopyTrading": [],
            "BlockTrade": [], "Exchange": [], "NFT": [], "Affiliate": [], "Earn": [],
        },
        "ips": key.ips().as_ref().map_or(json!(["*"]), |ips| json!(ips)), "type": 1, "deadlineDay": 365,
        "expiredAt": "2099-01-01T00:00:00Z", "createdAt": "2024-01-01T00:00:00Z", "unified": 0, "uta": 1,
        "userID": 1_000 + key.account, "inviterID": 0, "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0,
        "rsaPublicKey": "", "isMaster": master.is_none(),
        "parentUid": master.map_or(0, crate::family::uid).to_string(), "kycLevel": "LEVEL_DEFAULT", "kycRegion": "",
    })
}

/// `asset/coin/query-info`.
pub(crate) fn coins(front: &Front) -> Value {
    let exchange = front.exchange();
    let mut assets: Vec<&str> =
        exchange.listings().iter().flat_map(|listing| [&*listing.spec.base, &*listing.spec.quote]).collect();
    assets.sort_unstable();
    assets.dedup();
    let rows: Vec<Value> = assets
        .into_iter()
        .map(|asset| json!({ "name": asset, "coin": asset, "remainAmount": "0", "chains": [] }))
        .collect();
    json!({ "rows": rows })
}
