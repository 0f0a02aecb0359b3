//! Which people said yes: the directive that is asked about, the touch of a hardware key over its
//! digest, and the quorum that such touches make.
//!
//! Nothing here does I/O, reads a clock or draws randomness: the vault that acts on a directive runs
//! this code itself, with the time as an argument, and believes nobody else's word that people
//! agreed.
//!
//! Formats are the field's: CTAP 2.1 and `WebAuthn` Level 3 (authenticator data, client data,
//! attestation objects), COSE keys (RFC 9053). Our own is the [`Directive`].

mod approvers;
mod assertion;
mod authenticator_data;
mod ballot;
mod bytes;
mod client_data;
mod cose;
mod der;
mod directive;
mod independence;
mod names;
mod registration;
mod render;

pub use approvers::{
    Approvers, ApproversError, Credential, MAX_CREDENTIALS, MAX_ORIGINS, Quorums, RelyingPartyId, Rule,
};
pub use assertion::{Assertion, AssertionError, Client, Expected, Touch, verify_assertion};
pub use authenticator_data::{AuthenticatorData, AuthenticatorDataError};
pub use ballot::{Approved, BallotError, Ballots, BallotsError, MAX_OPEN, MAX_USED, Shortfall, Tally};
pub use bytes::{Aaguid, CredentialId, Digest, IdError, Nonce};
pub use client_data::ClientDataError;
pub use cose::{CoseError, PublicKey};
pub use directive::{
    Accounts, Action, Content, Directive, DirectiveError, Kind, MAX_DIRECTIVE, MAX_VALIDITY_MS, Start,
};
pub use independence::{Dimension, Weakness, effective_threshold};
pub use names::{Name, Reason, TextError};
pub use registration::{Attestation, Registered, Registration, RegistrationError, verify_registration};
pub use render::phrase;
