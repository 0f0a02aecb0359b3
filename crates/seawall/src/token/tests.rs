//! Both sides over real packets: registration, touches, everything that goes wrong between them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use approval::{
    Assertion, AssertionError, Attestation, Credential, CredentialId, Digest, Expected, Name, RelyingPartyId,
    Touch, verify_assertion, verify_registration,
};
use trading::Timestamp;

use super::Transport;
use super::client::{MakeRequest, Token, TokenError};
use super::ctap::{self, AssertionAnswer, GetAssertion, Info, MakeCredential, Status};
use super::hid::{self, Assembler, Message, Packet, command, error};
use super::software::{AAGUID, Authenticator, Behaviour, PATIENCE, Socket};

/// Longest wait of a test; only a failure waits this long.
const LIMIT: Duration = Duration::from_secs(20);
const RP: &str = "desk.example";

/// A software token in a thread of its own, and our end of its socket.
fn emulate(behaviour: Behaviour, patience: Duration) -> (Socket, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let thread = std::thread::spawn(move || {
        let end = Authenticator::new(behaviour, patience).serve(&mut Socket::new(theirs));
        let kind = end.expect_err("it ends when we hang up").kind();
        assert!(matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe), "{kind}");
    });
    (Socket::new(ours), thread)
}

fn open(behaviour: Behaviour, patience: Duration) -> (Token, JoinHandle<()>) {
    let (socket, thread) = emulate(behaviour, patience);
    (Token::open(Box::new(socket), *b"a nonce!").expect("it answers"), thread)
}

fn rp_id() -> RelyingPartyId {
    RelyingPartyId::new(RP).expect("a host")
}

fn register(token: &mut Token, exclude: &[&CredentialId]) -> Result<Credential, TokenError> {
    let challenge = Digest([9; 32]);
    let request = MakeRequest { challenge: &challenge.0, rp_id: RP, user: "alice", exclude };
    let mut asked = 0;
    let registration = token.make_credential(&request, &mut || asked += 1)?;
    assert_eq!(asked, 1, "the person is asked once");
    let registered = verify_registration(&rp_id(), &[], &challenge, &registration).expect("it holds");
    assert_eq!((registered.attestation, registered.aaguid.0), (Attestation::SelfSigned, AAGUID));
    let other = verify_registration(&rp_id(), &[], &Digest([8; 32]), &registration);
    assert_eq!(other, Err(approval::RegistrationError::Signature), "for another challenge it does not");
    let name = || Name::new("alice").expect("a name");
    Ok(Credential {
        id: registered.id,
        public_key: registered.public_key,
        rp_id: rp_id(),
        aaguid: registered.aaguid,
        person: name(),
        organisation: name(),
        site: name(),
        counter: registered.counter,
        backup_eligible: registered.backup_eligible,
        added_at: Timestamp::from_ms(0),
        expires_at: None,
    })
}

fn touch(token: &mut Token, own: &Credential, digest: Digest) -> Result<Assertion, TokenError> {
    token.assert(RP, &digest.0, &[&own.id], false, &mut || ())
}

fn check(
    own: &Credential,
    digest: Digest,
    seen: u32,
    assertion: &Assertion,
) -> Result<Touch, AssertionError> {
    let expected = Expected { rp_id: &rp_id(), origins: &[], user_verification: false, counter: seen };
    verify_assertion(own, &expected, &digest, assertion)
}

#[test]
fn a_key_is_made_and_touched_over_packets() {
    let (mut token, thread) = open(Behaviour::Touch, PATIENCE);
    assert_eq!(token.aaguid(), AAGUID);
    let own = register(&mut token, &[]).expect("it makes one");
    let digest = Digest([1; 32]);
    let first = touch(&mut token, &own, digest).expect("touched");
    let seen = check(&own, digest, 0, &first).expect("it holds").counter();
    assert!(seen > own.counter);
    assert_eq!(check(&own, Digest([2; 32]), 0, &first), Err(AssertionError::Signature));
    let replay = check(&own, digest, seen, &first);
    assert_eq!(replay, Err(AssertionError::Counter { was: seen, seen }));
    let second = touch(&mut token, &own, digest).expect("touched");
    assert!(check(&own, digest, seen, &second).expect("it holds").counter() > seen);
    drop(token);
    thread.join().expect("it ended well");
}

#[test]
fn the_key_on_the_token_is_found_among_many() {
    let (mut token, _thread) = open(Behaviour::Touch, PATIENCE);
    let own = register(&mut token, &[]).expect("it makes one");
    let others: Vec<CredentialId> =
        (0..20).map(|at| CredentialId::from_slice(&[at; 32]).expect("an id")).collect();
    let mut list: Vec<&CredentialId> = others.iter().collect();
    let none = token.assert(RP, &[1; 32], &list, false, &mut || ());
    assert!(matches!(none, Err(TokenError::NoCredentials)), "{none:?}");
    list.insert(13, &own.id);
    let assertion = token.assert(RP, &[1; 32], &list, false, &mut || ()).expect("touched");
    assert_eq!(assertion.credential, own.id);
    let elsewhere = token.assert("other.example", &[1; 32], &list, false, &mut || ());
    assert!(matches!(elsewhere, Err(TokenError::NoCredentials)), "{elsewhere:?}");
    let again = register(&mut token, &list[10..15]);
    assert!(matches!(again, Err(TokenError::Excluded)), "{again:?}");
}

#[test]
fn no_touch_is_no_approval() {
    let (mut token, _thread) = open(Behaviour::Refuse, PATIENCE);
    let request = MakeRequest { challenge: &[9; 32], rp_id: RP, user: "alice", exclude: &[] };
    let refused = token.make_credential(&request, &mut || ());
    assert!(matches!(refused, Err(TokenError::Refused)), "{refused:?}");
    let (mut token, _thread) = open(Behaviour::Ignore, Duration::from_millis(250));
    let ignored = token.make_credential(&request, &mut || ());
    assert!(matches!(ignored, Err(TokenError::NotTouched)), "{ignored:?}");
}

fn make_bytes() -> Vec<u8> {
    MakeCredential {
        client_data_hash: [9; 32],
        rp_id: RP.into(),
        user_id: vec![1],
        user_name: "alice".into(),
        algorithms: vec![-7],
        exclude: vec![],
        user_verification: false,
    }
    .to_bytes()
}

#[test]
fn who_gives_up_takes_the_command_back() {
    let (mut token, _thread) = open(Behaviour::Ignore, LIMIT);
    let ended = token.ask_within(&make_bytes(), Duration::from_millis(50));
    assert!(matches!(ended, Err(TokenError::NotTouched)), "{ended:?}");
    let info = token.ask_within(&[ctap::command::GET_INFO], LIMIT).expect("the token is free again");
    assert_eq!(Info::from_bytes(&info).expect("reads").aaguid, AAGUID);
}

/// What a program without manners says to the token, and what comes back.
struct Raw(Socket);

impl Raw {
    fn send(&mut self, message: &Message) {
        for packet in message.packets().expect("it fits") {
            self.0.send(&packet).expect("it reads");
        }
    }

    fn receive(&mut self) -> Message {
        let mut assembler = Assembler::default();
        for _ in 0..200 {
            let packet = self.0.receive(LIMIT).expect("it writes").expect("it answers");
            if let Some(message) = assembler.push(&packet).expect("in order") {
                return message;
            }
        }
        panic!("no message in 200 packets");
    }

    fn ask(&mut self, message: &Message) -> (u8, Vec<u8>) {
        self.send(message);
        let answer = self.receive();
        assert_eq!(answer.channel, message.channel);
        (answer.command, answer.payload)
    }

    fn channel(&mut self) -> u32 {
        let (command, payload) = self.ask(&Message::new(hid::BROADCAST, command::INIT, *b"12345678"));
        assert_eq!((command, &payload[..8], payload.len()), (command::INIT, &b"12345678"[..], 17));
        u32::from_be_bytes(payload[8..12].try_into().expect("4 bytes"))
    }
}

#[test]
fn the_token_keeps_to_the_packet_rules() {
    let (socket, _thread) = emulate(Behaviour::Touch, PATIENCE);
    let mut raw = Raw(socket);
    let (one, other) = (raw.channel(), raw.channel());
    assert_ne!(one, other);
    let failed = |code: u8| (command::ERROR, vec![code]);
    assert_eq!(raw.ask(&Message::new(0, command::CBOR, [4])), failed(error::INVALID_CHANNEL));
    assert_eq!(raw.ask(&Message::new(other + 1, command::CBOR, [4])), failed(error::INVALID_CHANNEL));
    assert_eq!(raw.ask(&Message::new(one, 0x33, [4])), failed(error::INVALID_COMMAND));
    assert_eq!(raw.ask(&Message::new(hid::BROADCAST, command::CBOR, [4])), failed(error::INVALID_COMMAND));
    assert_eq!(raw.ask(&Message::new(one, command::INIT, [1; 7])), failed(error::INVALID_LENGTH));

    let long = Message::new(one, command::CBOR, [1; 200]).packets().expect("it fits");
    assert!(long.len() >= 3, "{}", long.len());
    raw.0.send(&long[0]).expect("it reads");
    assert_eq!(raw.ask(&Message::new(other, command::CBOR, [4])), failed(error::CHANNEL_BUSY));
    raw.0.send(&long[2]).expect("it reads");
    let answer = raw.receive();
    assert_eq!((answer.channel, answer.command, &*answer.payload), (one, command::ERROR, &[4][..]));
    assert_eq!(error::INVALID_SEQUENCE, 4);

    raw.0.send(&long[0]).expect("it reads");
    let (command, _) = raw.ask(&Message::new(one, command::INIT, *b"resynced"));
    assert_eq!(command, command::INIT, "its own channel starts afresh");
    let (command, payload) = raw.ask(&Message::new(other, command::CBOR, [4]));
    assert_eq!((command, payload[0]), (command::CBOR, 0), "and others are served");
    for (request, status) in [
        (vec![], Status::InvalidCbor),
        (vec![0x55], Status::InvalidCommand),
        (vec![1, 0xa0], Status::InvalidCbor),
        (vec![2, 0xff], Status::InvalidCbor),
    ] {
        assert_eq!(raw.ask(&Message::new(one, command::CBOR, request)), (command::CBOR, vec![status.code()]));
    }
}

#[test]
fn others_wait_while_one_is_asked_for_a_touch() {
    let (socket, _thread) = emulate(Behaviour::Ignore, LIMIT);
    let mut raw = Raw(socket);
    let (one, other) = (raw.channel(), raw.channel());
    let (command, payload) = raw.ask(&Message::new(one, command::CBOR, make_bytes()));
    assert_eq!((command, payload), (command::KEEPALIVE, vec![hid::TOUCH_NEEDED]));
    raw.send(&Message::new(other, command::CBOR, [4]));
    let refused = std::iter::repeat_with(|| raw.receive())
        .take(300)
        .find(|message| message.command != command::KEEPALIVE)
        .expect("an answer");
    assert_eq!(refused, Message::new(other, command::ERROR, [error::CHANNEL_BUSY]));
    raw.send(&Message::new(other, command::CANCEL, []));
    raw.send(&Message::new(one, command::CANCEL, []));
    let ended = std::iter::repeat_with(|| raw.receive())
        .take(300)
        .find(|message| message.command == command::CBOR)
        .expect("an answer");
    assert_eq!(ended, Message::new(one, command::CBOR, [Status::KeepaliveCancel.code()]));
}

/// A token that says what it was told to, whatever it is asked.
struct Script(VecDeque<Message>, VecDeque<Packet>);

impl Transport for Script {
    fn send(&mut self, _: &Packet) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, _: Duration) -> io::Result<Option<Packet>> {
        if self.1.is_empty() {
            let next = self.0.pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
            self.1.extend(next.packets().map_err(io::Error::other)?);
        }
        Ok(self.1.pop_front())
    }
}

/// A token opened on channel 5 that then says `answers`.
fn scripted(answers: impl IntoIterator<Item = Message>) -> Token {
    let opened = |nonce: &[u8; 8], channel: u8| {
        let payload = [&nonce[..], &[0, 0, 0, channel, 2, 0, 0, 0, 4]].concat();
        Message::new(hid::BROADCAST, command::INIT, payload)
    };
    let info = Info { aaguid: AAGUID, max_credentials: 1, ..Info::default() }.to_bytes();
    let start = [opened(b"not ours", 6), opened(b"a nonce!", 5), Message::new(5, command::CBOR, info)];
    let script = Script(start.into_iter().chain(answers).collect(), VecDeque::new());
    Token::open(Box::new(script), *b"a nonce!").expect("it answers")
}

#[test]
fn the_client_reads_its_own_channel_only() {
    let good = Message::new(5, command::CBOR, [&[0][..], &[7; 100]].concat());
    let keepalive = |channel| Message::new(channel, command::KEEPALIVE, [1]);
    let other = Message::new(6, command::CBOR, [0, 1]);
    let busy = Message::new(5, command::ERROR, [error::CHANNEL_BUSY]);
    let ask = |answers: Vec<Message>| scripted(answers).ask_within(&[4], LIMIT);
    assert_eq!(ask(vec![other, keepalive(6), keepalive(5), good.clone()]).expect("ours"), [7; 100]);
    let error = |code| Message::new(5, command::ERROR, [code]);
    assert!(matches!(ask(vec![error(1), good.clone()]), Err(TokenError::Hid(1))));
    assert!(matches!(ask(vec![Message::new(5, command::INIT, []), good.clone()]), Err(TokenError::Answer)));
    assert!(matches!(ask(vec![Message::new(5, command::CBOR, [])]), Err(TokenError::Status(_))));
    assert!(matches!(ask(vec![]), Err(TokenError::Io(_))));
    // Busy: what comes in the pause is not an answer to us, what comes after we asked again is.
    assert_eq!(ask(vec![busy, keepalive(5), good]).expect("asked again"), [7; 100]);
}

#[test]
fn the_client_refuses_packets_out_of_turn() {
    let packets = Message::new(5, command::CBOR, vec![0; 200]).packets().expect("it fits");
    let mut script = Script(VecDeque::new(), VecDeque::new());
    let info = Info::default().to_bytes();
    let opened = [&b"a nonce!"[..], &[0, 0, 0, 5, 2, 0, 0, 0, 4]].concat();
    for message in [Message::new(hid::BROADCAST, command::INIT, opened), Message::new(5, command::CBOR, info)]
    {
        script.1.extend(message.packets().expect("it fits"));
    }
    script.1.extend([packets[0], packets[2], packets[1], packets[3]]);
    let mut token = Token::open(Box::new(script), *b"a nonce!").expect("it answers");
    let refused = token.ask_within(&[4], LIMIT);
    assert!(matches!(refused, Err(TokenError::Frame(hid::FrameError::Sequence { .. }))), "{refused:?}");
}

#[test]
fn a_token_of_the_old_kind_is_named_as_such() {
    let payload = [&b"a nonce!"[..], &[0, 0, 0, 5, 2, 0, 0, 0, 1]].concat();
    let script = Script([Message::new(hid::BROADCAST, command::INIT, payload)].into(), VecDeque::new());
    let refused = Token::open(Box::new(script), *b"a nonce!").err();
    assert!(matches!(refused, Some(TokenError::NotCtap2)), "{refused:?}");
}

/// Numbers that look random, from a seed (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % below
    }
}

/// A wire that turns one bit of the payload of some packets, once it is told to.
struct BadWire {
    inner: Socket,
    dice: Dice,
    is_bad: Rc<Cell<bool>>,
}

impl Transport for BadWire {
    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        self.inner.send(packet)
    }

    fn receive(&mut self, limit: Duration) -> io::Result<Option<Packet>> {
        let mut packet = self.inner.receive(limit)?;
        if let Some(packet) = packet.as_mut().filter(|_| self.is_bad.get() && self.dice.next(3) == 0) {
            packet[7 + self.dice.next(57)] ^= 1 << self.dice.next(8);
        }
        Ok(packet)
    }
}

#[test]
fn a_bad_wire_never_makes_an_approval_of_something_else() {
    const SEED: u64 = 0x7041_c3a7;
    let (socket, _thread) = emulate(Behaviour::Touch, PATIENCE);
    let is_bad = Rc::new(Cell::new(false));
    let wire = BadWire { inner: socket, dice: Dice(SEED), is_bad: is_bad.clone() };
    let mut token = Token::open(Box::new(wire), *b"a nonce!").expect("it answers");
    let own = register(&mut token, &[]).expect("it makes one");
    let stranger = Digest([0xee; 32]);
    let (mut held, mut refused) = (0, 0);
    is_bad.set(true);
    for round in 0..200_u8 {
        let digest = Digest([round; 32]);
        match touch(&mut token, &own, digest).map(|assertion| (check(&own, digest, 0, &assertion), assertion))
        {
            Ok((Ok(_), assertion)) => {
                held += 1;
                let other = check(&own, stranger, 0, &assertion);
                assert_eq!(other, Err(AssertionError::Signature), "seed {SEED:#x}, round {round}");
            }
            Ok((Err(_), _)) | Err(_) => refused += 1,
        }
    }
    assert!(held > 0 && refused > 20, "seed {SEED:#x}: {held} held, {refused} refused");
}

#[test]
fn random_packets_do_not_break_the_token() {
    const SEED: u64 = 0x0bad_f00d;
    let mut dice = Dice(SEED);
    let (socket, _thread) = emulate(Behaviour::Touch, PATIENCE);
    let mut raw = Raw(socket);
    let channel = raw.channel();
    let get = GetAssertion {
        rp_id: RP.into(),
        client_data_hash: [1; 32],
        allow: vec![vec![1; 32]],
        user_presence: true,
        user_verification: false,
    };
    for round in 0..2000 {
        let mut payload = if dice.next(2) == 0 { make_bytes() } else { get.to_bytes() };
        for _ in 0..=dice.next(4) {
            let at = dice.next(payload.len());
            payload[at] = u8::try_from(dice.next(256)).expect("a byte");
        }
        raw.send(&Message::new(channel, command::CBOR, payload));
        let answer = std::iter::repeat_with(|| raw.receive())
            .take(10)
            .find(|message| message.command == command::CBOR);
        let answer = answer.unwrap_or_else(|| panic!("seed {SEED:#x}, round {round}: no answer"));
        // Nothing it says to a request for a signature is one: it has no such key.
        if ctap::answer(&answer.payload).is_ok_and(|rest| AssertionAnswer::from_bytes(rest).is_ok()) {
            panic!("seed {SEED:#x}, round {round}: {answer:?}");
        }
    }
    raw.channel();
}
