//! CTAPHID: messages cut into packets of 64 bytes and put together again (CTAP 2.1 §11.2).
//!
//! Shared by the program that asks and the software token that answers.

use thiserror::Error;

/// Bytes in a packet (§11.2.4, full speed).
pub const PACKET_BYTES: usize = 64;
/// Most packets of one message that follow the first.
const MOST_NEXT: usize = 128;
/// Bytes of a message in its first packet, and in each that follows.
const IN_FIRST: usize = 57;
const IN_NEXT: usize = 59;
/// Longest message.
pub const MAX_MESSAGE: usize = IN_FIRST + MOST_NEXT * IN_NEXT;
/// Marks the first packet of a message.
const FIRST: u8 = 0x80;

/// One packet.
pub type Packet = [u8; PACKET_BYTES];

/// The channel on which channels are asked for.
pub const BROADCAST: u32 = 0xffff_ffff;

/// A command of CTAPHID, by its number (§11.2.9).
pub mod command {
    pub const INIT: u8 = 0x06;
    pub const CBOR: u8 = 0x10;
    pub const CANCEL: u8 = 0x11;
    pub const KEEPALIVE: u8 = 0x3b;
    pub const ERROR: u8 = 0x3f;
}

/// An error of CTAPHID, by its number (§11.2.9.1.6).
pub mod error {
    pub const INVALID_COMMAND: u8 = 0x01;
    pub const INVALID_LENGTH: u8 = 0x03;
    pub const INVALID_SEQUENCE: u8 = 0x04;
    pub const CHANNEL_BUSY: u8 = 0x06;
    pub const INVALID_CHANNEL: u8 = 0x0b;
}

/// What a keepalive says when it waits for a touch (§11.2.9.1.7).
pub const TOUCH_NEEDED: u8 = 2;

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub channel: u32,
    pub command: u8,
    pub payload: Vec<u8>,
}

/// Why packets make no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// More than a message holds.
    #[error("a message of {0} bytes; {MAX_MESSAGE} fit")]
    TooLong(usize),
    /// A packet that follows nothing.
    #[error("a packet continues a message that did not begin")]
    NoFirst,
    /// A packet out of turn.
    #[error("packet {was} came where {expected} was due")]
    Sequence {
        /// The number it carries.
        was: u8,
        /// The number that was due.
        expected: u8,
    },
}

impl Message {
    pub fn new(channel: u32, command: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { channel, command, payload: payload.into() }
    }

    /// Cuts the message into packets; what is left of the last is zero.
    pub fn packets(&self) -> Result<Vec<Packet>, FrameError> {
        let length = self.payload.len();
        let declared = u16::try_from(length).ok().filter(|_| length <= MAX_MESSAGE);
        let declared = declared.ok_or(FrameError::TooLong(length))?.to_be_bytes();
        let (first, rest) = self.payload.split_at(length.min(IN_FIRST));
        let head = [self.command | FIRST, declared[0], declared[1]];
        let mut packets = vec![self.packet(&head, first)];
        for (sequence, part) in (0..).zip(rest.chunks(IN_NEXT)) {
            packets.push(self.packet(&[sequence], part));
        }
        Ok(packets)
    }

    fn packet(&self, head: &[u8], data: &[u8]) -> Packet {
        let mut packet = [0; PACKET_BYTES];
        let parts = self.channel.to_be_bytes().into_iter().chain(head.iter().copied());
        for (place, byte) in packet.iter_mut().zip(parts.chain(data.iter().copied())) {
            *place = byte;
        }
        packet
    }
}

/// Which channel a packet is for.
pub fn channel_of(packet: &Packet) -> u32 {
    u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]])
}

/// The command that a packet begins; `None` if it continues one.
pub fn begins(packet: &Packet) -> Option<u8> {
    (packet[4] & FIRST != 0).then_some(packet[4] & !FIRST)
}

/// Puts the packets of one channel together.
#[derive(Debug, Default)]
pub struct Assembler {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    message: Message,
    length: usize,
    next: u8,
}

impl Assembler {
    /// Takes a packet; a message if it is the last of one. A first packet drops what was open.
    /// After an error nothing is open.
    pub fn push(&mut self, packet: &Packet) -> Result<Option<Message>, FrameError> {
        let mut open = match begins(packet) {
            Some(command) => {
                let length = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
                self.open = None;
                if length > MAX_MESSAGE {
                    return Err(FrameError::TooLong(length));
                }
                let payload = packet[7..].iter().copied().take(length).collect::<Vec<u8>>();
                Open { message: Message::new(channel_of(packet), command, payload), length, next: 0 }
            }
            None => {
                let mut open = self.open.take().ok_or(FrameError::NoFirst)?;
                if packet[4] != open.next {
                    return Err(FrameError::Sequence { was: packet[4], expected: open.next });
                }
                let left = open.length - open.message.payload.len();
                open.message.payload.extend(packet[5..].iter().take(left));
                open.next += 1;
                open
            }
        };
        if open.message.payload.len() == open.length {
            return Ok(Some(std::mem::replace(&mut open.message, Message::new(0, 0, []))));
        }
        self.open = Some(open);
        Ok(None)
    }

    /// The channel whose message is not whole yet.
    pub fn open_channel(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.message.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
        Message::new(0x0102_0304, command::CBOR, payload)
    }

    fn put_together(packets: &[Packet]) -> Result<Option<Message>, FrameError> {
        let mut assembler = Assembler::default();
        let mut found = None;
        for packet in packets {
            assert_eq!(found, None, "a message ended early");
            found = assembler.push(packet)?;
        }
        Ok(found)
    }

    #[test]
    fn packets_follow_the_standard() {
        let packets = message(60).packets().expect("it fits");
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0][..9], [1, 2, 3, 4, 0x90, 0, 60, 0, 1]);
        assert_eq!(packets[1][..9], [1, 2, 3, 4, 0, 57, 58, 59, 0]);
        assert_eq!(packets[1][9..], [0; 55]);
    }

    #[test]
    fn every_length_comes_back() {
        for length in (0..400).chain([MAX_MESSAGE - 1, MAX_MESSAGE]) {
            let packets = message(length).packets().expect("it fits");
            let expected = 1 + length.saturating_sub(IN_FIRST).div_ceil(IN_NEXT);
            assert_eq!(packets.len(), expected, "{length}");
            assert_eq!(put_together(&packets), Ok(Some(message(length))), "{length}");
        }
        assert_eq!(MAX_MESSAGE, 7609, "as the standard says");
        assert_eq!(message(MAX_MESSAGE + 1).packets(), Err(FrameError::TooLong(MAX_MESSAGE + 1)));
    }

    #[test]
    fn packets_out_of_turn_make_no_message() {
        let packets = message(200).packets().expect("it fits");
        let swapped = [packets[0], packets[2], packets[1]];
        assert_eq!(put_together(&swapped), Err(FrameError::Sequence { was: 1, expected: 0 }));
        let twice = [packets[0], packets[1], packets[1]];
        assert_eq!(put_together(&twice), Err(FrameError::Sequence { was: 0, expected: 1 }));
        assert_eq!(put_together(&packets[1..]), Err(FrameError::NoFirst));
        let mut long = packets[0];
        long[5..7].copy_from_slice(&7610_u16.to_be_bytes());
        assert_eq!(put_together(&[long]), Err(FrameError::TooLong(7610)));
    }

    #[test]
    fn a_new_first_packet_drops_what_was_open() {
        let packets = message(200).packets().expect("it fits");
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(&packets[0]), Ok(None));
        assert_eq!(assembler.open_channel(), Some(0x0102_0304));
        let short = message(3).packets().expect("it fits")[0];
        assert_eq!(assembler.push(&short), Ok(Some(message(3))));
        assert_eq!(assembler.push(&packets[1]), Err(FrameError::NoFirst));
    }
}
