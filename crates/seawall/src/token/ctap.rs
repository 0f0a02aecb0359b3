//! The messages of CTAP2 that we use, both ways (CTAP 2.1 §6): make-credential, get-assertion, get-info.
//!
//! Requests are written in CTAP2's canonical CBOR. Unknown fields of answers are passed over, as the
//! standard asks; known ones must have their type, and nothing may stand behind the end.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};
use thiserror::Error;

/// Most entries of any list or map that are read.
const MAX_ENTRIES: u64 = 64;

/// A command, by its number.
pub mod command {
    pub const MAKE_CREDENTIAL: u8 = 0x01;
    pub const GET_ASSERTION: u8 = 0x02;
    pub const GET_INFO: u8 = 0x04;
}

/// How a command ended (§6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the token answered {self:?} (0x{code:02x})", code = self.code())]
pub enum Status {
    InvalidCommand,
    InvalidCbor,
    MissingParameter,
    CredentialExcluded,
    UnsupportedAlgorithm,
    OperationDenied,
    UnsupportedOption,
    KeepaliveCancel,
    NoCredentials,
    UserActionTimeout,
    PinRequired,
    Other(u8),
}

impl Status {
    const KNOWN: [(u8, Self); 11] = [
        (0x01, Self::InvalidCommand),
        (0x12, Self::InvalidCbor),
        (0x14, Self::MissingParameter),
        (0x19, Self::CredentialExcluded),
        (0x26, Self::UnsupportedAlgorithm),
        (0x27, Self::OperationDenied),
        (0x2b, Self::UnsupportedOption),
        (0x2d, Self::KeepaliveCancel),
        (0x2e, Self::NoCredentials),
        (0x2f, Self::UserActionTimeout),
        (0x36, Self::PinRequired),
    ];

    fn of(code: u8) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|(known, _)| *known == code)
            .map_or(Self::Other(code), |(_, status)| status)
    }

    pub fn code(self) -> u8 {
        match self {
            Self::Other(code) => code,
            known => {
                Self::KNOWN.into_iter().find(|(_, status)| *status == known).map_or(0x7f, |(code, _)| code)
            }
        }
    }
}

/// Takes the status off an answer.
pub fn answer(bytes: &[u8]) -> Result<&[u8], Status> {
    match bytes.split_first() {
        Some((0, rest)) => Ok(rest),
        Some((code, _)) => Err(Status::of(*code)),
        None => Err(Status::InvalidCbor),
    }
}

/// Asks for a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakeCredential {
    pub client_data_hash: [u8; 32],
    pub rp_id: String,
    pub user_id: Vec<u8>,
    pub user_name: String,
    /// COSE numbers, the preferred first.
    pub algorithms: Vec<i64>,
    /// Keys that are listed already: a token that holds one refuses.
    pub exclude: Vec<Vec<u8>>,
    pub user_verification: bool,
}

/// Asks for a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAssertion {
    pub rp_id: String,
    pub client_data_hash: [u8; 32],
    pub allow: Vec<Vec<u8>>,
    /// Whether to wait for a touch; without, it only tells whether the token has such a key.
    pub user_presence: bool,
    pub user_verification: bool,
}

/// The answer to [`GetAssertion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionAnswer {
    /// May be left out where one key was allowed.
    pub credential: Option<Vec<u8>>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
}

/// The answer to get-info, as far as we ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    pub versions: Vec<String>,
    pub aaguid: [u8; 16],
    /// Options that are there and on, such as `uv` (a reader of fingers) or `clientPin` (a PIN is set).
    pub options: Vec<String>,
    /// Most keys in an allow list; the standard's silence means that one is safe.
    pub max_credentials: usize,
}

type Written = Result<(), EncodeError<std::convert::Infallible>>;

fn request(command: u8, write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut encoder = Encoder::new(vec![command]);
    write(&mut encoder).expect("a vector takes every byte");
    encoder.into_writer()
}

fn credentials(out: &mut Encoder<Vec<u8>>, ids: &[Vec<u8>]) -> Written {
    out.array(ids.len() as u64)?;
    ids.iter().try_for_each(|id| out.map(2)?.str("id")?.bytes(id)?.str("type")?.str("public-key")?.ok())
}

impl MakeCredential {
    pub fn to_bytes(&self) -> Vec<u8> {
        request(command::MAKE_CREDENTIAL, |out| {
            let fields = 4 + u64::from(!self.exclude.is_empty()) + u64::from(self.user_verification);
            out.map(fields)?.u8(1)?.bytes(&self.client_data_hash)?;
            out.u8(2)?.map(2)?.str("id")?.str(&self.rp_id)?.str("name")?.str(&self.rp_id)?;
            out.u8(3)?.map(2)?.str("id")?.bytes(&self.user_id)?.str("name")?.str(&self.user_name)?;
            out.u8(4)?.array(self.algorithms.len() as u64)?;
            for algorithm in &self.algorithms {
                out.map(2)?.str("alg")?.i64(*algorithm)?.str("type")?.str("public-key")?;
            }
            if !self.exclude.is_empty() {
                out.u8(5)?;
                credentials(out, &self.exclude)?;
            }
            if self.user_verification {
                out.u8(7)?.map(1)?.str("uv")?.bool(true)?;
            }
            Ok(())
        })
    }

    /// Reads what follows the command's number.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut read = Self {
            client_data_hash: [0; 32],
            rp_id: String::new(),
            user_id: Vec::new(),
            user_name: String::new(),
            algorithms: Vec::new(),
            exclude: Vec::new(),
            user_verification: false,
        };
        let mut seen = 0_u8;
        whole_map(bytes, |input, key| {
            match key {
                1 => read.client_data_hash = fixed(input)?,
                2 => entries(input, |input, key| match key {
                    "id" => input.str().map(|text| read.rp_id = text.to_owned()),
                    _ => input.skip(),
                })?,
                3 => entries(input, |input, key| match key {
                    "id" => input.bytes().map(|bytes| read.user_id = bytes.to_vec()),
                    "name" => input.str().map(|text| read.user_name = text.to_owned()),
                    _ => input.skip(),
                })?,
                4 => items(input, |input| {
                    entries(input, |input, key| match key {
                        "alg" => input.i64().map(|number| read.algorithms.push(number)),
                        _ => input.skip(),
                    })
                })?,
                5 => read.exclude = read_credentials(input)?,
                7 => entries(input, |input, key| match key {
                    "uv" => input.bool().map(|on| read.user_verification = on),
                    _ => input.skip(),
                })?,
                _ => return input.skip(),
            }
            seen |= 1 << key;
            Ok(())
        })?;
        if seen & 0b1_1110 == 0b1_1110 { Ok(read) } else { Err(DecodeError::message("a field is missing")) }
    }
}

impl GetAssertion {
    pub fn to_bytes(&self) -> Vec<u8> {
        request(command::GET_ASSERTION, |out| {
            let options = u64::from(!self.user_presence) + u64::from(self.user_verification);
            out.map(3 + u64::from(options > 0))?;
            out.u8(1)?.str(&self.rp_id)?.u8(2)?.bytes(&self.client_data_hash)?.u8(3)?;
            credentials(out, &self.allow)?;
            if options > 0 {
                out.u8(5)?.map(options)?;
            }
            if !self.user_presence {
                out.str("up")?.bool(false)?;
            }
            if self.user_verification {
                out.str("uv")?.bool(true)?;
            }
            Ok(())
        })
    }

    /// Reads what follows the command's number.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut read = Self {
            rp_id: String::new(),
            client_data_hash: [0; 32],
            allow: Vec::new(),
            user_presence: true,
            user_verification: false,
        };
        let mut seen = 0_u8;
        whole_map(bytes, |input, key| {
            match key {
                1 => input.str()?.clone_into(&mut read.rp_id),
                2 => read.client_data_hash = fixed(input)?,
                3 => read.allow = read_credentials(input)?,
                5 => entries(input, |input, key| match key {
                    "up" => input.bool().map(|on| read.user_presence = on),
                    "uv" => input.bool().map(|on| read.user_verification = on),
                    _ => input.skip(),
                })?,
                _ => return input.skip(),
            }
            seen |= 1 << key;
            Ok(())
        })?;
        if seen & 0b110 == 0b110 { Ok(read) } else { Err(DecodeError::message("a field is missing")) }
    }
}

impl AssertionAnswer {
    pub fn to_bytes(&self) -> Vec<u8> {
        request(0, |out| {
            out.map(2 + u64::from(self.credential.is_some()))?;
            if let Some(id) = &self.credential {
                out.u8(1)?.map(2)?.str("id")?.bytes(id)?.str("type")?.str("public-key")?;
            }
            out.u8(2)?.bytes(&self.authenticator_data)?.u8(3)?.bytes(&self.signature)?.ok()
        })
    }

    /// Reads what follows the status.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut credential, mut data, mut signature) = (None, None, None);
        whole_map(bytes, |input, key| match key {
            1 => {
                credential = Some(credential_id(input)?);
                Ok(())
            }
            2 => input.bytes().map(|bytes| data = Some(bytes.to_vec())),
            3 => input.bytes().map(|bytes| signature = Some(bytes.to_vec())),
            _ => input.skip(),
        })?;
        match (data, signature) {
            (Some(authenticator_data), Some(signature)) => {
                Ok(Self { credential, authenticator_data, signature })
            }
            _ => Err(DecodeError::message("a field is missing")),
        }
    }
}

impl Info {
    pub fn to_bytes(&self) -> Vec<u8> {
        request(0, |out| {
            out.map(4)?.u8(1)?.array(self.versions.len() as u64)?;
            self.versions.iter().try_for_each(|version| out.str(version)?.ok())?;
            out.u8(3)?.bytes(&self.aaguid)?.u8(4)?.map(self.options.len() as u64)?;
            self.options.iter().try_for_each(|option| out.str(option)?.bool(true)?.ok())?;
            out.u8(7)?.u64(self.max_credentials as u64)?.ok()
        })
    }

    /// Reads what follows the status.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut info = Self { max_credentials: 1, ..Self::default() };
        whole_map(bytes, |input, key| match key {
            1 => items(input, |input| input.str().map(|text| info.versions.push(text.to_owned()))),
            3 => fixed(input).map(|aaguid| info.aaguid = aaguid),
            4 => entries(input, |input, key| {
                if input.bool()? {
                    info.options.push(key.to_owned());
                }
                Ok(())
            }),
            7 => {
                input.u64().map(|most| info.max_credentials = usize::try_from(most.clamp(1, 64)).unwrap_or(1))
            }
            _ => input.skip(),
        })?;
        Ok(info)
    }

    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }
}

/// Writes the answer to make-credential: packed attestation by the new key itself.
pub fn self_attested(authenticator_data: &[u8], algorithm: i64, signature: &[u8]) -> Vec<u8> {
    request(0, |out| {
        out.map(3)?.u8(1)?.str("packed")?.u8(2)?.bytes(authenticator_data)?.u8(3)?;
        out.map(2)?.str("alg")?.i64(algorithm)?.str("sig")?.bytes(signature)?.ok()
    })
}

fn whole_map<'a>(
    bytes: &'a [u8],
    mut field: impl FnMut(&mut Decoder<'a>, u64) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut input = Decoder::new(bytes);
    let mut before = None;
    for _ in 0..count(input.map()?)? {
        let key = input.u64()?;
        // Canonical CBOR has keys ascending, so none comes twice.
        if before.replace(key).is_some_and(|before| before >= key) {
            return Err(DecodeError::message("keys are not ascending"));
        }
        field(&mut input, key)?;
    }
    if input.position() == bytes.len() { Ok(()) } else { Err(DecodeError::message("bytes behind the end")) }
}

fn entries<'a>(
    input: &mut Decoder<'a>,
    mut entry: impl FnMut(&mut Decoder<'a>, &'a str) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..count(input.map()?)? {
        let key = input.str()?;
        entry(input, key)?;
    }
    Ok(())
}

fn items<'a>(
    input: &mut Decoder<'a>,
    mut item: impl FnMut(&mut Decoder<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..count(input.array()?)? {
        item(input)?;
    }
    Ok(())
}

fn read_credentials(input: &mut Decoder<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut ids = Vec::new();
    items(input, |input| {
        ids.push(credential_id(input)?);
        Ok(())
    })?;
    Ok(ids)
}

fn credential_id(input: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    let mut id = None;
    entries(input, |input, key| match key {
        "id" => input.bytes().map(|bytes| id = Some(bytes.to_vec())),
        _ => input.skip(),
    })?;
    id.ok_or_else(|| DecodeError::message("a credential without an id"))
}

fn count(length: Option<u64>) -> Result<u64, DecodeError> {
    length
        .filter(|length| *length <= MAX_ENTRIES)
        .ok_or_else(|| DecodeError::message("a length out of range"))
}

fn fixed<const N: usize>(input: &mut Decoder<'_>) -> Result<[u8; N], DecodeError> {
    input.bytes()?.try_into().map_err(|_| DecodeError::message("a byte string of another length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make() -> MakeCredential {
        MakeCredential {
            client_data_hash: [7; 32],
            rp_id: "desk.example".into(),
            user_id: vec![1, 2],
            user_name: "alice".into(),
            algorithms: vec![-7, -8],
            exclude: vec![vec![9; 20]],
            user_verification: true,
        }
    }

    fn get() -> GetAssertion {
        GetAssertion {
            rp_id: "desk.example".into(),
            client_data_hash: [7; 32],
            allow: vec![vec![1; 16], vec![2; 64]],
            user_presence: false,
            user_verification: true,
        }
    }

    #[test]
    fn requests_are_canonical() {
        let bare = MakeCredential { exclude: vec![], user_verification: false, ..make() };
        let expected = format!(
            "01a4015820{}02a2626964{rp}646e616d65{rp}03a2626964420102646e616d6565616c69636504\
             82a263616c672664747970656a7075626c69632d6b6579a263616c672764747970656a7075626c69632d6b6579",
            "07".repeat(32),
            rp = "6c6465736b2e6578616d706c65",
        );
        assert_eq!(hex::encode(bare.to_bytes()), expected);
        let bare =
            GetAssertion { allow: vec![vec![1]], user_presence: true, user_verification: false, ..get() };
        let expected = format!(
            "02a3016c6465736b2e6578616d706c65025820{}0381a2626964410164747970656a7075626c69632d6b6579",
            "07".repeat(32)
        );
        assert_eq!(hex::encode(bare.to_bytes()), expected);
    }

    #[test]
    fn messages_read_as_they_are_written() {
        assert_eq!(MakeCredential::from_bytes(&make().to_bytes()[1..]).expect("reads"), make());
        assert_eq!(GetAssertion::from_bytes(&get().to_bytes()[1..]).expect("reads"), get());
        let answer = AssertionAnswer {
            credential: Some(vec![3; 9]),
            authenticator_data: vec![1; 37],
            signature: vec![2; 70],
        };
        assert_eq!(AssertionAnswer::from_bytes(&answer.to_bytes()[1..]).expect("reads"), answer);
        let info = Info {
            versions: vec!["FIDO_2_0".into()],
            aaguid: [4; 16],
            options: vec!["up".into()],
            max_credentials: 8,
        };
        assert_eq!(Info::from_bytes(&info.to_bytes()[1..]).expect("reads"), info);
    }

    #[test]
    fn damaged_messages_are_errors() {
        for whole in [make().to_bytes(), get().to_bytes()] {
            for length in 1..whole.len() {
                let cut = &whole[1..length];
                assert!(MakeCredential::from_bytes(cut).is_err() && GetAssertion::from_bytes(cut).is_err());
            }
            let long = [&whole[1..], &[0]].concat();
            assert!(MakeCredential::from_bytes(&long).is_err() && GetAssertion::from_bytes(&long).is_err());
        }
        assert!(Info::from_bytes(&[0xbf, 0xff]).is_err(), "a map without a length");
        assert!(Info::from_bytes(&[0xa2, 3, 0x41, 0, 3, 0x41, 0]).is_err(), "a key twice");
        assert!(Info::from_bytes(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_status_reads_as_it_is_written() {
        for code in 1..=255 {
            assert_eq!(answer(&[code]).expect_err("no success").code(), code);
        }
        assert_eq!(answer(&[0, 5]), Ok(&[5][..]));
        assert!(answer(&[]).is_err());
    }
}
