//! A token in software, for tests and drills: the same messages in the same packets, over a socket.
//!
//! It is no token. Its keys live in this process and die with it, anyone who can reach the socket can
//! touch it, and it says so in its AAGUID.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use approval::{Aaguid, PublicKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::Transport;
use super::ctap::{AssertionAnswer, GetAssertion, Info, MakeCredential, Status, command, self_attested};
use super::hid::{self, Assembler, FrameError, Message, PACKET_BYTES, Packet};
use super::usb::is_readable;

/// What it calls its model.
pub const AAGUID: [u8; 16] = Aaguid::SOFTWARE.0;
/// Most keys it makes.
const MAX_KEYS: usize = 64;
/// Most channels it gives out.
const MAX_CHANNELS: u32 = 1024;
/// How often it says that it waits (CTAP 2.1 §11.2.9.1.7).
const KEEPALIVE: Duration = Duration::from_millis(100);
/// How long it waits for a finger (§6.1.2).
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the finger does that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Behaviour {
    /// Touches at once.
    Touch,
    /// Declines.
    Refuse,
    /// Never comes.
    Ignore,
}

/// Packets over a socket: 64 bytes each, nothing between them.
pub struct Socket {
    stream: UnixStream,
    partial: Vec<u8>,
}

impl Socket {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, partial: Vec::with_capacity(PACKET_BYTES) }
    }

    pub fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::new)
    }
}

impl Transport for Socket {
    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        self.stream.write_all(packet)
    }

    fn receive(&mut self, limit: Duration) -> io::Result<Option<Packet>> {
        let deadline = Instant::now() + limit;
        loop {
            if !is_readable(&self.stream, deadline.saturating_duration_since(Instant::now()))? {
                return Ok(None);
            }
            let mut buffer = [0; PACKET_BYTES];
            let room = PACKET_BYTES - self.partial.len();
            let read = self.stream.read(&mut buffer[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.partial.extend_from_slice(&buffer[..read]);
            if let Ok(packet) = Packet::try_from(&*self.partial) {
                self.partial.clear();
                return Ok(Some(packet));
            }
        }
    }
}

/// Serves one connection after another at `path`, for ever.
pub fn emulate(path: &Path, behaviour: Behaviour) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let mut authenticator = Authenticator::new(behaviour, PATIENCE);
    loop {
        let (stream, _) = listener.accept()?;
        // Whoever hangs up ends their connection, not the token.
        drop(authenticator.serve(&mut Socket::new(stream)));
    }
}

struct Key {
    rp_id_hash: [u8; 32],
    pair: EcdsaKeyPair,
}

/// The authenticator itself.
pub struct Authenticator {
    behaviour: Behaviour,
    patience: Duration,
    keys: BTreeMap<Vec<u8>, Key>,
    counter: u32,
    channels: u32,
}

/// How the wait for a finger ended.
enum Finger {
    Came,
    Ended(Status),
}

impl Authenticator {
    pub fn new(behaviour: Behaviour, patience: Duration) -> Self {
        Self { behaviour, patience, keys: BTreeMap::new(), counter: 0, channels: 0 }
    }

    /// Answers packets until the other side hangs up.
    pub fn serve(&mut self, transport: &mut dyn Transport) -> io::Result<()> {
        let mut assembler = Assembler::default();
        loop {
            let Some(packet) = transport.receive(Duration::from_secs(60))? else { continue };
            let channel = hid::channel_of(&packet);
            let known = channel != 0 && (channel == hid::BROADCAST || channel <= self.channels);
            let begins = hid::begins(&packet);
            if !known {
                refuse(transport, channel, hid::error::INVALID_CHANNEL)?;
                continue;
            }
            // One message at a time: others wait, unless they ask for a channel (§11.2.5.1).
            let other = assembler.open_channel().is_some_and(|open| open != channel);
            if other && begins != Some(hid::command::INIT) {
                if begins.is_some() {
                    refuse(transport, channel, hid::error::CHANNEL_BUSY)?;
                }
                continue;
            }
            if other {
                if let Ok(Some(message)) = Assembler::default().push(&packet) {
                    self.message(transport, &message)?;
                }
                continue;
            }
            match assembler.push(&packet) {
                Ok(Some(message)) => self.message(transport, &message)?,
                Ok(None) | Err(FrameError::NoFirst) => {}
                Err(FrameError::Sequence { .. }) => refuse(transport, channel, hid::error::INVALID_SEQUENCE)?,
                Err(FrameError::TooLong(_)) => refuse(transport, channel, hid::error::INVALID_LENGTH)?,
            }
        }
    }

    fn message(&mut self, transport: &mut dyn Transport, message: &Message) -> io::Result<()> {
        let channel = message.channel;
        match message.command {
            hid::command::INIT => {
                let Ok(nonce) = <[u8; 8]>::try_from(&*message.payload) else {
                    return refuse(transport, channel, hid::error::INVALID_LENGTH);
                };
                let mut given = channel;
                if channel == hid::BROADCAST {
                    self.channels = (self.channels + 1).min(MAX_CHANNELS);
                    given = self.channels;
                }
                // Protocol 2, device version 0.0.0, and: speaks CBOR, not the messages of CTAP1.
                let payload = [&nonce[..], &given.to_be_bytes(), &[2, 0, 0, 0, 0x04 | 0x08]].concat();
                send(transport, &Message::new(channel, hid::command::INIT, payload))
            }
            hid::command::CBOR if channel != hid::BROADCAST => {
                let answer = match self.command(transport, channel, &message.payload)? {
                    Ok(answer) => answer,
                    Err(status) => vec![status.code()],
                };
                send(transport, &Message::new(channel, hid::command::CBOR, answer))
            }
            // Nothing waits, so there is nothing to take back.
            hid::command::CANCEL => Ok(()),
            _ => refuse(transport, channel, hid::error::INVALID_COMMAND),
        }
    }

    fn command(
        &mut self,
        transport: &mut dyn Transport,
        channel: u32,
        request: &[u8],
    ) -> io::Result<Result<Vec<u8>, Status>> {
        let Some((code, fields)) = request.split_first() else { return Ok(Err(Status::InvalidCbor)) };
        match *code {
            command::GET_INFO => Ok(Ok(info().to_bytes())),
            command::MAKE_CREDENTIAL => {
                let request = match MakeCredential::from_bytes(fields).map_err(|_| Status::InvalidCbor) {
                    Ok(request) => request,
                    Err(status) => return Ok(Err(status)),
                };
                Ok(match self.wait_for_finger(transport, channel)? {
                    Finger::Came => self.make(&request),
                    Finger::Ended(status) => Err(status),
                })
            }
            command::GET_ASSERTION => {
                let request = match GetAssertion::from_bytes(fields).map_err(|_| Status::InvalidCbor) {
                    Ok(request) => request,
                    Err(status) => return Ok(Err(status)),
                };
                if request.user_presence
                    && let Finger::Ended(status) = self.wait_for_finger(transport, channel)?
                {
                    return Ok(Err(status));
                }
                Ok(self.assert(&request))
            }
            _ => Ok(Err(Status::InvalidCommand)),
        }
    }

    /// Says that it waits, and waits: for no time, or until cancelled or out of patience.
    fn wait_for_finger(&mut self, transport: &mut dyn Transport, channel: u32) -> io::Result<Finger> {
        let waits = Message::new(channel, hid::command::KEEPALIVE, [hid::TOUCH_NEEDED]);
        send(transport, &waits)?;
        match self.behaviour {
            Behaviour::Touch => return Ok(Finger::Came),
            Behaviour::Refuse => return Ok(Finger::Ended(Status::OperationDenied)),
            Behaviour::Ignore => {}
        }
        let end = Instant::now() + self.patience;
        let mut next = Instant::now() + KEEPALIVE;
        while Instant::now() < end {
            if let Some(packet) =
                transport.receive(next.min(end).saturating_duration_since(Instant::now()))?
            {
                let from = hid::channel_of(&packet);
                match hid::begins(&packet) {
                    Some(hid::command::CANCEL) if from == channel => {
                        return Ok(Finger::Ended(Status::KeepaliveCancel));
                    }
                    Some(_) => refuse(transport, from, hid::error::CHANNEL_BUSY)?,
                    None => {}
                }
            }
            if Instant::now() >= next {
                send(transport, &waits)?;
                next = Instant::now() + KEEPALIVE;
            }
        }
        Ok(Finger::Ended(Status::UserActionTimeout))
    }

    fn make(&mut self, request: &MakeCredential) -> Result<Vec<u8>, Status> {
        let rp_id_hash = sha256(request.rp_id.as_bytes());
        if !request.algorithms.contains(&PublicKey::ES256) {
            return Err(Status::UnsupportedAlgorithm);
        }
        if request.user_verification {
            return Err(Status::UnsupportedOption);
        }
        let is_own = |id: &Vec<u8>| self.keys.get(id).is_some_and(|key| key.rp_id_hash == rp_id_hash);
        if request.exclude.iter().any(is_own) {
            return Err(Status::CredentialExcluded);
        }
        let failed = |_| Status::Other(0x7f);
        if self.keys.len() >= MAX_KEYS {
            return Err(Status::Other(0x28));
        }
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let mut id = vec![0; 32];
        keys::fill_random(&mut id);
        let point = pair.public_key().as_ref();
        let coordinate = |at: usize| point.get(at..at + 32).and_then(|part| part.try_into().ok());
        let (Some(x), Some(y)) = (coordinate(1), coordinate(33)) else { return Err(Status::Other(0x7f)) };
        let public_key = PublicKey::Es256 { x, y };
        let mut data = self.authenticator_data(&rp_id_hash, 0x41);
        data.extend_from_slice(&AAGUID);
        data.extend_from_slice(&[0, 32]);
        data.extend_from_slice(&id);
        data.extend_from_slice(&public_key.to_cose());
        let signature = sign(&pair, &data, &request.client_data_hash)?;
        self.keys.insert(id, Key { rp_id_hash, pair });
        Ok(self_attested(&data, PublicKey::ES256, &signature))
    }

    fn assert(&mut self, request: &GetAssertion) -> Result<Vec<u8>, Status> {
        let rp_id_hash = sha256(request.rp_id.as_bytes());
        if request.user_verification {
            return Err(Status::UnsupportedOption);
        }
        let own = |id: &&Vec<u8>| self.keys.get(*id).is_some_and(|key| key.rp_id_hash == rp_id_hash);
        let id = request.allow.iter().find(own).ok_or(Status::NoCredentials)?.clone();
        let data = self.authenticator_data(&rp_id_hash, u8::from(request.user_presence));
        let signature = sign(&self.keys[&id].pair, &data, &request.client_data_hash)?;
        Ok(AssertionAnswer { credential: Some(id), authenticator_data: data, signature }.to_bytes())
    }

    fn authenticator_data(&mut self, rp_id_hash: &[u8; 32], flags: u8) -> Vec<u8> {
        self.counter += 1;
        [&rp_id_hash[..], &[flags], &self.counter.to_be_bytes()].concat()
    }
}

fn info() -> Info {
    Info { versions: vec!["FIDO_2_0".into()], aaguid: AAGUID, options: vec!["up".into()], max_credentials: 4 }
}

fn sign(pair: &EcdsaKeyPair, data: &[u8], client_data_hash: &[u8; 32]) -> Result<Vec<u8>, Status> {
    let message = [data, client_data_hash].concat();
    let signature = pair.sign(&SystemRandom::new(), &message).map_err(|_| Status::Other(0x7f))?;
    Ok(signature.as_ref().to_vec())
}

fn send(transport: &mut dyn Transport, message: &Message) -> io::Result<()> {
    let packets = message.packets().map_err(io::Error::other)?;
    packets.iter().try_for_each(|packet| transport.send(packet))
}

fn refuse(transport: &mut dyn Transport, channel: u32, code: u8) -> io::Result<()> {
    send(transport, &Message::new(channel, hid::command::ERROR, [code]))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
