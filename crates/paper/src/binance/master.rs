//! What a master account and its watchers ask: histories of money, keys of sub-accounts, transfers.

use serde_json::{Value, json};
use trading::{Decimal, Market};

use super::params::{Failure, Params};
use crate::auth::Key;
use crate::exchange::{Entry, EntryKind, Reject};
use crate::family;
use crate::num;
use crate::state::{Front, TransferRecord, lock};

fn span(params: &Params) -> Result<std::ops::RangeInclusive<u64>, Failure> {
    let (from, to) =
        (params.integer("startTime")?.unwrap_or(0), params.integer("endTime")?.unwrap_or(u64::MAX));
    if from > to {
        return Err(Failure::new(-1127, "More than allowed hours between startTime and endTime."));
    }
    Ok(from..=to)
}

/// The account's entries on a market's wallet within the time asked for, oldest first.
fn entries(front: &Front, key: &Key, market: Market, params: &Params) -> Result<Vec<Entry>, Failure> {
    let span = span(params)?;
    let exchange = front.exchange();
    let ledger = exchange.account(key.account).ledger.iter();
    Ok(ledger.filter(|entry| entry.market == market && span.contains(&entry.time_ms)).cloned().collect())
}

/// `GET /fapi/v1/income`, oldest first.
pub(crate) fn income(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let wanted = params.get("incomeType");
    let mut rows = Vec::new();
    for entry in entries(front, key, Market::Linear, params)? {
        let symbol = {
            let exchange = front.exchange();
            entry.instrument.map_or(String::new(), |at| exchange.listings()[at].spec.symbol.clone())
        };
        let row = |kind: &str, amount: Decimal| {
            json!({
                "symbol": symbol, "incomeType": kind, "income": num::fixed(amount, 8), "asset": entry.asset, "info": kind,
                "time": entry.time_ms, "tranId": entry.id, "tradeId": "",
            })
        };
        match entry.kind {
            EntryKind::Trade => {
                let realised = num::add(entry.change, entry.fee);
                if !realised.is_zero() {
                    rows.push(row("REALIZED_PNL", realised));
                }
                rows.push(row("COMMISSION", num::negate(entry.fee)));
            }
            EntryKind::Bonus | EntryKind::Airdrop => rows.push(row("WELCOME_BONUS", entry.change)),
            EntryKind::Transfer | EntryKind::Deposit | EntryKind::Withdrawal => {
                rows.push(row("TRANSFER", entry.change));
            }
        }
    }
    rows.retain(|row| wanted.is_none_or(|wanted| row["incomeType"] == wanted));
    let limit = params.limit(100, 1_000)?;
    let page = usize::try_from(params.integer("page")?.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
    Ok(rows.into_iter().skip((page - 1).saturating_mul(limit)).take(limit).collect())
}

/// One page by `offset` and `limit`, newest first.
fn paged(params: &Params, rows: Vec<Value>) -> Result<Value, Failure> {
    let offset = usize::try_from(params.integer("offset")?.unwrap_or(0)).unwrap_or(usize::MAX);
    Ok(rows.into_iter().rev().skip(offset).take(params.limit(1_000, 1_000)?).collect())
}

/// `GET /sapi/v1/capital/deposit/hisrec`.
pub(crate) fn deposits(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let all = entries(front, key, Market::Spot, params)?;
    let rows = all
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Deposit | EntryKind::Airdrop | EntryKind::Bonus));
    let rows = rows.map(|entry| {
        json!({
            "id": entry.id.to_string(), "amount": entry.change, "coin": entry.asset, "network": "PAPER", "status": 1,
            "address": "paper", "addressTag": "", "txId": format!("paper-{}", entry.id), "insertTime": entry.time_ms,
            "completeTime": entry.time_ms, "transferType": 0, "confirmTimes": "1/1", "unlockConfirm": 0, "walletType": 0,
        })
    });
    paged(params, rows.collect())
}

/// `GET /sapi/v1/capital/withdraw/history`.
pub(crate) fn withdrawals(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let all = entries(front, key, Market::Spot, params)?;
    let rows = all.iter().filter(|entry| entry.kind == EntryKind::Withdrawal);
    let rows = rows.map(|entry| {
        // `2022-12-27T11:12:02.000Z` without its letters and milliseconds.
        let at = trading::Timestamp::from_ms(entry.time_ms).to_string();
        let at = at.get(..19).unwrap_or_default().replace('T', " ");
        json!({
            "id": format!("{:032x}", entry.id), "amount": num::negate(entry.change), "transactionFee": "0",
            "coin": entry.asset, "status": 6, "address": "paper", "txId": "", "applyTime": at, "network": "PAPER",
            "transferType": 0, "info": "", "confirmNo": 3, "walletType": 0, "txKey": "", "completeTime": at,
        })
    });
    paged(params, rows.collect())
}

/// `GET /sapi/v1/asset/transfer`: between wallets of one account, of which none is built here.
pub(crate) fn own_transfers(params: &Params) -> Result<Value, Failure> {
    params.require("type")?;
    Ok(json!({ "total": 0, "rows": [] }))
}

const fn market_of(wallet: &str) -> Option<Market> {
    match wallet.as_bytes() {
        b"SPOT" => Some(Market::Spot),
        b"USDT_FUTURE" => Some(Market::Linear),
        _ => None,
    }
}

/// `GET /sapi/v1/sub-account/transfer/subUserHistory`, of a sub-account.
pub(crate) fn sub_transfers(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    let incoming = params.get("type") == Some("1");
    let span = span(params)?;
    let exchange = front.exchange();
    let known = lock(&front.transfers);
    let rows = known.iter().rev().filter(|record| {
        span.contains(&record.at_ms) && (if incoming { record.to } else { record.from }) == key.account
    });
    let rows = rows.map(|record| {
        let other = if incoming { record.from } else { record.to };
        let is_master = family::master_of(&exchange, key.account) == Some(other);
        json!({
            "counterParty": if is_master { "master" } else { "subAccount" }, "email": family::email(&exchange, other),
            "type": if incoming { 1 } else { 2 }, "asset": record.asset, "qty": record.amount,
            "fromAccountType": record.from_wallet, "toAccountType": record.to_wallet, "status": "SUCCESS",
            "tranId": record.serial, "time": record.at_ms,
        })
    });
    Ok(rows.take(params.limit(500, 500)?).collect())
}

/// What is refused to a key that is not the master's.
fn masters_only(front: &Front, key: &Key) -> Result<(), Failure> {
    match family::master_of(&front.exchange(), key.account) {
        None => Ok(()),
        Some(_) => Err(Failure::new(-12_022, "The current account is not a master account.")),
    }
}

/// An account that is the master itself or one of its own.
fn member(front: &Front, key: &Key, address: Option<&str>) -> Result<usize, Failure> {
    let Some(address) = address else { return Ok(key.account) };
    let exchange = front.exchange();
    family::by_email(&exchange, address)
        .filter(|account| family::master_of(&exchange, *account) == Some(key.account))
        .ok_or_else(|| Failure::new(-9_000, "The sub-account does not exist."))
}

/// `DELETE /sapi/v1/sub-account/subAccountApi`.
pub(crate) fn delete_sub_key(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    masters_only(front, key)?;
    let account = member(front, key, Some(params.require("email")?))?;
    let name = params.require("subAccountApiKey")?;
    let known = front.keys.get(name).filter(|known| known.account == account && account != key.account);
    known.ok_or_else(|| Failure::new(-9_000, "The API key does not exist."))?.delete();
    Ok(json!({}))
}

/// `POST /sapi/v1/sub-account/universalTransfer`: at once, between accounts of one master.
pub(crate) fn transfer(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    masters_only(front, key)?;
    let (from_address, to_address) = (params.get("fromEmail"), params.get("toEmail"));
    if from_address.is_none() && to_address.is_none() {
        return Err(Failure::new(-9_000, "fromEmail or toEmail is needed."));
    }
    let (from, to) = (member(front, key, from_address)?, member(front, key, to_address)?);
    let (from_wallet, to_wallet) = (params.require("fromAccountType")?, params.require("toAccountType")?);
    let wallet =
        |name: &str| market_of(name).ok_or_else(|| Failure::new(-9_000, "That wallet is not built here."));
    let markets = (wallet(from_wallet)?, wallet(to_wallet)?);
    params.require("amount")?;
    let amount = params.decimal("amount")?.filter(|amount| amount.is_positive() && amount.scale() <= 8);
    let amount = amount.filter(|amount| *amount < Decimal::from_integer(1_000_000_000_000));
    let id = params.get("clientTranId").map_or_else(|| format!("paper{}", front.serial()), str::to_owned);
    let record = TransferRecord {
        id: id.clone(),
        serial: 0,
        from,
        to,
        asset: params.require("asset")?.to_owned(),
        amount: amount.ok_or_else(|| Failure::new(-9_000, "The amount is not valid."))?,
        from_wallet: from_wallet.to_owned(),
        to_wallet: to_wallet.to_owned(),
        at_ms: 0,
    };
    if from == to {
        return Err(Failure::new(-9_000, "The accounts must be two."));
    }
    match front.transfer(record, markets) {
        Ok(record) => Ok(json!({ "tranId": record.serial, "clientTranId": id })),
        Err(None) => Err(Failure::new(-9_000, "The clientTranId is there already.")),
        Err(Some(Reject::Balance)) => Err(Failure::new(-8_022, "Insufficient balance.")),
        Err(Some(_)) => Err(Failure::new(-9_000, "The transfer cannot be done.")),
    }
}

/// `GET /sapi/v1/sub-account/universalTransfer`.
pub(crate) fn transfers(front: &Front, key: &Key, params: &Params) -> Result<Value, Failure> {
    masters_only(front, key)?;
    let (from, to) = (params.get("fromEmail"), params.get("toEmail"));
    if from.is_some() && to.is_some() {
        return Err(Failure::new(-9_000, "fromEmail and toEmail cannot both be sent."));
    }
    let id = params.get("clientTranId");
    let span = span(params)?;
    let exchange = front.exchange();
    let known = lock(&front.transfers);
    let rows: Vec<Value> = known
        .iter()
        .rev()
        .filter(|record| {
            let mine = |account| account == key.account || family::are_related(&exchange, key.account, account);
            mine(record.from)
                && mine(record.to)
                && span.contains(&record.at_ms)
                && id.is_none_or(|id| id == record.id)
                && from.is_none_or(|from| family::email(&exchange, record.from) == from)
                && to.is_none_or(|to| family::email(&exchange, record.to) == to)
        })
        .take(params.limit(500, 500)?)
        .map(|record| {
            json!({
                "tranId": record.serial, "fromEmail": family::email(&exchange, record.from),
                "toEmail": family::email(&exchange, record.to), "asset": record.asset, "amount": record.amount,
                "createTimeStamp": record.at_ms, "fromAccountType": record.from_wallet,
                "toAccountType": record.to_wallet, "status": "SUCCESS", "clientTranId": record.id,
            })
        })
        .collect();
    Ok(json!({ "totalCount": rows.len(), "result": rows }))
}
