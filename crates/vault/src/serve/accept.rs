//! Who gets a connection: places on each socket, of these some for each user.

use std::io;

use mio::Token;
use protocol::admin::SocketUse;
use protocol::peer::Peer;

use super::Server;
use crate::connection::{Connection, Door};
use crate::outgoing::Outgoing;

/// Most connections at once on each socket: bots cannot shut out the operators.
const MAX_BOTS: usize = 256;
/// Of these, most that one user may hold: one user's bots cannot shut out another's.
const MAX_BOTS_OF_A_USER: usize = 224;
const MAX_GATEWAYS: usize = 16;
const MAX_OPERATORS: usize = 16;
const MAX_WATCHDOGS: usize = 8;

const fn most(door: Door) -> usize {
    match door {
        Door::Sign => MAX_BOTS,
        Door::Gateway => MAX_GATEWAYS,
        Door::Admin => MAX_OPERATORS,
        Door::Watchdog => MAX_WATCHDOGS,
    }
}

/// Most callers accepted at each socket in a turn: whoever knocks without end keeps nobody waiting.
const MAX_ACCEPTED: usize = 16;

impl Server {
    /// Accepts a few callers at each socket where some wait.
    pub(super) fn accept_some(&mut self) {
        let knocking = std::mem::take(&mut self.knocking);
        self.knocking = knocking.into_iter().filter(|token| self.accept(*token)).collect();
    }

    /// Accepts up to [`MAX_ACCEPTED`] callers; whether there may be more.
    fn accept(&mut self, token: Token) -> bool {
        for _ in 0..MAX_ACCEPTED {
            let (_, door, listener) = &self.listeners[token.0];
            let door = *door;
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    tracing::warn!(%error, "a caller could not be accepted");
                    return false;
                }
            };
            let Ok(peer) = Peer::of(&stream) else {
                tracing::warn!("refused a caller that the kernel does not name");
                continue;
            };
            if let Some(most) = self.lacks_a_place(door, peer.uid) {
                self.bots_refused += u64::from(door == Door::Sign);
                // A flood of callers must not become a flood of lines.
                if door != Door::Sign || self.bots_refused.is_power_of_two() {
                    let (uid, pid, refused) = (peer.uid, peer.pid, self.bots_refused);
                    tracing::warn!(uid, pid, refused, ?door, "refused a caller: {most} connections are open");
                }
                continue;
            }
            if door != Door::Sign && peer.uid != Peer::own_uid() && peer.uid != 0 {
                tracing::warn!(uid = peer.uid, pid = peer.pid, ?door, "refused a caller of another user");
                continue;
            }
            let id = self.next_connection;
            self.next_connection += 1;
            if let Err(error) = self.poll.registry().register(&mut stream, Token(id), Outgoing::interest()) {
                tracing::warn!(%error, "a caller could not be watched");
                continue;
            }
            self.connections.insert(id, Connection::new(stream, door, peer));
        }
        true
    }

    /// How the places for bots are used.
    pub(super) fn sign_socket_use(&self) -> SocketUse {
        SocketUse {
            open: u32::try_from(self.open(Door::Sign)).unwrap_or(u32::MAX),
            most: u32::try_from(MAX_BOTS_OF_A_USER).unwrap_or(u32::MAX),
            refused: self.bots_refused,
        }
    }

    /// How many connections came in by `door`.
    fn open(&self, door: Door) -> usize {
        self.connections.values().filter(|caller| caller.door == door).count()
    }

    /// How many places there are where one more caller of `uid` finds none; `None` if it does.
    fn lacks_a_place(&self, door: Door, uid: u32) -> Option<usize> {
        let own = |caller: &&Connection| caller.door == Door::Sign && caller.peer.uid == uid;
        if self.open(door) >= most(door) {
            Some(most(door))
        } else if door == Door::Sign && self.connections.values().filter(own).count() >= MAX_BOTS_OF_A_USER {
            Some(MAX_BOTS_OF_A_USER)
        } else {
            None
        }
    }
}
