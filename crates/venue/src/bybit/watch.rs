//! Questions about a unified account and their answers: "Get Wallet Balance", "Get Position Info", "Get Open
//! & Closed Orders", "Get Transaction Log", "Get API Key Information" of the v5 documentation, and its
//! list of transaction types (`enum`, "type(uta-translog)"), read 2026-11-21.

use trading::{Decimal, Instrument, Market, Price, Side, Symbol, Timestamp, Venue};

use super::auth::Http;
use crate::answer::{Incomplete, Row, product, rows, sum};
use crate::canonical::Parameters;
use crate::currency::Currency;
use crate::error::{Undecodable, Unencodable};
use crate::form;
use crate::http::{HttpRequest, Method};
use crate::json::Value;
use crate::watch::{
    Answer, Book, BybitReading, Cursor, Flow, FlowKind, FlowWallet, OpenOrder, Page, Position, Question,
    Reading, UsdWallet, WalletCoin, Window, no_page, share,
};

/// A GET whose query is the finished text.
pub(crate) fn get(target: String, sent_at: Timestamp, recv_window_ms: u64) -> Http {
    let request = HttpRequest { method: Method::Get, target, headers: Vec::new(), body: Vec::new() };
    Http::new(request, sent_at, recv_window_ms)
}

/// Says a reading in Bybit's words.
pub(crate) fn request(
    reading: &BybitReading,
    page: Option<&Cursor>,
    sent_at: Timestamp,
    recv_window_ms: u64,
) -> Result<Http, Unencodable> {
    let mut target = match reading {
        BybitReading::Wallet => "/v5/account/wallet-balance?accountType=UNIFIED".to_owned(),
        BybitReading::Positions(Book::Spot) => {
            return Err(Unencodable::new("book", "spot has no positions"));
        }
        BybitReading::Positions(book) => with_book("/v5/position/list", book, 200),
        BybitReading::Orders(book) => with_book("/v5/order/realtime", book, 50),
        BybitReading::Log(window) => format!(
            "/v5/account/transaction-log?accountType=UNIFIED&startTime={}&endTime={}&limit=50",
            window.since.as_ms(),
            window.until.as_ms()
        ),
        BybitReading::Key => "/v5/user/query-api".to_owned(),
        BybitReading::StreamLogin(_) => {
            return Err(Unencodable::new("reading", "is a message, not an HTTP request"));
        }
    };
    if matches!(reading, BybitReading::Wallet | BybitReading::Key) {
        no_page(page)?;
    }
    if let Some(Cursor(cursor)) = page {
        // The venue's cursors are already escaped; they go back as they came.
        target.push_str("&cursor=");
        target.push_str(cursor);
    }
    Ok(get(target, sent_at, recv_window_ms))
}

fn with_book(path: &str, book: &Book, limit: u16) -> String {
    let mut target = format!("{path}?category={}", category(book));
    if let Book::Linear(settle) = book {
        target.push_str("&settleCoin=");
        form::encode_into(&mut target, settle.as_str());
    }
    target.push_str(&format!("&limit={limit}"));
    target
}

const fn category(book: &Book) -> &'static str {
    match book {
        Book::Spot => "spot",
        Book::Linear(_) => "linear",
        Book::Inverse => "inverse",
        Book::Option => "option",
    }
}

const fn market(book: &Book) -> Market {
    match book {
        Book::Spot => Market::Spot,
        Book::Linear(_) => Market::Linear,
        Book::Inverse => Market::Inverse,
        Book::Option => Market::Option,
    }
}

/// What a request asks, before it is compared byte for byte.
pub(crate) fn take_apart(http: &Http) -> Result<Question, Undecodable> {
    let query = Parameters::new(http.request.query());
    let reading = match http.request.path() {
        "/v5/account/wallet-balance" => BybitReading::Wallet,
        "/v5/position/list" => BybitReading::Positions(book(&query)?),
        "/v5/order/realtime" => BybitReading::Orders(book(&query)?),
        "/v5/account/transaction-log" => {
            BybitReading::Log(Window { since: query.time("startTime")?, until: query.time("endTime")? })
        }
        "/v5/user/query-api" => BybitReading::Key,
        other => return Err(Undecodable::Endpoint(other.into())),
    };
    let page = query.raw("cursor").map(|cursor| Cursor(cursor.into()));
    Ok(Question { reading: Reading::Bybit(reading), page })
}

fn book(query: &Parameters<'_>) -> Result<Book, Undecodable> {
    Ok(match query.get("category")?.as_str() {
        "spot" => Book::Spot,
        "linear" => {
            let settle = query.get("settleCoin")?;
            Book::Linear(
                Currency::new(settle).map_err(|error| Undecodable::bad("settleCoin", error.to_string()))?,
            )
        }
        "inverse" => Book::Inverse,
        "option" => Book::Option,
        _ => return Err(Undecodable::bad("category", "is not a book")),
    })
}

/// Reads a page.
pub(crate) fn read(reading: &BybitReading, body: &Value<'_>) -> Result<Page, Incomplete> {
    let envelope = Row(body);
    let at = Some(envelope.time("time")?);
    let result = envelope.row("result")?;
    let (answer, next) = match reading {
        BybitReading::Wallet => (Answer::Wallet(wallet(result)?), None),
        BybitReading::Positions(book) => {
            let mut found = Vec::new();
            for row in result.rows("list")? {
                found.extend(position(market(book), row)?);
            }
            (Answer::Positions(found), cursor(result)?)
        }
        BybitReading::Orders(book) => {
            let list = result.rows("list")?.map(|row| order(market(book), row));
            (Answer::Orders(list.collect::<Result<_, _>>()?), cursor(result)?)
        }
        BybitReading::Log(window) => {
            let mut found = Vec::new();
            for row in result.rows("list")? {
                found.extend(flow(row, *window)?);
            }
            (Answer::Flows(found), cursor(result)?)
        }
        BybitReading::Key => {
            for name in ["ips", "expiredAt"] {
                result.get(name)?;
            }
            let permissions = super::permissions::read(body);
            let permissions = permissions.map_err(|_| Incomplete::bad("permissions", "cannot be read"))?;
            (Answer::Key(permissions), None)
        }
        BybitReading::StreamLogin(_) => {
            return Err(Incomplete::bad("reading", "has no answer to read"));
        }
    };
    Ok(Page { answer, next, at })
}

/// The next page, if one is named. It goes into a URL unescaped, so it must be fit for that.
pub(crate) fn cursor(result: Row<'_, '_>) -> Result<Option<Cursor>, Incomplete> {
    let text = result.text("nextPageCursor")?;
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:,=!*".contains(&byte);
    if text.len() > 1024 || !text.bytes().all(fit) {
        return Err(Incomplete::bad("nextPageCursor", "does not fit a query"));
    }
    Ok((!text.is_empty()).then(|| Cursor(text.into())))
}

pub(crate) fn currency(row: Row<'_, '_>, name: &'static str) -> Result<Currency, Incomplete> {
    Currency::new(row.text(name)?).map_err(|_| Incomplete::bad(name, "is not the name of a currency"))
}

fn wallet(result: Row<'_, '_>) -> Result<UsdWallet, Incomplete> {
    let mut accounts = result.rows("list")?;
    let (Some(account), None) = (accounts.next(), accounts.next()) else {
        return Err(Incomplete::bad("list", "is not one account"));
    };
    if account.text("accountType")? != "UNIFIED" {
        return Err(Incomplete::bad("accountType", "is not UNIFIED"));
    }
    let mut total = account.decimal("totalEquity")?;
    let mut coins = Vec::new();
    for row in account.rows("coin")? {
        let coin = WalletCoin {
            currency: currency(row, "coin")?,
            wallet: row.decimal("walletBalance")?,
            equity: row.decimal("equity")?,
            unrealised: row.decimal("unrealisedPnl")?,
            bonus: row.decimal("bonus")?,
            usd_value: row.decimal("usdValue")?,
        };
        total = sum(total, negated(bonus_in_usd(&coin)?)?, "bonus")?;
        coins.push(coin);
    }
    // Equity without any coin behind it is half an answer.
    if coins.is_empty() && !total.is_zero() {
        return Err(Incomplete::bad("coin", "is empty"));
    }
    Ok(UsdWallet { total, coins })
}

/// A coin's bonus at the price that the venue's own value of the coin implies.
fn bonus_in_usd(coin: &WalletCoin) -> Result<Decimal, Incomplete> {
    if coin.bonus.is_zero() {
        return Ok(Decimal::ZERO);
    }
    if coin.bonus.is_negative() || coin.usd_value.is_zero() {
        return Err(Incomplete::bad("bonus", "cannot be valued"));
    }
    share(coin.bonus, coin.usd_value, coin.equity).ok_or_else(|| Incomplete::bad("bonus", "cannot be valued"))
}

fn negated(value: Decimal) -> Result<Decimal, Incomplete> {
    value.negated().ok_or_else(|| Incomplete::bad("bonus", "is too large"))
}

pub(crate) fn instrument(venue: Venue, market: Market, row: Row<'_, '_>) -> Result<Instrument, Incomplete> {
    let symbol =
        Symbol::new(row.text("symbol")?).map_err(|_| Incomplete::bad("symbol", "is not a symbol"))?;
    Ok(Instrument { venue, market, symbol })
}

pub(crate) fn mark_price(row: Row<'_, '_>) -> Result<Price, Incomplete> {
    Price::new(row.decimal("markPrice")?).map_err(|_| Incomplete::bad("markPrice", "is not above zero"))
}

fn position(market: Market, row: Row<'_, '_>) -> Result<Option<Position>, Incomplete> {
    let instrument = instrument(Venue::Bybit, market, row)?;
    let size = row.decimal("size")?;
    if size.is_negative() {
        return Err(Incomplete::bad("size", "is negative"));
    }
    let quantity = match row.text("side")? {
        "Buy" => size,
        "Sell" => negated(size)?,
        "" | "None" if size.is_zero() => return Ok(None),
        word => return Err(Incomplete::unknown("side", word)),
    };
    if size.is_zero() {
        return Ok(None);
    }
    let mark_price = mark_price(row)?;
    let value = match market {
        Market::Inverse => quantity,
        _ => product(quantity, mark_price.decimal(), "size")?,
    };
    Ok(Some(Position { instrument, quantity, mark_price, value }))
}

fn order(market: Market, row: Row<'_, '_>) -> Result<OpenOrder, Incomplete> {
    let instrument = instrument(Venue::Bybit, market, row)?;
    let id = row.word("orderId")?.parse().map_err(|_| Incomplete::bad("orderId", "is not an id"))?;
    let client = row.text("orderLinkId")?;
    let client_order_id = if client.is_empty() {
        None
    } else {
        Some(client.parse().map_err(|_| Incomplete::bad("orderLinkId", "is not an id"))?)
    };
    let side = match row.text("side")? {
        "Buy" => Side::Buy,
        "Sell" => Side::Sell,
        word => return Err(Incomplete::unknown("side", word)),
    };
    let waits = !matches!(row.text("stopOrderType")?, "" | "UNKNOWN");
    let (reduces, closes) = (row.flag("reduceOnly")?, row.flag("closeOnTrigger")?);
    // Take-profits and stops of a position reduce by what they are.
    let of_position = !matches!(
        row.text("stopOrderType")?,
        "" | "UNKNOWN" | "Stop" | "tpslOrder" | "OcoOrder" | "BidirectionalTpslOrder"
    );
    let protective = waits && (reduces || closes || of_position || market == Market::Spot);
    Ok(OpenOrder { instrument, id, client_order_id, side, protective })
}

/// What a row of the log says came in or went out; `None` for what trading did.
fn flow(row: Row<'_, '_>, window: Window) -> Result<Option<Flow>, Incomplete> {
    let kind = match row.text("type")? {
        "TRANSFER_IN" | "TRANSFER_OUT" => FlowKind::Transfer,
        "AIRDROP" => FlowKind::Airdrop,
        "BONUS" => FlowKind::Bonus,
        "BONUS_RECOLLECT" => FlowKind::BonusRecollected,
        // Fees, funding, interest, forced closing: results. A conversion has a row for each of its sides.
        "TRADE"
        | "SETTLEMENT"
        | "DELIVERY"
        | "LIQUIDATION"
        | "ADL"
        | "FEE_REFUND"
        | "INTEREST"
        | "CURRENCY_BUY"
        | "CURRENCY_SELL"
        | "SPOT_REPAYMENT_SELL"
        | "SPOT_REPAYMENT_BUY" => return Ok(None),
        word => return Err(Incomplete::unknown("type", word)),
    };
    let amount = row.decimal("change")?;
    let wrong = match row.text("type")? {
        "TRANSFER_IN" | "BONUS" | "AIRDROP" => amount.is_negative(),
        _ => amount.is_positive(),
    };
    if wrong {
        return Err(Incomplete::bad("change", "has the sign of the other direction"));
    }
    let at = row.time("transactionTime")?;
    if at < window.since || window.until < at {
        return Err(Incomplete::bad("transactionTime", "is outside the time asked for"));
    }
    // Equity leaves the bonus out, so neither its coming nor its going changes equity.
    let counted = match kind {
        FlowKind::Bonus | FlowKind::BonusRecollected => Decimal::ZERO,
        _ => amount,
    };
    let (currency, id) = (currency(row, "currency")?, row.word("id")?.into());
    Ok(Some(Flow { kind, wallet: FlowWallet::Unified, currency, amount, counted, at, id }))
}

/// The rows of a page's `list`, for other words of Bybit.
pub(crate) fn list<'v, 'a>(
    body: &'v Value<'a>,
    name: &str,
) -> Result<impl Iterator<Item = Row<'v, 'a>> + use<'v, 'a>, Incomplete> {
    rows(Row(body).row("result")?.get(name)?, name)
}
