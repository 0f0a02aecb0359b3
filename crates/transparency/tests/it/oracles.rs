//! What others wrote judges our checkpoints and proofs.

use signed_note::{Note, StandardVerifier, VerifierList};
use transparency::{Checkpoint, CheckpointError, LogKey, LogKeyError, sha256};

use crate::support::Writer;

#[test]
fn signed_note_opens_our_checkpoint() {
    let log = Writer::filled(300).log(300);
    let verifier = StandardVerifier::new(&log.key).expect("verifier key");
    let note = Note::from_bytes(log.checkpoint.as_bytes()).expect("note");
    let (good, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).expect("signed");
    assert_eq!((good.len(), unknown.len()), (1, 0));
    let theirs = tlog_tiles::Checkpoint::from_bytes(note.text()).expect("checkpoint");
    let key: LogKey = log.key.parse().expect("key");
    let (ours, _) = Checkpoint::open(&log.checkpoint, &key).expect("opens");
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (ours.origin.as_str(), 300, ours.root));
}

#[test]
fn every_bit_of_a_checkpoint_counts() {
    let log = Writer::filled(3).log(3);
    let key: LogKey = log.key.parse().expect("key");
    for bit in 0..log.checkpoint.len() * 8 {
        let mut bytes = log.checkpoint.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            assert!(Checkpoint::open(text, &key).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_checkpoint_of_another_log_or_with_more_lines_is_refused() {
    let writer = Writer::filled(3);
    let log = writer.log(3);
    let other = LogKey::new(Writer::vault(9).public());
    assert_eq!(Checkpoint::open(&log.checkpoint, &other), Err(CheckpointError::Origin));
    let key: LogKey = log.key.parse().expect("key");
    let stranger = format!("{}— witness.example {}\n", log.checkpoint, "AAAAAAA=");
    assert!(Checkpoint::open(&stranger, &key).is_ok(), "cosignatures of others are skipped");
    let (text, signature) = log.checkpoint.split_once("\n\n").expect("note");
    for bad in [
        format!("{text}\nmore\n\n{signature}"),
        format!("{text}\n\n"),
        format!("{text}\n"),
        String::new(),
        "\n\n".into(),
        log.checkpoint.replace("\n3\n", "\n03\n"),
        log.checkpoint.trim_end().to_owned(),
    ] {
        assert!(Checkpoint::open(&bad, &key).is_err(), "{bad:?}");
    }
}

#[test]
fn a_verifier_key_must_fit_itself() {
    let key = LogKey::new(Writer::vault(1).public());
    let text = key.to_string();
    assert_eq!(text.parse(), Ok(key));
    assert_eq!(text.replacen("sigsum", "sigsam", 1).parse::<LogKey>(), Err(LogKeyError::Name));
    let mut parts: Vec<&str> = text.split('+').collect();
    parts[1] = "00000000";
    assert_eq!(parts.join("+").parse::<LogKey>(), Err(LogKeyError::Id));
    assert_eq!("x".parse::<LogKey>(), Err(LogKeyError::Malformed));
}

#[test]
fn sigsum_verifies_our_proofs() {
    for size in [2_u64, 5, 300] {
        let writer = Writer::filled(size as usize);
        let log = writer.log(size);
        let signer = sigsum::PublicKey::from(Writer::vault(1).public());
        let policy = format!("log {}\nquorum none\n", hex::encode(writer.log_key.public()));
        let policy = sigsum::Policy::parse(&policy).expect("policy");
        for index in [0, 1, size / 2, size - 1] {
            let text = log.bundle(index, &[0]).to_sigsum().expect("bundle");
            let proof = sigsum::SigsumSignature::from_ascii(&text).expect("their format");
            let body = &log.records[index as usize].body;
            let message = sigsum::Hash::from(sha256(body));
            sigsum::verify(&message, &proof, std::slice::from_ref(&signer), &policy).expect("verifies there");
            let other = sigsum::Hash::from([1; 32]);
            assert!(sigsum::verify(&other, &proof, std::slice::from_ref(&signer), &policy).is_err());
        }
    }
}
