//! Who judges: our own verifier, and three programs that share no code with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use transparency::{Body, Epoch, LogKey, Tile, TileHashes, inclusion_proof, sha256};

use crate::segments::{Frame, Segment};

/// What a judge says; `None` if it was given nothing it could judge.
pub(crate) type Verdict = Option<bool>;

/// The programs, and what an auditor knows of the log beforehand.
pub(crate) struct Judges {
    pub(crate) seawall: PathBuf,
    /// The Go program.
    pub(crate) go: PathBuf,
    pub(crate) sigsum: PathBuf,
    /// A folder for what has to be handed over as files.
    pub(crate) scratch: PathBuf,
    /// The log's verifier key.
    pub(crate) key: LogKey,
}

/// Our verifier's word.
pub(crate) struct Own {
    pub(crate) accepted: bool,
    pub(crate) first_bad: Option<u64>,
    pub(crate) says: String,
}

/// A proof as Sigsum's tools take it.
pub(crate) struct Proof {
    pub(crate) text: String,
    pub(crate) body: Vec<u8>,
}

impl Judges {
    pub(crate) fn own_folder(&self, dir: &Path, earlier: &Path) -> Result<Own> {
        let mut command = Command::new(&self.seawall);
        command.args(["log", "verify", "--json", "--key", &self.key.to_string()]);
        let done = command.arg("--earlier").arg(earlier).arg(dir).stdin(Stdio::null()).output()?;
        let word: Value = serde_json::from_slice(&done.stdout)
            .with_context(|| format!("seawall log verify: {}", String::from_utf8_lossy(&done.stderr)))?;
        let accepted = word["verified"] == true;
        if accepted != done.status.success() {
            bail!("`seawall log verify` says {word} and ends with {}", done.status);
        }
        let says = word["fault"].as_str().unwrap_or_default().to_owned();
        Ok(Own { accepted, first_bad: word["first_bad"].as_u64(), says })
    }

    pub(crate) fn own_bundle(&self, file: &Path) -> Result<Own> {
        let mut command = Command::new(&self.seawall);
        command.args(["log", "verify-proof", "--key", &self.key.to_string()]).arg(file);
        let done = command.stdin(Stdio::null()).output()?;
        let says = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        if !done.status.success() && !says.contains("NOT verified") {
            bail!("`seawall log verify-proof` failed: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(Own { accepted: done.status.success(), first_bad: None, says })
    }

    pub(crate) fn go_folder(&self, dir: &Path, keys: &[[u8; 32]], earlier: &Path) -> Result<bool> {
        self.go("folder", dir, keys, Some(earlier))
    }

    pub(crate) fn go_bundle(&self, file: &Path, keys: &[[u8; 32]]) -> Result<bool> {
        self.go("bundle", file, keys, None)
    }

    fn go(&self, what: &str, path: &Path, keys: &[[u8; 32]], earlier: Option<&Path>) -> Result<bool> {
        let keys = keys.iter().map(hex::encode).collect::<Vec<_>>().join(",");
        let mut command = Command::new(&self.go);
        command.arg(what).arg(path).arg(self.key.to_string()).arg(keys).args(earlier);
        let done = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&done.stdout);
        match (done.status.success(), said.trim()) {
            (true, "accepted") => Ok(true),
            (false, said) if said.starts_with("rejected: ") => Ok(false),
            _ => bail!("the Go judge failed: {said}{}", String::from_utf8_lossy(&done.stderr)),
        }
    }

    /// `sigsum-verify`: the body on standard input, key file and policy file beside the proof.
    pub(crate) fn sigsum_program(&self, proof: &Proof, keys: &[[u8; 32]]) -> Result<bool> {
        let file = |name: &str, content: &[u8]| -> Result<PathBuf> {
            let path = self.scratch.join(name);
            fs::write(&path, content)?;
            Ok(path)
        };
        let lines: String = keys.iter().map(|key| format!("{}\n", openssh(key))).collect();
        let keys = file("submit-keys", lines.as_bytes())?;
        let policy = file("policy", self.policy().as_bytes())?;
        let body = file("message", &proof.body)?;
        let proof = file("proof", proof.text.as_bytes())?;
        let mut command = Command::new(&self.sigsum);
        command.arg("-k").arg(keys).arg("-p").arg(policy).arg(proof);
        let done = command.stdin(fs::File::open(body)?).output()?;
        if done.status.code().is_none_or(|code| code > 1) {
            bail!("sigsum-verify failed: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(done.status.success())
    }

    /// The `sigsum` crate.
    pub(crate) fn sigsum_crate(&self, proof: &Proof, keys: &[[u8; 32]]) -> Result<bool> {
        let policy = sigsum::Policy::parse(&self.policy()).ok().context("the policy")?;
        let keys: Vec<_> = keys.iter().map(|key| sigsum::PublicKey::from(*key)).collect();
        let Ok(parsed) = sigsum::SigsumSignature::from_ascii(&proof.text) else { return Ok(false) };
        let message = sigsum::Hash::from(sha256(&proof.body));
        Ok(sigsum::verify(&message, &parsed, &keys, &policy).is_ok())
    }

    fn policy(&self) -> String {
        format!("log {}\nquorum none\n", hex::encode(self.key.public_key()))
    }

    /// The epoch keys that the log's key vouches for in these records: what the outside judges are
    /// told to accept leaves of.
    pub(crate) fn vouched_keys(&self, segment: &Segment) -> Vec<[u8; 32]> {
        let details = segment.frames.iter().filter_map(|frame| match frame {
            Frame::Body { body, detail, .. } => Some((Body::decode(body).ok()?, detail)),
            Frame::Leaf { .. } => None,
        });
        let epochs = details
            .filter(|(body, _)| body.operation == Epoch::OPERATION)
            .filter_map(|(_, detail)| Epoch::decode(detail).ok());
        epochs.filter_map(|epoch| self.vouched(&epoch)).collect()
    }

    /// The same from a bundle's epoch records.
    pub(crate) fn vouched_in_bundle(&self, bundle: &Value) -> Vec<[u8; 32]> {
        let details = bundle["epochs"].as_array().into_iter().flatten();
        let details = details.filter_map(|record| BASE64_STANDARD.decode(record["detail"].as_str()?).ok());
        details.filter_map(|detail| self.vouched(&Epoch::decode(&detail).ok()?)).collect()
    }

    fn vouched(&self, epoch: &Epoch) -> Option<[u8; 32]> {
        epoch.verify_statement(self.key.public_key()).is_ok().then_some(epoch.public_key)
    }
}

/// An Ed25519 key in OpenSSH's text format, RFC 8709.
fn openssh(key: &[u8; 32]) -> String {
    let name = b"ssh-ed25519";
    let blob = [&11_u32.to_be_bytes()[..], name, &32_u32.to_be_bytes(), key].concat();
    format!("ssh-ed25519 {}", BASE64_STANDARD.encode(blob))
}

/// The Sigsum proof of a record, put together from the folder without judging anything; `None` if
/// the folder does not hold enough for one. Where there are no tiles of the size that the
/// checkpoint states, it takes those of the tree's real `size`.
pub(crate) fn folder_proof(dir: &Path, segment: &Segment, index: u64, size: u64) -> Option<Proof> {
    let note = fs::read_to_string(dir.join("checkpoint")).ok()?;
    let (stated, ..) = tree_head(&note)?;
    let path = [stated, size].into_iter().find_map(|size| {
        let mut hashes = TileHashes::new(size, |tile: Tile| fs::read(dir.join(tile.path())));
        inclusion_proof(index, size, &mut hashes).ok()
    })?;
    let key: LogKey = fs::read_to_string(dir.join("log.pub")).ok()?.trim().parse().ok()?;
    let (body, _) = segment.body(index)?;
    let text = sigsum_text(&key, &segment.leaf(index)?, &note, index, &path)?;
    Some(Proof { text, body: body.to_vec() })
}

/// The Sigsum proof in a bundle's JSON, taken over without judging anything.
pub(crate) fn bundle_proof(bundle: &Value) -> Option<Proof> {
    let key: LogKey = bundle["log_key"].as_str()?.parse().ok()?;
    let record = &bundle["record"];
    let leaf: [u8; 128] = hex::decode(record["leaf"].as_str()?).ok()?.try_into().ok()?;
    let path = record["inclusion"].as_array()?.iter();
    let path =
        path.map(|hash| hex::decode(hash.as_str()?).ok()?.try_into().ok()).collect::<Option<Vec<_>>>()?;
    let text = sigsum_text(&key, &leaf, bundle["checkpoint"].as_str()?, record["index"].as_u64()?, &path)?;
    Some(Proof { text, body: BASE64_STANDARD.decode(record["body"].as_str()?).ok()? })
}

/// Sigsum proof, version 2 (git.glasklar.is/sigsum/core/sigsum-go, `doc/sigsum-proof.md`).
fn sigsum_text(key: &LogKey, leaf: &[u8; 128], note: &str, index: u64, path: &[[u8; 32]]) -> Option<String> {
    let (size, root, signature) = tree_head(note)?;
    let mut text = format!(
        "version=2\nlog={}\nleaf={} {}\n\nsize={size}\nroot_hash={}\nsignature={}\n\nleaf_index={index}\n",
        hex::encode(sha256(key.public_key())),
        hex::encode(&leaf[96..]),
        hex::encode(&leaf[32..96]),
        hex::encode(root),
        hex::encode(signature),
    );
    for hash in path {
        text.push_str(&format!("node_hash={}\n", hex::encode(hash)));
    }
    Some(text)
}

/// Size, root and signature of a checkpoint, unverified.
fn tree_head(note: &str) -> Option<(u64, Vec<u8>, Vec<u8>)> {
    let mut lines = note.lines();
    let (_, size, root) = (lines.next()?, lines.next()?.parse().ok()?, lines.next()?);
    let signature = BASE64_STANDARD.decode(note.trim_end().rsplit(' ').next()?).ok()?;
    Some((size, BASE64_STANDARD.decode(root).ok()?, signature.get(4..)?.to_vec()))
}
