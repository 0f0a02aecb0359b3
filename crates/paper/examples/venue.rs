//! Runs a paper venue until interrupted: `cargo run -p paper --example venue -- 8181 8182 8183`.
//!
//! The ports are Binance, Bybit and control; without them the system chooses. Keys are those of
//! [`paper::Config::demo`].

use std::net::{Ipv4Addr, SocketAddr};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = paper::Config::demo(1);
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    for address in [&mut config.binance, &mut config.bybit, &mut config.control] {
        let port = ports.next().transpose()?.unwrap_or(0);
        *address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    }
    let venue = paper::spawn(config)?;
    println!("binance http://{}", venue.addresses.binance);
    println!("bybit http://{}", venue.addresses.bybit);
    println!("control http://{}", venue.addresses.control);
    loop {
        std::thread::park();
    }
}
