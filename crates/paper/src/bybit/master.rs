//! What a master account and its watchers ask: keys, sub-accounts, transfers, the transaction log, and the
//! disconnect protection.

use serde_json::{Value, json};
use trading::{Decimal, Market};

use super::request::{Failure, Fields};
use crate::auth::Key;
use crate::exchange::{Entry, EntryKind, Exchange, Reject};
use crate::family;
use crate::state::{Front, Protection, TransferRecord, lock};

/// One page of `rows`, which begin where `cursor` says, and the cursor of the next.
pub(crate) fn page(
    fields: &Fields,
    mut rows: impl Iterator<Item = Value>,
    default: u64,
    most: u64,
) -> Result<(Vec<Value>, String), Failure> {
    let limit = fields.limit(default, most)?;
    let from = match fields.get("cursor") {
        None => 0,
        Some(cursor) => {
            let from = cursor.strip_prefix("at:").and_then(|text| text.parse::<usize>().ok());
            from.ok_or_else(|| Failure::param("cursor"))?
        }
    };
    let chosen: Vec<Value> = rows.by_ref().skip(from).take(limit).collect();
    // Escaped as Bybit's own cursors are.
    let next = if rows.next().is_some() { format!("at%3A{}", from + chosen.len()) } else { String::new() };
    Ok((chosen, next))
}

const WEEK_MS: u64 = 7 * 24 * 3_600_000;

/// The time asked for, as the histories take it.
fn span(fields: &Fields, now: u64, default_ms: u64) -> Result<std::ops::RangeInclusive<u64>, Failure> {
    let (from, to) = match (fields.integer("startTime")?, fields.integer("endTime")?) {
        (None, None) => (now.saturating_sub(default_ms), now),
        (Some(from), None) => (from, from.saturating_add(default_ms)),
        (None, Some(to)) => (to.saturating_sub(default_ms), to),
        (Some(from), Some(to)) => (from, to),
    };
    if from > to || to - from > WEEK_MS {
        return Err(Failure::new(10_001, "params error: the time range must be within 7 days"));
    }
    Ok(from..=to)
}

fn entry_type(entry: &Entry) -> &'static str {
    match (entry.kind, entry.change.is_negative()) {
        (EntryKind::Transfer | EntryKind::Deposit | EntryKind::Withdrawal, false) => "TRANSFER_IN",
        (EntryKind::Transfer | EntryKind::Deposit | EntryKind::Withdrawal, true) => "TRANSFER_OUT",
        (EntryKind::Airdrop, _) => "AIRDROP",
        (EntryKind::Bonus, false) => "BONUS",
        (EntryKind::Bonus, true) => "BONUS_RECOLLECT",
        (EntryKind::Trade, _) => "TRADE",
    }
}

fn render(exchange: &Exchange, entry: &Entry) -> Value {
    let instrument = entry.instrument.map(|at| &exchange.listings()[at].spec);
    let linear = instrument.is_some_and(|spec| spec.market == Market::Linear);
    let cash_flow = crate::num::add(entry.change, entry.fee);
    let bonus = if entry.kind == EntryKind::Bonus { entry.change.to_string() } else { String::new() };
    json!({
        "id": format!("paper_{}_{}", entry.asset, entry.id), "symbol": instrument.map_or("", |spec| &spec.symbol),
        "category": if linear { "linear" } else { "spot" }, "side": "None",
        "transactionTime": entry.time_ms.to_string(), "type": entry_type(entry), "transSubType": "", "qty": "0",
        "size": "0", "currency": entry.asset, "tradePrice": "0", "funding": "", "fee": entry.fee,
        "cashFlow": cash_flow, "change": entry.change, "cashBalance": entry.balance, "feeRate": "0",
        "bonusChange": bonus, "tradeId": "", "orderId": "", "orderLinkId": "", "extraFees": "",
    })
}

/// `account/transaction-log`, newest first.
pub(crate) fn transaction_log(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    if fields.get("accountType").is_some_and(|kind| kind != "UNIFIED") {
        return Err(Failure::new(10_001, "accountType only support UNIFIED."));
    }
    let span = span(fields, front.now_ms(), 24 * 3_600_000)?;
    let (currency, kind) = (fields.get("currency"), fields.get("type"));
    let exchange = front.exchange();
    let rows = exchange.account(key.account).ledger.iter().rev().filter(|entry| {
        span.contains(&entry.time_ms)
            && currency.as_ref().is_none_or(|wanted| *wanted == entry.asset)
            && kind.as_ref().is_none_or(|wanted| wanted == entry_type(entry))
    });
    let (list, next) = page(fields, rows.map(|entry| render(&exchange, entry)), 20, 50)?;
    Ok(json!({ "list": list, "nextPageCursor": next }))
}

/// The sub-account that a master's key names, or a refusal.
fn sub_of(front: &Front, key: &Key, uid: u64) -> Result<usize, Failure> {
    let account = family::by_uid(&front.exchange(), uid);
    account
        .filter(|account| family::is_sub(front, key.account, *account))
        .ok_or_else(|| Failure::new(10_001, "params error: not a sub account of yours"))
}

/// The key that is meant: the one named, which belongs to a sub-account, or the very one that asks.
fn sub_key<'a>(front: &'a Front, key: &'a Key, fields: &Fields) -> Result<&'a Key, Failure> {
    let is_master = family::master_of(&front.exchange(), key.account).is_none();
    match (fields.get("apikey"), is_master) {
        (None, false) => Ok(key),
        (None, true) => Err(Failure::param("apikey")),
        (Some(_), false) => Err(Failure::new(10_001, "params error: a sub key manages itself only")),
        (Some(name), true) => {
            let known =
                front.keys.get(&name).filter(|known| family::is_sub(front, key.account, known.account));
            known.ok_or_else(|| Failure::new(10_001, "params error: no such api key"))
        }
    }
}

/// `user/delete-sub-api`.
pub(crate) fn delete_sub_key(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    sub_key(front, key, fields)?.delete();
    Ok(json!({}))
}

/// `user/delete-api`: the master's own key.
pub(crate) fn delete_own_key(front: &Front, key: &Key, _fields: &Fields) -> Result<Value, Failure> {
    if family::master_of(&front.exchange(), key.account).is_some() {
        return Err(Failure::new(10_005, "Permission denied, please check your API key permissions."));
    }
    key.delete();
    Ok(json!({}))
}

/// `user/update-sub-api`: read-only, or bound to addresses.
pub(crate) fn update_sub_key(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let changed = sub_key(front, key, fields)?;
    match fields.get("readOnly").as_deref() {
        None | Some("0") => {}
        Some("1") => changed.make_read_only(),
        Some(_) => return Err(Failure::param("readOnly")),
    }
    match fields.get("ips").as_deref() {
        None => {}
        Some("*") => changed.bind(None),
        Some(text) => {
            let read: Result<Vec<_>, _> = text.split(',').map(str::parse).collect();
            changed.bind(Some(read.map_err(|_| Failure::param("ips"))?));
        }
    }
    Ok(super::account::key_info(front, changed))
}

/// `user/sub-apikeys`.
pub(crate) fn list_keys(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let uid = fields.require("subMemberId")?.parse().map_err(|_| Failure::param("subMemberId"))?;
    let account = sub_of(front, key, uid)?;
    let rows = front.keys.of(account).map(|key| {
        let mut info = super::account::key_info(front, key);
        let read_only = info["readOnly"] == 1;
        info["readOnly"] = read_only.into();
        info["status"] = 3.into();
        info["flag"] = "hmac".into();
        info
    });
    let (result, next) = page(fields, rows, 20, 20)?;
    Ok(json!({ "result": result, "nextPageCursor": next }))
}

/// `user/frozen-sub-member`.
pub(crate) fn freeze(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let account = sub_of(front, key, fields.integer("subuid")?.ok_or_else(|| Failure::param("subuid"))?)?;
    match fields.integer("frozen")? {
        Some(1) => front.set_frozen(account, true),
        Some(0) => front.set_frozen(account, false),
        _ => return Err(Failure::param("frozen")),
    }
    Ok(json!({}))
}

/// `asset/transfer/universal-transfer`: at once, between accounts of one master.
pub(crate) fn transfer(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let id = fields.require("transferId")?;
    if id.len() != 36 {
        return Err(Failure::new(131_203, "Request parameter error"));
    }
    let amount = fields.decimal("amount")?.filter(|amount| amount.is_positive() && amount.scale() <= 8);
    let amount = amount.filter(|amount| *amount < Decimal::from_integer(1_000_000_000_000));
    let amount = amount.ok_or_else(|| Failure::new(131_210, "Amount accuracy error"))?;
    let (from_wallet, to_wallet) = (fields.require("fromAccountType")?, fields.require("toAccountType")?);
    let member = |name: &str| -> Result<usize, Failure> {
        let uid = fields.integer(name)?.ok_or_else(|| Failure::new(131_202, "Invalid memberId"))?;
        family::by_uid(&front.exchange(), uid).ok_or_else(|| Failure::new(131_202, "Invalid memberId"))
    };
    let (from, to) = (member("fromMemberId")?, member("toMemberId")?);
    {
        let exchange = front.exchange();
        // A sub-account may only give to its master.
        let master = family::master_of(&exchange, key.account);
        let allowed = match master {
            None => [from, to]
                .iter()
                .all(|at| *at == key.account || family::are_related(&exchange, key.account, *at)),
            Some(master) => from == key.account && to == master,
        };
        if !allowed || from == to {
            return Err(Failure::new(131_209, "Get subMember relation error"));
        }
    }
    // The one wallet built here.
    if from_wallet != "UNIFIED" || to_wallet != "UNIFIED" {
        return Err(Failure::new(131_204, "Account info error"));
    }
    let record = TransferRecord {
        id: id.clone(),
        serial: 0,
        from,
        to,
        asset: fields.require("coin")?,
        amount,
        from_wallet,
        to_wallet,
        at_ms: 0,
    };
    match front.transfer(record, (Market::Spot, Market::Spot)) {
        Ok(_) => Ok(json!({ "transferId": id, "status": "SUCCESS" })),
        Err(None) => Err(Failure::new(131_214, "TransferId exist")),
        Err(Some(Reject::Balance)) => Err(Failure::new(131_212, "Insufficient balance")),
        Err(Some(_)) => Err(Failure::new(131_206, "cannot be transfer")),
    }
}

/// `asset/transfer/query-universal-transfer-list`, newest first.
pub(crate) fn transfers(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let id = fields.get("transferId");
    let span = span(fields, front.now_ms(), WEEK_MS)?;
    let known = lock(&front.transfers);
    let rows = known.iter().rev().filter(|record| {
        (record.from == key.account || record.to == key.account)
            && span.contains(&record.at_ms)
            && id.as_ref().is_none_or(|id| *id == record.id)
    });
    let rows = rows.map(|record| {
        json!({
            "transferId": record.id, "coin": record.asset, "amount": record.amount,
            "fromMemberId": family::uid(record.from).to_string(), "toMemberId": family::uid(record.to).to_string(),
            "fromAccountType": record.from_wallet, "toAccountType": record.to_wallet,
            "timestamp": record.at_ms.to_string(), "status": "SUCCESS",
        })
    });
    let (list, next) = page(fields, rows, 20, 50)?;
    Ok(json!({ "list": list, "nextPageCursor": next }))
}

const PRODUCTS: [(&str, Market); 3] =
    [("SPOT", Market::Spot), ("DERIVATIVES", Market::Linear), ("OPTIONS", Market::Option)];

/// `order/disconnected-cancel-all`: sets the time, which counts from when the last private stream with the
/// topic is gone.
pub(crate) fn set_dcp(front: &Front, key: &Key, fields: &Fields) -> Result<Value, Failure> {
    let product = fields.get("product").unwrap_or_else(|| "OPTIONS".to_owned());
    let market = PRODUCTS.iter().find(|(name, _)| *name == product).map(|(_, market)| *market);
    let market = market.ok_or_else(|| Failure::param("product"))?;
    let seconds = fields.integer("timeWindow")?.filter(|seconds| (3..=300).contains(seconds));
    let seconds = seconds.ok_or_else(|| Failure::param("timeWindow"))?;
    let mut all = lock(&front.protections);
    let protection: &mut Protection = all.entry((key.account, market)).or_default();
    protection.window_ms = Some(seconds * 1_000);
    Ok(json!({}))
}

/// `account/query-dcp-info`.
pub(crate) fn dcp_info(front: &Front, key: &Key) -> Value {
    let all = lock(&front.protections);
    let rows = PRODUCTS.iter().filter_map(|(name, market)| {
        let window = all.get(&(key.account, *market))?.window_ms?;
        Some(json!({ "product": name, "dcpStatus": "ON", "timeWindow": (window / 1_000).to_string() }))
    });
    json!({ "dcpInfos": Value::from_iter(rows) })
}
