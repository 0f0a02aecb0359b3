//! What the watch, admin and skim vaults say, as a venue understands it that shares no code with them.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use paper::sim::{Request, Venue as Paper};
use paper::{Config, KeyConfig, Permissions};
use sha2::Sha256;
use trading::{Instrument, Intent, Price, Timestamp, Venue};
use venue::admin::{
    AdminRequest, ApiKey, Confirmed, Product, Reach, Reply, SubAccount, Switch, binance_scopes, bybit_scopes,
};
use venue::skim::{Master, SkimRequest, Status, Transfer, TransferId, Wallet};
use venue::watch::{
    Answer, BinanceReading, Book, BybitReading, Direction, Equity, Gathering, ListenKey, OtherWallet,
    OwnTransfer, Probe, Reading, Step, Window, read_probe,
};
use venue::{Algorithm, Currency, Signed, Unsigned, admin, attach, encode, signing_input, skim, watch};

const NOW: u64 = 1_772_600_061_460;

/// A master account, its sub-account, and a key for each role.
struct Desk {
    venue: Venue,
    paper: Paper,
}

impl Desk {
    fn open(venue: Venue) -> Self {
        let mut config = Config { tick_ms: 0, ..Config::demo(11) };
        let read = Permissions { read: true, ..Permissions::default() };
        config.accounts.push(KeyConfig::demo(venue, "admin", Permissions { transfer: true, ..read }));
        for (word, permissions) in [("bot", Permissions::TRADE), ("watch", read)] {
            let key = KeyConfig::demo(venue, word, permissions);
            config.accounts.push(KeyConfig { name: "main/fast".to_owned(), ..key });
        }
        Self { venue, paper: Paper::open(venue, &config, NOW).expect("opens") }
    }

    /// Signs with the key `paper-<venue>-<word>` and asks.
    fn ask(&self, word: &str, unsigned: Unsigned) -> (u16, String) {
        let key = format!("paper-{}-{word}", self.venue);
        let mut mac = Hmac::<Sha256>::new_from_slice(format!("{key}-secret").as_bytes()).expect("any length");
        mac.update(&signing_input(&unsigned, &key));
        let signature = mac.finalize().into_bytes();
        let Signed::Http(http) = attach(unsigned, &key, Algorithm::HmacSha256, &signature) else {
            panic!("HTTP")
        };
        let request = Request {
            method: http.method.to_string(),
            target: http.target,
            headers: http.headers,
            body: String::from_utf8(http.body).expect("text"),
        };
        self.paper.answer(&request, NOW)
    }

    fn read(&self, reading: &Reading) -> (Answer, Option<Timestamp>) {
        let mut gathering = Gathering::new(reading.clone());
        loop {
            let unsigned = watch::request(gathering.question(), at(), 5000).expect("sayable");
            let (status, body) = self.ask("watch", unsigned);
            match gathering.take(status, &body) {
                Ok(Step::Whole(answer, at)) => return (answer, at),
                Ok(Step::More(next)) => gathering = next,
                Err(error) => panic!("{reading:?}: {error}: {status} {body}"),
            }
        }
    }

    fn positions(&self) -> usize {
        let reading = match self.venue {
            Venue::Bybit => Reading::Bybit(BybitReading::Positions(linear())),
            Venue::Binance => Reading::Binance(BinanceReading::Positions),
        };
        let Answer::Positions(open) = self.read(&reading).0 else { panic!("positions") };
        open.len()
    }

    fn administer(&self, word: &str, asked: &AdminRequest) -> Reply {
        let (status, body) = self.ask(word, admin::request(asked, at(), 5000).expect("sayable"));
        admin::read(asked, status, &body)
    }

    fn skim(&self, asked: &SkimRequest) -> Status {
        let (status, body) = self.ask("admin", skim::request(asked, at(), 5000).expect("sayable"));
        skim::read(asked, status, &body)
    }

    fn probe(&self, word: &str) -> Probe {
        let (status, body) = self.ask(word, venue::permissions_request(self.venue, at(), 5000));
        read_probe(self.venue, status, &body)
    }

    /// Buys a little at the market, so that there is a position.
    fn buy(&self) {
        let intent = Intent::Place(trading::Order {
            instrument: future(self.venue),
            side: trading::Side::Buy,
            order_type: trading::OrderType::Market,
            amount: trading::Amount::Base("0.002".parse().expect("a quantity")),
            price: None,
            trigger_price: None,
            time_in_force: trading::TimeInForce::ImmediateOrCancel,
            post_only: false,
            reduce_only: false,
            client_order_id: None,
        });
        let (status, body) = self.ask("bot", encode(&intent, at(), 5000).expect("sayable"));
        assert_eq!(status, 200, "{body}");
        assert_eq!(self.positions(), 1, "{body}");
    }

    fn sub_account(&self) -> SubAccount {
        SubAccount::new(match self.venue {
            Venue::Bybit => "1001",
            Venue::Binance => "main.fast@paper.example",
        })
        .expect("an account")
    }

    fn transfer(&self) -> Transfer {
        let (from, to_wallet) = match self.venue {
            Venue::Bybit => (Master::Bybit { uid: 1_000, wallet: Wallet::Unified }, Wallet::Unified),
            Venue::Binance => (Master::Binance { wallet: Wallet::Spot }, Wallet::Spot),
        };
        Transfer {
            from,
            to: self.sub_account(),
            to_wallet,
            currency: usdt(),
            amount: "250.5".parse().expect("a decimal"),
            id: TransferId::from_random([7; 16]),
        }
    }
}

fn at() -> Timestamp {
    Timestamp::from_ms(NOW)
}

fn usdt() -> Currency {
    Currency::new("USDT").expect("a currency")
}

fn linear() -> Book {
    Book::Linear(usdt())
}

fn window() -> Window {
    Window { since: Timestamp::from_ms(NOW - 3_600_000), until: at() }
}

fn future(venue: Venue) -> Instrument {
    format!("{venue}:linear:BTCUSDT").parse().expect("an instrument")
}

#[test]
fn every_reading_is_answered_whole() {
    let bybit = Desk::open(Venue::Bybit);
    bybit.buy();
    for reading in [
        BybitReading::Wallet,
        BybitReading::Positions(Book::Inverse),
        BybitReading::Positions(Book::Option),
        BybitReading::Orders(Book::Spot),
        BybitReading::Orders(linear()),
        BybitReading::Log(window()),
        BybitReading::Key,
    ] {
        bybit.read(&Reading::Bybit(reading));
    }
    let binance = Desk::open(Venue::Binance);
    binance.buy();
    let way = |direction| OwnTransfer { direction, other: OtherWallet::UsdMargined };
    for reading in [
        BinanceReading::SpotOrders,
        BinanceReading::FuturesOrders,
        BinanceReading::AlgoOrders,
        BinanceReading::Income(window()),
        BinanceReading::Deposits(window()),
        BinanceReading::Withdrawals(window()),
        BinanceReading::OwnTransfers(way(Direction::In), window()),
        BinanceReading::OwnTransfers(way(Direction::Out), window()),
        BinanceReading::SubTransfers(Direction::In, window()),
        BinanceReading::SubTransfers(Direction::Out, window()),
        BinanceReading::Key,
        BinanceReading::FuturesListenKey(ListenKey::Open),
        BinanceReading::FuturesListenKey(ListenKey::KeepAlive),
        BinanceReading::SpotListenKey(ListenKey::Open),
    ] {
        binance.read(&Reading::Binance(reading));
    }
}

#[test]
fn equity_and_flows_are_what_the_venue_booked() {
    let bybit = Desk::open(Venue::Bybit);
    let total = || {
        let (Answer::Wallet(wallet), Some(when)) = bybit.read(&Reading::Bybit(BybitReading::Wallet)) else {
            panic!("a wallet")
        };
        let (Answer::Positions(open), Some(later)) =
            bybit.read(&Reading::Bybit(BybitReading::Positions(linear())))
        else {
            panic!("positions")
        };
        Equity::bybit((wallet, when), (open, later)).expect("fits").total
    };
    let before = total();
    assert_eq!(bybit.skim(&SkimRequest::Move(bybit.transfer())), Status::Done);
    assert_eq!(total().checked_sub(before), Some(bybit.transfer().amount));
    let Answer::Flows(flows) = bybit.read(&Reading::Bybit(BybitReading::Log(window()))).0 else {
        panic!("flows")
    };
    assert_eq!(flows.iter().map(|flow| flow.counted).collect::<Vec<_>>(), [bybit.transfer().amount]);
    bybit.buy();
    let Answer::Flows(again) = bybit.read(&Reading::Bybit(BybitReading::Log(window()))).0 else {
        panic!("flows")
    };
    assert_eq!(flows, again, "trading is no flow");

    let binance = Desk::open(Venue::Binance);
    let total = || {
        let Answer::Holdings(spot) = binance.read(&Reading::Binance(BinanceReading::Spot)).0 else {
            panic!("spot")
        };
        let Answer::Margin(margin) = binance.read(&Reading::Binance(BinanceReading::Margin)).0 else {
            panic!("margin")
        };
        let Answer::Positions(open) = binance.read(&Reading::Binance(BinanceReading::Positions)).0 else {
            panic!("positions")
        };
        let price = |name: &str, price: &str| {
            (Currency::new(name).expect("a currency"), price.parse::<Price>().expect("a price"))
        };
        let prices = BTreeMap::from([price("BTC", "60000"), price("ETH", "3000")]);
        Equity::binance(Some(spot), Some((margin, open)), usdt(), &prices, at()).expect("fits").total
    };
    let before = total();
    assert_eq!(binance.skim(&SkimRequest::Move(binance.transfer())), Status::Pending);
    assert_eq!(total().checked_sub(before), Some(binance.transfer().amount));
    let reading = Reading::Binance(BinanceReading::SubTransfers(Direction::In, window()));
    let Answer::Flows(flows) = binance.read(&reading).0 else { panic!("flows") };
    assert_eq!(flows.iter().map(|flow| flow.counted).collect::<Vec<_>>(), [binance.transfer().amount]);
    binance.buy();
    assert!(total() < before.checked_add(binance.transfer().amount).expect("small"), "the fee is a result");
    let income = binance.read(&Reading::Binance(BinanceReading::Income(window()))).0;
    assert_eq!(income, Answer::Flows(Vec::new()), "trading is no flow");
}

#[test]
fn a_transfer_is_found_again_and_moves_once() {
    for venue in Venue::ALL {
        let desk = Desk::open(venue);
        let (asked, status) = (SkimRequest::Move(desk.transfer()), SkimRequest::Status(desk.transfer()));
        assert_eq!(desk.skim(&status), Status::Absent, "{venue}");
        assert!(matches!(desk.skim(&asked), Status::Done | Status::Pending), "{venue}");
        assert_eq!(desk.skim(&status), Status::Done, "{venue}");
        assert!(matches!(desk.skim(&asked), Status::Known | Status::Refused(_)), "{venue}");
        let (code, body) = desk.ask("bot", skim::request(&asked, at(), 5000).expect("sayable"));
        assert!(matches!(skim::read(&asked, code, &body), Status::Refused(_)), "{venue}: {body}");
    }
}

#[test]
fn everything_is_cancelled_and_a_key_dies() {
    let done = |reply: &Reply| matches!(reply, Reply::Confirmed(Confirmed::Done | Confirmed::AlreadySo));
    for venue in Venue::ALL {
        let desk = Desk::open(venue);
        let scopes = match venue {
            Venue::Bybit => bybit_scopes(&[usdt()], &[Currency::new("BTC").expect("a currency")]),
            Venue::Binance => {
                binance_scopes(&[future(venue), "binance:spot:BTCUSDT".parse().expect("an instrument")])
            }
        };
        for scope in scopes {
            let asked = AdminRequest::Cancel(scope);
            let reply = desk.administer("bot", &asked);
            assert!(done(&reply), "{asked:?}: {reply:?}");
            assert!(matches!(desk.administer("watch", &asked), Reply::Refused(_)), "{asked:?}");
        }
        let reach = match venue {
            Venue::Bybit => Reach::Bybit(Product::Derivatives),
            Venue::Binance => Reach::Binance(future(venue)),
        };
        let switch = AdminRequest::Switch(Switch::armed(reach, 30_000, &[]).expect("armed"));
        assert!(done(&desk.administer("bot", &switch)), "{venue}");
        let key = ApiKey::new(&format!("paper-{venue}-bot")).expect("a key");
        let delete = AdminRequest::DeleteSubKey { venue, account: desk.sub_account(), key: key.clone() };
        assert!(matches!(desk.administer("bot", &delete), Reply::Refused(_)), "{venue}: an order key");
        assert_eq!(desk.probe("bot"), Probe::Alive, "{venue}");
        if venue == Venue::Bybit {
            let keys = AdminRequest::ListSubKeys { account: desk.sub_account() };
            let count = || match desk.administer("admin", &keys) {
                Reply::Confirmed(Confirmed::Keys(keys)) => keys.len(),
                other => panic!("{other:?}"),
            };
            assert_eq!(count(), 2);
            assert!(done(&desk.administer("admin", &AdminRequest::MakeSubKeyReadOnly { key })));
            assert!(done(&desk.administer("admin", &AdminRequest::Freeze { account: desk.sub_account() })));
            assert!(done(&desk.administer("admin", &delete)));
            assert_eq!(count(), 1);
        } else {
            assert!(done(&desk.administer("admin", &delete)));
        }
        assert_eq!(desk.probe("bot"), Probe::Dead, "{venue}");
        assert!(matches!(desk.administer("admin", &delete), Reply::Refused(_)), "{venue}");
        assert_eq!(desk.probe("watch"), Probe::Alive, "{venue}");
        if venue == Venue::Bybit {
            assert!(done(&desk.administer("admin", &AdminRequest::DeleteOwnKey)));
            let again = desk.administer("admin", &AdminRequest::DeleteOwnKey);
            assert_eq!(again, Reply::Confirmed(Confirmed::AlreadySo));
        }
    }
}
