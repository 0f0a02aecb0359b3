//! The side that asks: a channel to one token, commands on it, and the wait for a touch.

use std::io;
use std::time::{Duration, Instant};

use approval::{Assertion, Client, CredentialId, Registration};
use thiserror::Error;

use super::Transport;
use super::ctap::{self, AssertionAnswer, GetAssertion, Info, MakeCredential, Status};
use super::hid::{self, Assembler, FrameError, Message, command};

/// Longest wait for an answer that needs no touch.
const QUICK: Duration = Duration::from_secs(3);
/// Longest wait for a touch; tokens themselves give up after 30 seconds.
const TOUCH_LIMIT: Duration = Duration::from_secs(35);
/// How long to wait before asking again where the token serves another program.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Most keys asked about at once, whatever the token allows: the request stays below 1 KiB or so.
const MAX_ALLOWED: usize = 8;

/// Why a token did not do what was asked.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The device went away or cannot be used.
    #[error("the token cannot be reached")]
    Io(#[from] io::Error),
    /// Packets that make no message.
    #[error("the token sent packets that make no message: {0}")]
    Frame(#[from] FrameError),
    /// An error of CTAPHID.
    #[error("the token refused the message (CTAPHID error 0x{0:02x})")]
    Hid(u8),
    /// An answer to something else, or none of the form of one.
    #[error("the token's answer is not one to what was asked")]
    Answer,
    /// A token that knows CTAP1 only.
    #[error("the token does not speak CTAP2; use a FIDO2 token")]
    NotCtap2,
    /// Another program has it.
    #[error("the token serves another program; try again")]
    Busy,
    /// No answer.
    #[error("the token did not answer in time")]
    TimedOut,
    /// Nobody touched it.
    #[error("nobody touched the token in time")]
    NotTouched,
    /// Someone declined.
    #[error("the token was told to refuse")]
    Refused,
    /// None of the keys asked for.
    #[error("this token holds none of the keys on the list; plug in another or add it: seawall token add")]
    NoCredentials,
    /// A token that is listed.
    #[error("this token is on the list already")]
    Excluded,
    /// A token that asks for its PIN.
    #[error(
        "the token asks for its PIN, which this program does not send yet; use a token without a PIN, or with \
         a fingerprint reader"
    )]
    PinRequired,
    /// Any other end.
    #[error(transparent)]
    Status(Status),
}

impl From<Status> for TokenError {
    fn from(status: Status) -> Self {
        match status {
            Status::OperationDenied => Self::Refused,
            Status::UserActionTimeout | Status::KeepaliveCancel => Self::NotTouched,
            Status::NoCredentials => Self::NoCredentials,
            Status::CredentialExcluded => Self::Excluded,
            Status::PinRequired => Self::PinRequired,
            other => Self::Status(other),
        }
    }
}

/// A token with a channel to it.
pub struct Token {
    transport: Box<dyn Transport>,
    channel: u32,
    info: Info,
}

impl Token {
    /// Asks for a channel, with a random `nonce` to know the answer by, and what the token is.
    pub fn open(transport: Box<dyn Transport>, nonce: [u8; 8]) -> Result<Self, TokenError> {
        let mut token = Self { transport, channel: hid::BROADCAST, info: Info::default() };
        token.send(&Message::new(hid::BROADCAST, command::INIT, nonce))?;
        let deadline = Instant::now() + QUICK;
        let capabilities = loop {
            // Other programs' answers come on this channel too.
            let Some(message) = token.receive(deadline)? else { return Err(TokenError::TimedOut) };
            if message.command == command::INIT
                && message.payload.len() >= 17
                && message.payload.starts_with(&nonce)
            {
                let channel = &message.payload[8..12];
                token.channel = channel.iter().fold(0, |channel, byte| channel << 8 | u32::from(*byte));
                break message.payload[16];
            }
        };
        if capabilities & 0x04 == 0 {
            return Err(TokenError::NotCtap2);
        }
        let answer = token.cbor(&[ctap::command::GET_INFO], QUICK, &mut || ())?;
        token.info = Info::from_bytes(&answer).map_err(|_| TokenError::Answer)?;
        Ok(token)
    }

    /// What the token says of itself.
    pub fn aaguid(&self) -> [u8; 16] {
        self.info.aaguid
    }

    /// Versions of the standard it speaks.
    pub fn versions(&self) -> &[String] {
        &self.info.versions
    }

    /// Whether it can check who touches it without a PIN.
    pub fn verifies_users(&self) -> bool {
        self.info.has("uv")
    }

    /// Has the token make a key. `waiting` is called once it waits for a touch.
    pub fn make_credential(
        &mut self,
        request: &MakeRequest<'_>,
        waiting: &mut dyn FnMut(),
    ) -> Result<Registration, TokenError> {
        let request = MakeCredential {
            client_data_hash: *request.challenge,
            rp_id: request.rp_id.to_owned(),
            user_id: request.user.as_bytes().to_vec(),
            user_name: request.user.to_owned(),
            algorithms: vec![approval::PublicKey::ES256, approval::PublicKey::EDDSA],
            exclude: request.exclude.iter().take(MAX_ALLOWED).map(|id| id.as_slice().to_vec()).collect(),
            user_verification: self.verifies_users(),
        };
        let attestation_object = self.cbor(&request.to_bytes(), TOUCH_LIMIT, waiting)?;
        Ok(Registration { attestation_object, client: Client::Direct })
    }

    /// Has the token sign `digest` with the one of `allowed` that it holds, after a touch.
    pub fn assert(
        &mut self,
        rp_id: &str,
        digest: &[u8; 32],
        allowed: &[&CredentialId],
        user_verification: bool,
        waiting: &mut dyn FnMut(),
    ) -> Result<Assertion, TokenError> {
        let own = self.held(rp_id, allowed)?;
        let request = GetAssertion {
            rp_id: rp_id.to_owned(),
            client_data_hash: *digest,
            allow: vec![own.as_slice().to_vec()],
            user_presence: true,
            user_verification,
        };
        let answer = self.cbor(&request.to_bytes(), TOUCH_LIMIT, waiting)?;
        let answer = AssertionAnswer::from_bytes(&answer).map_err(|_| TokenError::Answer)?;
        if answer.credential.is_some_and(|id| id != own.as_slice()) {
            return Err(TokenError::Answer);
        }
        Ok(Assertion {
            credential: own,
            authenticator_data: answer.authenticator_data,
            signature: answer.signature,
            client: Client::Direct,
        })
    }

    /// Which of `allowed` this token holds, asked without a touch and over a digest of zeroes.
    fn held(&mut self, rp_id: &str, allowed: &[&CredentialId]) -> Result<CredentialId, TokenError> {
        for some in allowed.chunks(self.info.max_credentials.clamp(1, MAX_ALLOWED)) {
            let request = GetAssertion {
                rp_id: rp_id.to_owned(),
                client_data_hash: [0; 32],
                allow: some.iter().map(|id| id.as_slice().to_vec()).collect(),
                user_presence: false,
                user_verification: false,
            };
            let answer = match self.cbor(&request.to_bytes(), QUICK, &mut || ()) {
                Ok(answer) => AssertionAnswer::from_bytes(&answer).map_err(|_| TokenError::Answer)?,
                Err(TokenError::NoCredentials) => continue,
                Err(error) => return Err(error),
            };
            let named = answer.credential.and_then(|id| CredentialId::from_slice(&id).ok());
            let held = named.or_else(|| some.first().filter(|_| some.len() == 1).map(|id| (*id).clone()));
            return held.filter(|id| some.contains(&id)).ok_or(TokenError::Answer);
        }
        Err(TokenError::NoCredentials)
    }

    /// Sends a command and waits for the answer to it, the status taken off.
    fn cbor(
        &mut self,
        request: &[u8],
        limit: Duration,
        waiting: &mut dyn FnMut(),
    ) -> Result<Vec<u8>, TokenError> {
        let deadline = Instant::now() + limit;
        let message = Message::new(self.channel, command::CBOR, request);
        self.send(&message)?;
        let mut told = false;
        loop {
            let Some(answer) = self.receive(deadline)? else {
                return Err(self.give_up()?);
            };
            match (answer.command, &*answer.payload) {
                (command::CBOR, payload) => return Ok(ctap::answer(payload)?.to_vec()),
                (command::KEEPALIVE, [hid::TOUCH_NEEDED, ..]) if !told => {
                    told = true;
                    waiting();
                }
                (command::KEEPALIVE, _) => {}
                (command::ERROR, [hid::error::CHANNEL_BUSY, ..]) => {
                    // Nothing of ours comes until we ask again, so this is a pause.
                    let pause = Instant::now() + BUSY_PAUSE;
                    if pause >= deadline {
                        return Err(TokenError::Busy);
                    }
                    drop(self.receive(pause)?);
                    self.send(&message)?;
                }
                (command::ERROR, [code, ..]) => return Err(TokenError::Hid(*code)),
                _ => return Err(TokenError::Answer),
            }
        }
    }

    /// Takes the command back, so that the token does not go on blinking; what to say of it.
    fn give_up(&mut self) -> Result<TokenError, TokenError> {
        self.send(&Message::new(self.channel, command::CANCEL, []))?;
        let deadline = Instant::now() + QUICK;
        while let Some(answer) = self.receive(deadline)? {
            if answer.command == command::CBOR {
                // A touch at the last moment is dropped too: the caller has been told that time is up.
                return Ok(TokenError::NotTouched);
            }
        }
        Ok(TokenError::TimedOut)
    }

    fn send(&mut self, message: &Message) -> Result<(), TokenError> {
        for packet in message.packets()? {
            self.transport.send(&packet)?;
        }
        Ok(())
    }

    /// The next message on our channel; `None` when the time is up. Other channels are not ours to read.
    fn receive(&mut self, deadline: Instant) -> Result<Option<Message>, TokenError> {
        let mut assembler = Assembler::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let Some(packet) = self.transport.receive(left)? else { continue };
            if hid::channel_of(&packet) != self.channel {
                continue;
            }
            if let Some(message) = assembler.push(&packet)? {
                return Ok(Some(message));
            }
        }
    }
}

/// What a new key is for.
pub struct MakeRequest<'a> {
    /// The hash the token signs.
    pub challenge: &'a [u8; 32],
    /// For whom.
    pub rp_id: &'a str,
    /// Whose it is.
    pub user: &'a str,
    /// Keys on the list already.
    pub exclude: &'a [&'a CredentialId],
}

#[cfg(test)]
impl Token {
    /// Asks for a touch that need not come, with a limit of the caller's.
    pub(super) fn ask_within(&mut self, request: &[u8], limit: Duration) -> Result<Vec<u8>, TokenError> {
        self.cbor(request, limit, &mut || ())
    }
}
