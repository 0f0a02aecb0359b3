//! A small log with real keys, kept in memory, and what recovery makes of its damaged segment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use journal::storage::{Storage, StoredFile};
use journal::{Folder, Log, LogSigner};
use keys::RecordKey;
use trading::Timestamp;
use transparency::{Body, Checkpoint, Epoch, Hash, Leaf, LogKey, Outcome, Statement, sha256};

use crate::engine::{Attacked, both, shape};

/// Records in the log, its first one included.
pub(crate) const RECORDS: u8 = 9;
const DIR: &str = "/log";
const SEGMENT: &str = "/log/segments";

/// The log and what an outsider can know of it.
pub(crate) struct Made {
    pub(crate) key: LogKey,
    pub(crate) epoch: Epoch,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) leaves: Vec<[u8; 128]>,
    pub(crate) inclusion: Vec<Vec<Hash>>,
    pub(crate) bundles: Vec<String>,
    pub(crate) checkpoint: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// The log, made once.
pub(crate) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(make)
}

fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::from_seed(&[42; 32]))
}

fn make() -> Made {
    let memory = Memory::default();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let signer = signer();
    let key = signer.public().clone();
    storage.write(&Path::new(DIR).join("log.pub"), format!("{key}\n").as_bytes()).expect("memory holds");
    let (mut log, _) =
        Log::open(Arc::clone(&storage), Path::new(DIR), Arc::clone(&signer), 0).expect("a new log");
    let record_key = RecordKey::from_seed(&[7; 32]);
    let epoch = epoch(&signer, &record_key);
    let (mut bodies, mut leaves) = (Vec::<Vec<u8>>::new(), Vec::new());
    for sequence in 0..u64::from(RECORDS) {
        let detail =
            if sequence == 0 { epoch.encode() } else { format!("{{\"n\":{sequence}}}").into_bytes() };
        let previous = bodies.last().map_or([0; 32], |body| sha256(body));
        let body = body(sequence, &detail, previous).encode().expect("short");
        log.append_body(sequence, &body, &detail).expect("in order");
        let sign = |message: &[u8]| Ok::<_, std::convert::Infallible>(record_key.sign(message));
        let Ok(leaf) = Leaf::sign(&body, &record_key.public_key(), sign);
        log.append_leaf(sequence, &leaf.to_bytes()).expect("in order");
        bodies.push(body);
        leaves.push(leaf.to_bytes());
    }
    log.sync().expect("memory holds");
    log.checkpoint().expect("memory holds");
    let folder = Folder::over(storage, Path::new(DIR)).expect("a log");
    let bundles: Vec<_> =
        (0..u64::from(RECORDS)).map(|sequence| folder.prove(sequence).expect("a proof")).collect();
    let (checkpoint, note): (Checkpoint, String) = folder.current_checkpoint().expect("published");
    assert_eq!(checkpoint.size, u64::from(RECORDS));
    drop(log);
    Made {
        key,
        epoch,
        bodies,
        leaves,
        inclusion: bundles.iter().map(|bundle| bundle.record.inclusion.clone()).collect(),
        bundles: bundles.iter().map(transparency::Bundle::to_json).collect(),
        checkpoint: note,
        size: checkpoint.size,
        root: checkpoint.root,
        files: memory.files(),
    }
}

fn epoch(signer: &LogSigner, key: &RecordKey) -> Epoch {
    let (isolation, public_key, policy_hash) = ("software".to_owned(), key.public_key(), [7; 32]);
    let statement = Statement { isolation: isolation.clone(), epoch: 1, public_key, policy_hash };
    let statement = signer.vouch(&statement);
    Epoch { epoch: 1, isolation, public_key, policy_hash, previous_size: 0, adopted: None, statement }
}

fn body(sequence: u64, detail: &[u8], previous: Hash) -> Body {
    let operation = if sequence == 0 { Epoch::OPERATION } else { "place" };
    let signed = (sequence % 2 == 1).then_some([9; 32]);
    let denial = transparency::Denial { code: "max_quantity".into(), text: "1 exceeds 0.5".into() };
    let outcome = match sequence {
        0 => Outcome::Event,
        odd if odd % 2 == 1 => Outcome::Approved,
        _ => Outcome::Denied(vec![denial]),
    };
    Body {
        version: 1,
        sequence,
        epoch: 1,
        time: Timestamp::from_ms(1_772_600_000_000 + sequence),
        actor: if sequence == 0 { "vault" } else { "demo" }.into(),
        account: (sequence > 0).then(|| "main".into()),
        operation: operation.into(),
        detail_digest: sha256(detail),
        outcome,
        policy_hash: [7; 32],
        state_digest: [8; 32],
        signed_digest: signed,
        signature_digest: signed,
        key_id: signed.map(|_| "0011223344556677".into()),
        previous,
        salt: [sequence.to_le_bytes()[0]; 16],
    }
}

/// The one segment's name.
fn segment() -> PathBuf {
    let is_segment = |path: &&PathBuf| path.starts_with(SEGMENT);
    made().files.keys().find(is_segment).expect("a log has a segment").clone()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let file = &made().files[&segment()];
    let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    vec![file[..end].to_vec()]
}

/// A segment file, its zeros at the end left out. Recovery mends it or refuses it; what it mends stays
/// mended, and no record that was published goes missing.
pub(crate) fn segments() -> Attacked {
    let path = segment();
    Box::new(move |input| {
        let published = input.len() % 2 == 0;
        let mut files = made().files.clone();
        if !published {
            files.retain(|path, _| path.starts_with(SEGMENT) || path.ends_with("log.pub"));
        }
        let mut file = input.to_vec();
        // As if less had been allocated: zeros take time and say nothing.
        file.resize(input.len() + 4_096, 0);
        files.insert(path.clone(), file);
        let storage: Arc<dyn Storage> = Arc::new(Memory::holding(files));
        let read = read_only(&storage);
        let open = || Log::open(Arc::clone(&storage), Path::new(DIR), signer(), 1_772_600_000_000);
        let first = match open() {
            Ok((log, first)) => {
                assert_eq!(log.next_sequence(), first.records);
                first
            }
            Err(error) => return both(read, shape(&error.to_string())),
        };
        assert!(!published || first.records >= made().size, "a published record is gone");
        if first.torn.is_some() || input.len() % 32 < 2 {
            let (_, second) = open().expect("what was mended opens");
            assert_eq!((second.records, second.leaves), (first.records, first.leaves));
            assert!(second.torn.is_none(), "mended twice");
        }
        both(read, both(first.records, both(first.leaves, u64::from(first.torn.is_some()))))
    })
}

/// What somebody who only reads makes of it.
fn read_only(storage: &Arc<dyn Storage>) -> u64 {
    let records = Folder::over(Arc::clone(storage), Path::new(DIR)).and_then(|folder| folder.records_from(0));
    let records = match records {
        Ok(records) => records,
        Err(error) => return shape(&error.to_string()),
    };
    let mut behaviour = 0;
    for record in records.take(64) {
        behaviour = match record {
            Ok(record) => both(behaviour, record.sequence),
            Err(error) => return both(behaviour, shape(&error.to_string())),
        };
    }
    behaviour
}

/// A disk that is a map. A file keeps its content under another name, also while it is open.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<PathBuf, Content>>>);

type Content = Arc<Mutex<Vec<u8>>>;

/// Nothing here panics while it holds a lock and leaves half a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn holding(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let files = files.into_iter().map(|(path, content)| (path, Arc::new(Mutex::new(content))));
        Self(Arc::new(Mutex::new(files.collect())))
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        locked(&self.0).iter().map(|(path, content)| (path.clone(), locked(content).clone())).collect()
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Storage for Memory {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = locked(&self.0);
        let own =
            files.keys().filter(|path| path.parent() == Some(folder)).filter_map(|path| path.file_name());
        Ok(own.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(MemoryFile(locked(&self.0).get(path).ok_or_else(missing)?.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let content = Content::default();
        if locked(&self.0).insert(path.to_owned(), Arc::clone(&content)).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(MemoryFile(content)))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(locked(&self.0).get(path).map(|content| locked(content).clone()))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        locked(&self.0).insert(path.to_owned(), Arc::new(Mutex::new(content.to_vec())));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = locked(&self.0);
        let content = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        locked(&self.0).remove(path);
        Ok(())
    }
}

struct MemoryFile(Content);

impl StoredFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(locked(&self.0).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = locked(&self.0);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        let count = buffer.len().min(file.len() - from);
        buffer[..count].copy_from_slice(&file[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut file = locked(&self.0);
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        // A damaged log must not make us write anywhere.
        assert!(from + bytes.len() <= 128 << 20, "written at {offset}");
        if file.len() < from + bytes.len() {
            file.resize(from + bytes.len(), 0);
        }
        file[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
