//! Which account belongs to which: one named `main/fast` is a sub-account of `main`.

use crate::exchange::Exchange;
use crate::state::Front;

/// The number of the first account.
const FIRST_UID: usize = 1_000;

/// An account's number, as Bybit names accounts.
pub(crate) const fn uid(account: usize) -> usize {
    FIRST_UID + account
}

/// The account of a number.
pub(crate) fn by_uid(exchange: &Exchange, uid: u64) -> Option<usize> {
    let account = usize::try_from(uid).ok()?.checked_sub(FIRST_UID)?;
    (account < exchange.account_count()).then_some(account)
}

/// An account's address, as Binance names accounts.
pub(crate) fn email(exchange: &Exchange, account: usize) -> String {
    format!("{}@paper.example", exchange.account(account).name.replace('/', "."))
}

/// The account of an address.
pub(crate) fn by_email(exchange: &Exchange, address: &str) -> Option<usize> {
    (0..exchange.account_count()).find(|account| email(exchange, *account) == address)
}

/// The master of a sub-account; `None` for a master.
pub(crate) fn master_of(exchange: &Exchange, account: usize) -> Option<usize> {
    let (master, _) = exchange.account(account).name.rsplit_once('/')?;
    exchange.find_account(master)
}

/// Whether two accounts have one master, or one is the other's.
pub(crate) fn are_related(exchange: &Exchange, left: usize, right: usize) -> bool {
    let top = |account| master_of(exchange, account).unwrap_or(account);
    left != right && top(left) == top(right)
}

/// Whether `account` is a sub-account of `master`.
pub(crate) fn is_sub(front: &Front, master: usize, account: usize) -> bool {
    master_of(&front.exchange(), account) == Some(master)
}
