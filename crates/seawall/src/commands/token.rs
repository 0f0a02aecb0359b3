//! `seawall token`: the hardware keys of those who approve.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use approval::{
    Aaguid, Approvers, Attestation, Credential, CredentialId, Digest, Expected, Name, RelyingPartyId,
    verify_assertion, verify_registration,
};
use clap::Subcommand;
use sha2::{Digest as _, Sha256};

use crate::commands::say;
use crate::installation::{Installation, now};
use crate::layout::{Layout, read_text, write_private};
use crate::token::{self, Behaviour, MakeRequest};

/// Whom keys are made for where the approvers file does not say: a name that browsers resolve to
/// this machine, so that the same keys work at a console here.
const RP_ID: &str = "seawall.localhost";
/// Stands before what `add` and `test` have signed, so that neither signature is one for a directive.
const ADD_DOMAIN: &[u8] = b"seawall token registration v1\0";
const TEST_DOMAIN: &[u8] = b"seawall token test v1\0";

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key on a FIDO2 token and put it on the list of approvers. Touch it when it blinks.
    Add {
        /// Whose it is: a-z, 0-9 and . _ @ -
        #[arg(long)]
        person: Name,
        /// Whom that person answers to.
        #[arg(long)]
        organisation: Name,
        /// Where the token is kept; the organisation if absent.
        #[arg(long)]
        site: Option<Name>,
        /// The token's device, or the socket of `seawall token emulate`; else the only one plugged in.
        #[arg(long, value_name = "PATH")]
        device: Option<PathBuf>,
    },
    /// List the approvers, their tokens, and what is weak about the list.
    List {
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Have a token sign something worthless, and check it as an approval is checked.
    Test {
        /// As for `add`.
        #[arg(long, value_name = "PATH")]
        device: Option<PathBuf>,
    },
    /// Answer as a token would, in software, for drills. It is NOT a token.
    Emulate {
        /// The socket to answer at.
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// What happens where a real token waits for a finger.
        #[arg(long, default_value = "touch")]
        finger: Behaviour,
    },
}

/// Carries out `command`.
pub fn run(layout: Layout, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { person, organisation, site, device } => {
            let installation = Installation::open(layout)?;
            let _changing = installation.changing()?;
            let site = site.unwrap_or_else(|| organisation.clone());
            add(&installation, person, organisation, site, device.as_deref())?;
        }
        Command::List { json } => list(&layout, json)?,
        Command::Test { device } => test(&layout, device.as_deref())?,
        Command::Emulate { socket, finger } => emulate(&socket, finger)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The list of approvers; nobody, if there is no file.
pub fn read(layout: &Layout) -> anyhow::Result<Approvers> {
    let path = layout.approvers();
    if !path.exists() {
        return Ok(Approvers::nobody(RelyingPartyId::new(RP_ID)?));
    }
    toml_edit::de::from_str(&read_text(&path)?).with_context(|| format!("{} is refused", path.display()))
}

fn add(
    installation: &Installation,
    person: Name,
    organisation: Name,
    site: Name,
    device: Option<&Path>,
) -> anyhow::Result<()> {
    let approvers = read(&installation.layout)?;
    let mut token = token::open(device)?;
    let challenge = random_digest(ADD_DOMAIN);
    let exclude: Vec<&CredentialId> = approvers.credentials().map(|own| &own.id).collect();
    let request = MakeRequest {
        challenge: &challenge.0,
        rp_id: approvers.rp_id().as_str(),
        user: person.as_str(),
        exclude: &exclude,
    };
    let registration = token.make_credential(&request, &mut ask_for_touch)?;
    let registered = verify_registration(approvers.rp_id(), &[], &challenge, &registration)?;
    let credential = Credential {
        id: registered.id,
        public_key: registered.public_key,
        rp_id: approvers.rp_id().clone(),
        aaguid: registered.aaguid,
        person,
        organisation,
        site,
        counter: registered.counter,
        backup_eligible: registered.backup_eligible,
        added_at: now(),
        expires_at: None,
    };
    let changed = approvers.with(credential.clone())?;
    write_private(&installation.layout.approvers(), toml_edit::ser::to_string_pretty(&changed)?.as_bytes())?;
    say("[[credential]]");
    say(toml_edit::ser::to_string_pretty(&credential)?);
    say(format!(
        "written to {}; it has no force until the vault takes the file",
        installation.layout.approvers().display()
    ));
    if registered.attestation != Attestation::SelfSigned {
        say("the token's model is its own word: its maker's certificate is not checked");
    }
    warn_of_software(&credential);
    Ok(())
}

fn list(layout: &Layout, json: bool) -> anyhow::Result<()> {
    let approvers = read(layout)?;
    let weaknesses: Vec<String> = approvers.weaknesses(now()).iter().map(ToString::to_string).collect();
    if json {
        let credentials: Vec<&Credential> = approvers.credentials().collect();
        say(serde_json::json!({
            "rp_id": approvers.rp_id(), "credentials": credentials, "weaknesses": weaknesses,
        }));
        return Ok(());
    }
    say(format!("{:<20} {:<20} {:<16} {:<24} {:<32} id", "person", "organisation", "site", "added", "model"));
    for own in approvers.credentials() {
        say(format!(
            "{:<20} {:<20} {:<16} {:<24} {:<32} {}",
            own.person.as_str(),
            own.organisation.as_str(),
            own.site.as_str(),
            own.added_at.to_string(),
            model(own.aaguid),
            own.id
        ));
    }
    for weakness in weaknesses {
        say(format!("weak: {weakness}"));
    }
    Ok(())
}

fn test(layout: &Layout, device: Option<&Path>) -> anyhow::Result<()> {
    let approvers = read(layout)?;
    let allowed: Vec<&CredentialId> = approvers.credentials().map(|own| &own.id).collect();
    anyhow::ensure!(!allowed.is_empty(), "no token is on the list; add one: seawall token add");
    let digest = random_digest(TEST_DOMAIN);
    let mut token = token::open(device)?;
    let assertion =
        token.assert(approvers.rp_id().as_str(), &digest.0, &allowed, false, &mut ask_for_touch)?;
    let credential =
        approvers.credential(&assertion.credential).context("the token used a key not on the list")?;
    let expected = Expected {
        rp_id: approvers.rp_id(),
        origins: approvers.origins(),
        user_verification: false,
        counter: 0,
    };
    let touch = verify_assertion(credential, &expected, &digest, &assertion)?;
    say(format!(
        "touched by {} of {}; model {}, counter {}, versions {}",
        credential.person,
        credential.organisation,
        model(Aaguid(token.aaguid())),
        touch.counter(),
        token.versions().join(" ")
    ));
    warn_of_software(credential);
    Ok(())
}

fn emulate(socket: &Path, finger: Behaviour) -> anyhow::Result<()> {
    say("THIS IS NOT A TOKEN. It is a program that answers like one: its keys lie in this process's memory,");
    say("whoever reaches the socket can touch it, and approvals given with it prove nothing about a person.");
    say(format!("answering at {}; ends with this process, and its keys with it", socket.display()));
    token::emulate(socket, finger).with_context(|| format!("cannot answer at {}", socket.display()))
}

fn ask_for_touch() {
    eprintln!("touch the token now");
}

fn warn_of_software(credential: &Credential) {
    if credential.aaguid == Aaguid::SOFTWARE {
        say("WARNING: this is a software token, for drills only; take it off the list before trading");
    }
}

fn model(aaguid: Aaguid) -> String {
    if aaguid == Aaguid::SOFTWARE { "SOFTWARE, NOT A TOKEN".into() } else { aaguid.to_string() }
}

fn random_digest(domain: &[u8]) -> Digest {
    let mut random = [0; 32];
    keys::fill_random(&mut random);
    Digest(Sha256::new().chain_update(domain).chain_update(random).finalize().into())
}
