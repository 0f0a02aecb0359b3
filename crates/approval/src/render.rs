//! What a person reads before touching: made from the parsed directive alone, the same everywhere.

use std::fmt::{self, Write as _};

use bip39::Language;

use crate::bytes::Digest;
use crate::directive::{Accounts, Action, Directive, Start};

/// Words in a phrase.
const WORDS: usize = 6;

/// Six words of the BIP-39 English list for the first 66 bits of `digest`, to compare by ear or eye on
/// a second device.
///
/// They tell honest mistakes and a lying screen apart from the real thing. They are no commitment:
/// whoever writes both directives can make two with one phrase in 2³³ tries. The token signs all 256
/// bits.
#[must_use]
pub fn phrase(digest: &Digest) -> String {
    let words = Language::English.word_list();
    let mut bits = digest.0.iter().flat_map(|byte| (0..8).rev().map(move |at| usize::from(byte >> at & 1)));
    let picked: Vec<&str> =
        (0..WORDS).map(|_| words[bits.by_ref().take(11).fold(0, |index, bit| index << 1 | bit)]).collect();
    picked.join(" ")
}

impl Directive {
    /// The canonical text: one field a line, in a fixed order, ending with digest and phrase.
    #[must_use]
    pub fn render(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content();
        let mut line = |label: &str, value: &dyn fmt::Display| writeln!(formatter, "{label:<15} {value}");
        line("directive", &content.id)?;
        for (label, value) in action(&content.action) {
            line(label, &value)?;
        }
        match &content.accounts {
            Accounts::All => line("accounts", &"ALL")?,
            Accounts::Only(names) => {
                for name in names {
                    line("account", name)?;
                }
            }
        }
        line("policy", &content.policy)?;
        line("valid from", &content.not_before)?;
        line("valid until", &content.expires_at)?;
        line("nonce", &content.nonce)?;
        match &content.proposer {
            None => line("proposed by", &"(no approver)")?,
            Some(name) => line("proposed by", name)?,
        }
        line("reason given", &content.reason)?;
        line("digest", &self.digest())?;
        line("phrase", &phrase(&self.digest()))
    }
}

fn action(action: &Action) -> Vec<(&'static str, String)> {
    let one = |text: &str| vec![("action", text.to_owned())];
    match action {
        Action::Pause => one("PAUSE: no new risk"),
        Action::CancelAll => one("CANCEL: no new risk, cancel all resting orders"),
        Action::Flatten => one("FLATTEN: cancel all, close positions reduce-only"),
        Action::Kill { revoke: true } => {
            one("KILL: halt, cancel all, revoke the venue keys at the venue, erase secrets")
        }
        Action::Kill { revoke: false } => {
            one("KILL: halt, cancel all, erase secrets; the venue keys stay valid at the venue")
        }
        Action::Resume(start) => with_start("RESUME trading", start),
        Action::Restart(start) => with_start("RESTART trading after rung 3", start),
        Action::Recommission { start, keys } => {
            let mut lines = with_start("RECOMMISSION: trade again with new keys", start);
            lines.extend(keys.iter().map(|key| ("new key", key.to_string())));
            lines
        }
        Action::Rebase { old, new } => vec![
            ("action", "REBASE the high-water mark".to_owned()),
            ("old mark", old.to_string()),
            ("new mark", new.to_string()),
        ],
        Action::LoosenPolicy { old, new } => vec![
            ("action", "LOOSEN the policy".to_owned()),
            ("old policy", old.to_string()),
            ("new policy", new.to_string()),
        ],
    }
}

fn with_start(text: &str, start: &Start) -> Vec<(&'static str, String)> {
    let mut factor = String::new();
    write!(factor, "{} of the limits on size", start.size_factor).expect("a string takes every text");
    vec![
        ("action", text.to_owned()),
        ("incident", start.incident.to_string()),
        ("reconciliation", start.reconciliation.to_string()),
        ("starts with", factor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phrase_takes_eleven_bits_a_word() {
        assert_eq!(phrase(&Digest([0; 32])), "abandon abandon abandon abandon abandon abandon");
        assert_eq!(phrase(&Digest([0xff; 32])), "zoo zoo zoo zoo zoo zoo");
        // The first six words of the BIP-39 vector for entropy 7f7f…: the same bits, read the same way.
        assert_eq!(phrase(&Digest([0x7f; 32])), "legal winner thank year wave sausage");
    }

    #[test]
    fn bits_behind_the_phrase_do_not_matter_and_those_in_it_do() {
        let mut digest = [0; 32];
        digest[8] = 0b0011_1111;
        assert_eq!(phrase(&Digest(digest)), phrase(&Digest([0; 32])));
        digest[8] = 0b0100_0000;
        assert_ne!(phrase(&Digest(digest)), phrase(&Digest([0; 32])));
    }
}
