//! Questions about a spot and USD-M account and their answers: "Account Information", "Position Information
//! V3", "Current All Open Orders", "Get Income History", "Deposit History", "Withdraw History", "Query User
//! Universal Transfer History", "Sub-account Transfer History (For Sub-account)", "Get API Key Permission"
//! of developers.binance.com, read 2026-11-21.

use std::collections::BTreeMap;

use trading::{Decimal, Market, Side, Timestamp, Venue};

use super::auth::Http;
use super::encode;
use crate::answer::{Incomplete, Row, product, rows, sum};
use crate::bybit::watch::{currency, instrument, mark_price};
use crate::canonical::Parameters;
use crate::error::{Undecodable, Unencodable};
use crate::http::{HttpRequest, Method};
use crate::json::Value;
use crate::watch::{
    Answer, BinanceReading, Cursor, Direction, Flow, FlowKind, FlowWallet, Holding, ListenKey, Margin,
    OpenOrder, OtherWallet, OwnTransfer, Page, Position, Question, Reading, Window, no_page,
};

const DEPOSITS: &str = "/sapi/v1/capital/deposit/hisrec";
const WITHDRAWALS: &str = "/sapi/v1/capital/withdraw/history";
const OWN_TRANSFERS: &str = "/sapi/v1/asset/transfer";
const SUB_TRANSFERS: &str = "/sapi/v1/sub-account/transfer/subUserHistory";
const INCOME: &str = "/fapi/v1/income";
const FUTURES_LISTEN_KEY: &str = "/fapi/v1/listenKey";
const SPOT_LISTEN_KEY: &str = "/api/v3/userDataStream";

/// Rows asked for at once: the documented maximum of each history.
const fn page_size(reading: &BinanceReading) -> usize {
    match reading {
        BinanceReading::OwnTransfers(..) => 100,
        BinanceReading::SubTransfers(..) => 500,
        _ => 1000,
    }
}

/// How far one's rounding of a sum may be off the other's.
fn tolerance() -> Decimal {
    Decimal::new(1, 6).expect("six digits")
}

/// Says a reading in Binance's words.
pub(crate) fn request(
    reading: &BinanceReading,
    page: Option<&Cursor>,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let plain = |path: &str| (path.to_owned(), Vec::new());
    let (path, mut parameters) = match reading {
        BinanceReading::Spot => plain("/api/v3/account"),
        BinanceReading::Margin => plain("/fapi/v3/account"),
        BinanceReading::Positions => plain("/fapi/v3/positionRisk"),
        BinanceReading::SpotOrders => plain("/api/v3/openOrders"),
        BinanceReading::FuturesOrders => plain("/fapi/v1/openOrders"),
        BinanceReading::AlgoOrders => plain("/fapi/v1/openAlgoOrders"),
        BinanceReading::Key => plain("/sapi/v1/account/apiRestrictions"),
        BinanceReading::Income(window) => (INCOME.to_owned(), within(*window)),
        BinanceReading::Deposits(window) => (DEPOSITS.to_owned(), within(*window)),
        BinanceReading::Withdrawals(window) => (WITHDRAWALS.to_owned(), within(*window)),
        BinanceReading::OwnTransfers(way, window) => {
            let mut parameters = vec![("type", way_name(*way))];
            parameters.extend(within(*window));
            (OWN_TRANSFERS.to_owned(), parameters)
        }
        BinanceReading::SubTransfers(direction, window) => {
            let number = if *direction == Direction::In { "1" } else { "2" };
            let mut parameters = vec![("type", number.to_owned())];
            parameters.extend(within(*window));
            (SUB_TRANSFERS.to_owned(), parameters)
        }
        BinanceReading::FuturesListenKey(what) => {
            no_page(page)?;
            return listen_key(FUTURES_LISTEN_KEY, what);
        }
        BinanceReading::SpotListenKey(what) => {
            no_page(page)?;
            return listen_key(SPOT_LISTEN_KEY, what);
        }
    };
    let size = page_size(reading).to_string();
    let number = page.map(|Cursor(cursor)| cursor.to_string());
    match reading {
        BinanceReading::Income(_) => {
            parameters.push(("limit", size));
            parameters.extend(number.map(|number| ("page", number)));
        }
        BinanceReading::Deposits(_) | BinanceReading::Withdrawals(_) => {
            parameters.push(("limit", size));
            parameters.extend(number.map(|number| ("offset", number)));
        }
        BinanceReading::OwnTransfers(..) => {
            parameters.push(("size", size));
            parameters.extend(number.map(|number| ("current", number)));
        }
        BinanceReading::SubTransfers(..) => {
            no_page(page)?;
            parameters.push(("limit", size));
        }
        _ => no_page(page)?,
    }
    Ok(encode::request(Method::Get, path, &parameters, sent_at, recv_window_ms))
}

fn within(window: Window) -> Vec<(&'static str, String)> {
    vec![("startTime", window.since.as_ms().to_string()), ("endTime", window.until.as_ms().to_string())]
}

/// Wants the key and no signature.
fn listen_key(path: &str, what: &ListenKey) -> Result<Http, Unencodable> {
    let (method, target) = match what {
        ListenKey::Open => (Method::Post, path.to_owned()),
        ListenKey::KeepAlive => (Method::Put, path.to_owned()),
        ListenKey::KeepAliveOf(name) => {
            let plain = !name.is_empty()
                && name.len() <= 256
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain {
                return Err(Unencodable::new("listen_key", "is not one"));
            }
            (Method::Put, format!("{path}?listenKey={name}"))
        }
    };
    let request = HttpRequest { method, target, headers: Vec::new(), body: Vec::new() };
    Ok(Http::new(request, false))
}

const fn wallet_name(wallet: OtherWallet) -> &'static str {
    match wallet {
        OtherWallet::UsdMargined => "UMFUTURE",
        OtherWallet::CoinMargined => "CMFUTURE",
        OtherWallet::Margin => "MARGIN",
        OtherWallet::Funding => "FUNDING",
        OtherWallet::Option => "OPTION",
        OtherWallet::PortfolioMargin => "PORTFOLIO_MARGIN",
    }
}

fn way_name(way: OwnTransfer) -> String {
    let other = wallet_name(way.other);
    match way.direction {
        Direction::In => format!("{other}_MAIN"),
        Direction::Out => format!("MAIN_{other}"),
    }
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http) -> Result<Question, Undecodable> {
    let query = Parameters::new(http.request.query());
    let window =
        || Ok::<_, Undecodable>(Window { since: query.time("startTime")?, until: query.time("endTime")? });
    let (method, path) = (http.request.method, http.request.path());
    let reading = match (method, path) {
        (Method::Get, "/api/v3/account") => BinanceReading::Spot,
        (Method::Get, "/fapi/v3/account") => BinanceReading::Margin,
        (Method::Get, "/fapi/v3/positionRisk") => BinanceReading::Positions,
        (Method::Get, "/api/v3/openOrders") => BinanceReading::SpotOrders,
        (Method::Get, "/fapi/v1/openOrders") => BinanceReading::FuturesOrders,
        (Method::Get, "/fapi/v1/openAlgoOrders") => BinanceReading::AlgoOrders,
        (Method::Get, "/sapi/v1/account/apiRestrictions") => BinanceReading::Key,
        (Method::Get, INCOME) => BinanceReading::Income(window()?),
        (Method::Get, DEPOSITS) => BinanceReading::Deposits(window()?),
        (Method::Get, WITHDRAWALS) => BinanceReading::Withdrawals(window()?),
        (Method::Get, OWN_TRANSFERS) => {
            let name = query.get("type")?;
            let ways = OtherWallet::ALL.into_iter().flat_map(|other| {
                [Direction::In, Direction::Out].map(|direction| OwnTransfer { direction, other })
            });
            let way = ways.into_iter().find(|way| way_name(*way) == name);
            BinanceReading::OwnTransfers(
                way.ok_or_else(|| Undecodable::bad("type", "is not known"))?,
                window()?,
            )
        }
        (Method::Get, SUB_TRANSFERS) => {
            let direction = if query.get("type")? == "1" { Direction::In } else { Direction::Out };
            BinanceReading::SubTransfers(direction, window()?)
        }
        (Method::Post, FUTURES_LISTEN_KEY) => BinanceReading::FuturesListenKey(ListenKey::Open),
        (Method::Put, FUTURES_LISTEN_KEY) => BinanceReading::FuturesListenKey(kept_alive(&query)),
        (Method::Post, SPOT_LISTEN_KEY) => BinanceReading::SpotListenKey(ListenKey::Open),
        (Method::Put, SPOT_LISTEN_KEY) => BinanceReading::SpotListenKey(kept_alive(&query)),
        _ => return Err(Undecodable::Endpoint(format!("{method} {path}").into())),
    };
    let page = ["page", "offset", "current"].into_iter().find_map(|name| query.raw(name));
    Ok(Question { reading: Reading::Binance(reading), page: page.map(|number| Cursor(number.into())) })
}

fn kept_alive(query: &Parameters<'_>) -> ListenKey {
    query.raw("listenKey").map_or(ListenKey::KeepAlive, |name| ListenKey::KeepAliveOf(name.into()))
}

/// Reads a page.
pub(crate) fn read(
    reading: &BinanceReading,
    page: Option<&Cursor>,
    body: &Value<'_>,
) -> Result<Page, Incomplete> {
    let mut next = None;
    let answer = match reading {
        BinanceReading::Spot => Answer::Holdings(spot(Row(body))?),
        BinanceReading::Margin => Answer::Margin(margin(Row(body))?),
        BinanceReading::Positions => {
            let mut found = Vec::new();
            for row in rows(body, "positions")? {
                found.extend(position(row)?);
            }
            Answer::Positions(found)
        }
        BinanceReading::SpotOrders => {
            orders(body, |row| order(row, Market::Spot, "orderId", "clientOrderId", "type"))?
        }
        BinanceReading::FuturesOrders => {
            orders(body, |row| order(row, Market::Linear, "orderId", "clientOrderId", "type"))?
        }
        BinanceReading::AlgoOrders => {
            orders(body, |row| order(row, Market::Linear, "algoId", "clientAlgoId", "orderType"))?
        }
        BinanceReading::Income(window) => {
            let list = rows(body, "income")?;
            let (found, count) = flows(list, *window, income)?;
            next = after(reading, page, count, count)?;
            Answer::Flows(found)
        }
        BinanceReading::Deposits(_) => {
            let (found, count) = unbounded(rows(body, "deposits")?, deposit)?;
            next = after(reading, page, count, count)?;
            Answer::Flows(found)
        }
        BinanceReading::Withdrawals(_) => {
            let (found, count) = unbounded(rows(body, "withdrawals")?, withdrawal)?;
            next = after(reading, page, count, count)?;
            Answer::Flows(found)
        }
        BinanceReading::OwnTransfers(way, window) => {
            let whole = Row(body);
            let total = crate::unsigned::read_whole(whole.text("total")?)
                .and_then(|total| usize::try_from(total).ok())
                .ok_or_else(|| Incomplete::bad("total", "is not a whole number"))?;
            // Binance leaves `rows` out where there are none.
            let (found, count) = match whole.0.get("rows") {
                None if total == 0 => (Vec::new(), 0),
                _ => flows(whole.rows("rows")?, *window, |row| own_transfer(row, *way))?,
            };
            next = after(reading, page, count, total)?;
            Answer::Flows(found)
        }
        BinanceReading::SubTransfers(direction, window) => {
            let (found, count) =
                flows(rows(body, "transfers")?, *window, |row| sub_transfer(row, *direction))?;
            if count >= page_size(reading) {
                return Err(Incomplete::TooMuch);
            }
            Answer::Flows(found)
        }
        BinanceReading::Key => {
            let permissions = super::permissions::read(body);
            Answer::Key(permissions.map_err(|_| Incomplete::bad("permissions", "cannot be read"))?)
        }
        // Keeping a spot key alive is answered with nothing.
        BinanceReading::SpotListenKey(ListenKey::KeepAliveOf(name)) => Answer::ListenKey(name.clone()),
        BinanceReading::FuturesListenKey(_) | BinanceReading::SpotListenKey(_) => {
            Answer::ListenKey(Row(body).word("listenKey")?.into())
        }
    };
    Ok(Page { answer, next, at: None })
}

/// The page after this one, if there may be one. `total` is how many rows there are in all, where the venue
/// says so; otherwise a full page may be followed by another.
fn after(
    reading: &BinanceReading,
    page: Option<&Cursor>,
    count: usize,
    total: usize,
) -> Result<Option<Cursor>, Incomplete> {
    let size = page_size(reading);
    let number = page.map_or(Some(0), |Cursor(text)| text.parse::<usize>().ok());
    let number = number.ok_or_else(|| Incomplete::bad("page", "is not a number"))?;
    if count > size {
        return Err(Incomplete::bad("limit", "was not kept by the venue"));
    }
    let cursor = |number: usize| Cursor(number.to_string().into());
    Ok(match reading {
        BinanceReading::Deposits(_) | BinanceReading::Withdrawals(_) => {
            (count == size).then(|| cursor(number.saturating_add(size)))
        }
        BinanceReading::OwnTransfers(..) => {
            let current = number.max(1);
            let left = total > current.saturating_mul(size);
            // A page that is short although more were announced is half an answer.
            let expected = total.saturating_sub((current - 1).saturating_mul(size)).min(size);
            if count != expected {
                return Err(Incomplete::bad("rows", "are not as many as `total` says"));
            }
            left.then(|| cursor(current + 1))
        }
        _ => (count == size).then(|| cursor(number.max(1) + 1)),
    })
}

fn spot(account: Row<'_, '_>) -> Result<Vec<Holding>, Incomplete> {
    let mut found = Vec::new();
    for row in account.rows("balances")? {
        let amount = sum(row.decimal("free")?, row.decimal("locked")?, "locked")?;
        let currency = currency(row, "asset")?;
        if !amount.is_zero() {
            found.push(Holding { currency, amount });
        }
    }
    Ok(found)
}

fn margin(account: Row<'_, '_>) -> Result<Margin, Incomplete> {
    let total = account.decimal("totalMarginBalance")?;
    let parts =
        sum(account.decimal("totalWalletBalance")?, account.decimal("totalUnrealizedProfit")?, "total")?;
    agree(total, parts, "totalMarginBalance")?;
    let (mut balances, mut wallets) = (Vec::new(), Vec::new());
    for row in account.rows("assets")? {
        let currency = currency(row, "asset")?;
        let (wallet, amount) = (row.decimal("walletBalance")?, row.decimal("marginBalance")?);
        agree(amount, sum(wallet, row.decimal("unrealizedProfit")?, "walletBalance")?, "marginBalance")?;
        if !amount.is_zero() || !wallet.is_zero() {
            balances.push(Holding { currency: currency.clone(), amount });
            wallets.push(Holding { currency, amount: wallet });
        }
    }
    if balances.is_empty() && !total.is_zero() {
        return Err(Incomplete::bad("assets", "are empty"));
    }
    let mut open = BTreeMap::new();
    for row in account.rows("positions")? {
        let symbol = instrument(Venue::Binance, Market::Linear, row)?.symbol;
        let held: &mut Decimal = open.entry(symbol).or_default();
        *held = sum(*held, row.decimal("positionAmt")?, "positionAmt")?;
    }
    open.retain(|_, quantity| !quantity.is_zero());
    Ok(Margin { total, balances, wallets, open })
}

/// Whether two sums of the venue are the same but for rounding.
fn agree(left: Decimal, right: Decimal, field: &'static str) -> Result<(), Incomplete> {
    let difference = left.checked_sub(right).and_then(Decimal::checked_abs);
    match difference {
        Some(difference) if difference <= tolerance() => Ok(()),
        _ => Err(Incomplete::Disagree(field)),
    }
}

fn position(row: Row<'_, '_>) -> Result<Option<Position>, Incomplete> {
    let instrument = instrument(Venue::Binance, Market::Linear, row)?;
    let quantity = row.decimal("positionAmt")?;
    if quantity.is_zero() {
        return Ok(None);
    }
    let mark_price = mark_price(row)?;
    let value = product(quantity, mark_price.decimal(), "positionAmt")?;
    Ok(Some(Position { instrument, quantity, mark_price, value }))
}

fn orders<'v, 'a: 'v>(
    body: &'v Value<'a>,
    one: impl Fn(Row<'v, 'a>) -> Result<OpenOrder, Incomplete>,
) -> Result<Answer, Incomplete> {
    rows(body, "orders")?.map(one).collect::<Result<_, _>>().map(Answer::Orders)
}

fn order(
    row: Row<'_, '_>,
    market: Market,
    id: &'static str,
    client: &'static str,
    kind: &'static str,
) -> Result<OpenOrder, Incomplete> {
    let instrument = instrument(Venue::Binance, market, row)?;
    let venue_id = row.word(id)?.parse().map_err(|_| Incomplete::bad(id, "is not an id"))?;
    let text = row.text(client)?;
    let client_order_id = if text.is_empty() {
        None
    } else {
        Some(text.parse().map_err(|_| Incomplete::bad(client, "is not an id"))?)
    };
    let side = match row.text("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        word => return Err(Incomplete::unknown("side", word)),
    };
    let waits = match row.text(kind)? {
        "MARKET" | "LIMIT" | "LIMIT_MAKER" => false,
        "STOP"
        | "STOP_MARKET"
        | "STOP_LOSS"
        | "STOP_LOSS_LIMIT"
        | "TAKE_PROFIT"
        | "TAKE_PROFIT_LIMIT"
        | "TAKE_PROFIT_MARKET"
        | "TRAILING_STOP_MARKET" => true,
        word => return Err(Incomplete::unknown(kind, word)),
    };
    let reduces = match market {
        Market::Spot => true,
        _ => {
            let (reduces, closes) = (row.flag("reduceOnly")?, row.flag("closePosition")?);
            reduces || closes
        }
    };
    Ok(OpenOrder { instrument, id: venue_id, client_order_id, side, protective: waits && reduces })
}

/// The flows among rows, and how many rows there were.
fn unbounded<'v, 'a: 'v>(
    list: impl Iterator<Item = Row<'v, 'a>>,
    one: impl Fn(Row<'v, 'a>) -> Result<Option<Flow>, Incomplete>,
) -> Result<(Vec<Flow>, usize), Incomplete> {
    let (mut found, mut count) = (Vec::new(), 0);
    for row in list {
        count += 1;
        found.extend(one(row)?);
    }
    Ok((found, count))
}

/// As [`unbounded`], and each flow is of the time asked for. Deposits and withdrawals are listed by when they
/// began, and count when they are done.
fn flows<'v, 'a: 'v>(
    list: impl Iterator<Item = Row<'v, 'a>>,
    window: Window,
    one: impl Fn(Row<'v, 'a>) -> Result<Option<Flow>, Incomplete>,
) -> Result<(Vec<Flow>, usize), Incomplete> {
    let (found, count) = unbounded(list, one)?;
    if found.iter().any(|flow| flow.at < window.since || window.until < flow.at) {
        return Err(Incomplete::bad("time", "is outside the time asked for"));
    }
    Ok((found, count))
}

fn income(row: Row<'_, '_>) -> Result<Option<Flow>, Incomplete> {
    let kind = match row.text("incomeType")? {
        "TRANSFER"
        | "INTERNAL_TRANSFER"
        | "CROSS_COLLATERAL_TRANSFER"
        | "COIN_SWAP_DEPOSIT"
        | "COIN_SWAP_WITHDRAW"
        | "STRATEGY_UMFUTURES_TRANSFER" => FlowKind::Transfer,
        // Binance has no field that says how much of a balance is bonus, so equity has it in.
        "WELCOME_BONUS" | "CONTEST_REWARD" => FlowKind::Airdrop,
        // An exchange has a row for each of its sides.
        "REALIZED_PNL"
        | "FUNDING_FEE"
        | "COMMISSION"
        | "INSURANCE_CLEAR"
        | "REFERRAL_KICKBACK"
        | "COMMISSION_REBATE"
        | "API_REBATE"
        | "OPTIONS_PREMIUM_FEE"
        | "OPTIONS_SETTLE_PROFIT"
        | "AUTO_EXCHANGE"
        | "DELIVERED_SETTELMENT"
        | "POSITION_LIMIT_INCREASE_FEE"
        | "FEE_RETURN"
        | "BFUSD_REWARD" => return Ok(None),
        word => return Err(Incomplete::unknown("incomeType", word)),
    };
    let amount = row.decimal("income")?;
    Ok(Some(Flow {
        kind,
        wallet: FlowWallet::UsdMargined,
        currency: currency(row, "asset")?,
        amount,
        counted: amount,
        at: row.time("time")?,
        id: row.word("tranId")?.into(),
    }))
}

fn deposit(row: Row<'_, '_>) -> Result<Option<Flow>, Incomplete> {
    match row.text("status")? {
        // Credited, and credited but not to be withdrawn yet.
        "1" | "6" => {}
        // On its way, refused, wrong, waiting for the user: not in the balance.
        "0" | "2" | "7" | "8" => return Ok(None),
        word => return Err(Incomplete::unknown("status", word)),
    }
    let amount = positive(row, "amount")?;
    // `completeTime` came later than the endpoint; without it the time of arrival has to do.
    let at = match row.0.get("completeTime") {
        Some(value) if value.as_text().is_some_and(|text| !text.is_empty() && text != "0") => {
            row.time("completeTime")?
        }
        _ => row.time("insertTime")?,
    };
    Ok(Some(Flow {
        kind: FlowKind::Deposit,
        wallet: FlowWallet::Spot,
        currency: currency(row, "coin")?,
        amount,
        counted: amount,
        at,
        id: row.word("id")?.into(),
    }))
}

/// The balance falls when a withdrawal is asked for, by its amount and its fee, and rises again if it fails.
/// Only one that is under way or done is a flow. Whether the balance falls by more than `amount` when the fee
/// is taken from it is not documented; the field `amount` is what leaves for the address.
fn withdrawal(row: Row<'_, '_>) -> Result<Option<Flow>, Incomplete> {
    match row.text("status")? {
        "0" | "2" | "4" | "6" => {}
        "1" | "3" | "5" => return Ok(None),
        word => return Err(Incomplete::unknown("status", word)),
    }
    let left = sum(positive(row, "amount")?, row.decimal("transactionFee")?, "transactionFee")?;
    let amount = left.negated().ok_or_else(|| Incomplete::bad("amount", "is too large"))?;
    let at =
        crate::bybit::permissions::read_utc(&format!("{}Z", row.text("applyTime")?.replacen(' ', "T", 1)));
    Ok(Some(Flow {
        kind: FlowKind::Withdrawal,
        wallet: FlowWallet::Spot,
        currency: currency(row, "coin")?,
        amount,
        counted: amount,
        at: at.ok_or_else(|| Incomplete::bad("applyTime", "is not a time"))?,
        id: row.word("id")?.into(),
    }))
}

fn own_transfer(row: Row<'_, '_>, way: OwnTransfer) -> Result<Option<Flow>, Incomplete> {
    if row.text("type")? != way_name(way) {
        return Err(Incomplete::bad("type", "is not the one asked for"));
    }
    match row.text("status")? {
        // One that is pending has left its wallet; it is not in any other yet.
        "CONFIRMED" => {}
        "PENDING" if way.direction == Direction::Out => {}
        "PENDING" | "FAILED" => return Ok(None),
        word => return Err(Incomplete::unknown("status", word)),
    }
    transfer(row, way.direction, "amount", "timestamp").map(Some)
}

/// The spot wallet's side. What goes into the futures wallet is in its income.
fn sub_transfer(row: Row<'_, '_>, direction: Direction) -> Result<Option<Flow>, Incomplete> {
    let (number, side) = match direction {
        Direction::In => ("1", "toAccountType"),
        Direction::Out => ("2", "fromAccountType"),
    };
    if row.text("type")? != number {
        return Err(Incomplete::bad("type", "is not the one asked for"));
    }
    match row.text(side)? {
        "SPOT" => {}
        "USDT_FUTURE" | "COIN_FUTURE" | "MARGIN" | "ISOLATED_MARGIN" => return Ok(None),
        word => return Err(Incomplete::unknown("accountType", word)),
    }
    match row.text("status")? {
        "SUCCESS" => {}
        "PROCESS" if direction == Direction::Out => {}
        "PROCESS" | "FAILURE" => return Ok(None),
        word => return Err(Incomplete::unknown("status", word)),
    }
    transfer(row, direction, "qty", "time").map(Some)
}

fn transfer(
    row: Row<'_, '_>,
    direction: Direction,
    amount: &'static str,
    time: &'static str,
) -> Result<Flow, Incomplete> {
    let moved = positive(row, amount)?;
    let amount = match direction {
        Direction::In => moved,
        Direction::Out => moved.negated().ok_or_else(|| Incomplete::bad(amount, "is too large"))?,
    };
    Ok(Flow {
        kind: FlowKind::Transfer,
        wallet: FlowWallet::Spot,
        currency: currency(row, "asset")?,
        amount,
        counted: amount,
        at: row.time(time)?,
        id: row.word("tranId")?.into(),
    })
}

fn positive(row: Row<'_, '_>, name: &'static str) -> Result<Decimal, Incomplete> {
    match row.decimal(name)? {
        amount if amount.is_positive() => Ok(amount),
        _ => Err(Incomplete::bad(name, "is not above zero")),
    }
}
