//! Where secrets are not.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::support::{Bot, Installation, files};

#[test]
fn no_secret_is_in_arguments_environments_logs_or_records() {
    let installation = Installation::new();
    let up = installation.up(&[]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let root = installation.text("keys/root.key").trim().to_owned();
    assert_eq!(root.len(), 64);
    let mut secrets = vec![root, bot.secret.clone()];
    for (_, api_key, secret) in installation.paper_keys() {
        secrets.extend([api_key, secret]);
    }
    let holds = |bytes: &[u8]| {
        secrets.iter().position(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
    };
    let mut processes = up.processes();
    processes.insert("up".to_owned(), up.pid());
    assert_eq!(processes.len(), 5);
    for (name, pid) in &processes {
        for file in ["cmdline", "environ"] {
            match std::fs::read(format!("/proc/{pid}/{file}")) {
                Ok(bytes) => assert_eq!(holds(&bytes), None, "secret in {file} of {name}"),
                Err(error) => assert_eq!(name, "vault", "closed to all but root: {error}"),
            }
        }
    }
    let vault = processes["vault"];
    if let Ok(sockets) = std::fs::read_dir(format!("/proc/{vault}/fd")) {
        assert!(sockets.flatten().count() < 64, "the vault holds few descriptors");
    }
    assert_eq!(up.end(Signal::TERM)["verified"], true);
    let logs = files(&installation.path("process-logs")).into_iter().chain(files(&installation.path("log")));
    let said = ["up.out", "up.err", "keys/trade.sealed", "policy.toml"].map(|name| installation.path(name));
    for file in logs.chain(said) {
        let bytes = std::fs::read(&file).expect("readable");
        assert_eq!(holds(&bytes), None, "secret in {}", file.display());
    }
}

/// A secret in each form in which it could lie somewhere: as it is, as hexadecimal in both cases, as base64
/// of both alphabets at each of its three alignments, as the bytes its hexadecimal stands for (in these
/// forms too), and as HMAC's inner and outer pads.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let from_hex: Option<Vec<u8>> = (0..secret.len() / 2)
        .map(|at| u8::from_str_radix(secret.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let mut forms = forms_of(secret.as_bytes());
    if let Some(bytes) = from_hex.filter(|bytes| bytes.len() >= 16) {
        forms.extend(forms_of(&bytes));
    }
    forms
}

fn forms_of(plain: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(plain);
    let padded = |pad: u8| plain.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let mut forms = vec![
        plain.to_vec(),
        hex.to_ascii_uppercase().into_bytes(),
        hex.into_bytes(),
        padded(0x36),
        padded(0x5c),
    ];
    // What comes before it shifts base64; what is common to every neighbour lies between whole groups.
    for skipped in 0..3 {
        let usual = base64(&plain[skipped..]);
        let other = usual.iter().map(|letter| match letter {
            b'+' => b'-',
            b'/' => b'_',
            same => *same,
        });
        forms.push(other.collect());
        forms.push(usual);
    }
    forms
}

/// Base64 of the whole groups of three.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.chunks_exact(3).flat_map(|three| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| LETTERS[bits >> shift & 63])
    });
    whole.collect()
}

/// Many words looked for at once, by their first four bytes.
struct Search<'a> {
    words: std::collections::HashMap<[u8; 4], Vec<(&'a str, Vec<u8>)>>,
    first: [bool; 256],
}

impl<'a> Search<'a> {
    fn new(secrets: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>) -> Self {
        let mut words: std::collections::HashMap<[u8; 4], Vec<_>> = std::collections::HashMap::new();
        let mut first = [false; 256];
        for (name, forms) in secrets {
            for form in forms {
                let start: [u8; 4] = form[..4].try_into().expect("four");
                first[usize::from(start[0])] = true;
                words.entry(start).or_default().push((name, form));
            }
        }
        Self { words, first }
    }

    /// Names of the secrets that `bytes` hold in any form.
    fn within(&self, bytes: &[u8]) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        for at in (0..bytes.len().saturating_sub(4)).filter(|at| self.first[usize::from(bytes[*at])]) {
            let start: [u8; 4] = bytes[at..at + 4].try_into().expect("four");
            let own = self.words.get(&start).into_iter().flatten();
            found.extend(own.filter(|(_, form)| bytes[at..].starts_with(form)).map(|(name, _)| *name));
        }
        found
    }

    /// Names of the secrets in the memory of process `pid`, every mapping that can be read, and how many
    /// bytes that is; `None` if the memory is closed to us.
    fn in_memory(&self, pid: u32) -> Option<(BTreeSet<&'a str>, usize)> {
        use std::os::unix::fs::FileExt as _;
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        let (mut found, mut searched) = (BTreeSet::new(), 0);
        for line in maps.lines() {
            let (span, rest) = line.split_once(' ').expect("a span");
            let (start, end) = span.split_once('-').expect("two ends");
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            let (start, end) = (address(start), address(end));
            if !rest.starts_with('r') || rest.ends_with("[vvar]") || end - start > 1 << 30 {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(end - start).expect("it fits")];
            // What is mapped beyond a file's end cannot be read.
            let Ok(count) = memory.read_at(&mut bytes, start) else { continue };
            searched += count;
            found.extend(self.within(&bytes[..count]));
        }
        Some((found, searched))
    }
}

#[test]
fn the_search_finds_every_form_wherever_it_lies() {
    let secret = "a planted secret, forty letters long, ok";
    let bytes = secret.as_bytes();
    let search = Search::new([("planted", forms(secret))]);
    let encoded = |before: usize| {
        let text = [&b"xyz"[..before], bytes, b"!!"].concat();
        base64(&[&text[..], &b"\0\0"[..(3 - text.len() % 3) % 3]].concat())
    };
    let hex: Vec<u8> = bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect();
    let pad = |with: u8| (0..64).map(|at| bytes.get(at).unwrap_or(&0) ^ with).collect::<Vec<u8>>();
    for form in [bytes.to_vec(), encoded(0), encoded(1), encoded(2), hex, pad(0x36), pad(0x5c)] {
        let text = [b"before ".to_vec(), form, b" and after".to_vec()].concat();
        assert!(search.within(&text).contains("planted"), "{}", String::from_utf8_lossy(&text));
    }
    assert!(search.within(&bytes[1..]).is_empty());
}

/// Orders before memories are searched; `cargo xtask secrets` for the long form.
fn orders() -> usize {
    std::env::var("SEAWALL_SECRETS_ORDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// What the kernel may write down of `pid` when it dies: the limit in `limits`, and whether others of the
/// same user may look into it, which shows in who owns its files.
fn core_limit(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("ours");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ")
}

/// Orders by the sign socket, every twentieth by the gateway too, and now and then nonsense with secrets'
/// neighbours in it; each must be answered.
fn trade(installation: &Installation, bot: &mut Bot) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let socket =
        std::os::unix::net::UnixStream::connect(installation.path("run/sign.sock")).expect("it listens");
    let mut socket = BufReader::new(socket);
    for number in 0..orders() {
        let line = format!(
            r#"{{"bot":"mine","account":"main","cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"m-{number}"}}}}"#
        );
        let line = if number % 50 == 7 { "{\"bot\":\"mine\",".to_owned() } else { line };
        socket.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
        let mut reply = String::new();
        socket.read_line(&mut reply).expect("a reply");
        if number % 20 == 0 {
            drop(bot.order());
            drop(bot.post("/v5/asset/withdraw/create", "{\"coin\":\"BTC\"}"));
        }
    }
}

#[test]
fn no_memory_but_the_vaults_holds_a_secret_after_many_orders() {
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    trade(&installation, &mut bot);
    let processes = up.processes();
    let root = installation.text("keys/root.key").trim().to_owned();
    let log_key = installation.text("keys/log.key").trim().to_owned();
    assert!(log_key.len() >= 32, "a key in text");
    let issued: Vec<String> = installation.paper_keys().into_iter().map(|(_, _, secret)| secret).collect();
    let mut secrets =
        vec![("root", forms(&root)), ("log key", forms(&log_key)), ("stand-in", forms(&bot.secret))];
    secrets.extend(issued.iter().map(|secret| ("venue key", forms(secret))));
    let search = Search::new(secrets);
    let mut everybody = processes.clone();
    everybody.insert("up".to_owned(), up.pid());
    for (name, pid) in &everybody {
        // Who may hold what. The paper venue issued its keys; an operator's machine has no such process.
        let may: &[&str] = match name.as_str() {
            "vault" => &["root", "venue key"],
            "gateway" => &["stand-in"],
            "journal" => &["log key"],
            "paper" => &["venue key"],
            _ => &[],
        };
        match search.in_memory(*pid) {
            Some((found, searched)) => {
                println!("{name}: {} KiB searched, found {found:?}", searched / 1024);
                assert!(searched > 1 << 20, "{name} has more memory than that");
                let foreign: Vec<_> = found.iter().filter(|secret| !may.contains(secret)).collect();
                assert!(foreign.is_empty(), "{name} holds {foreign:?}");
                // The search finds what is there.
                assert!(name != "vault" || found.contains("root"), "the vault can unseal");
                assert!(name != "gateway" || found.contains("stand-in"), "the gateway knows the stand-in");
            }
            None => assert_eq!(name, "vault", "the memory of {name} cannot be searched"),
        }
        if name != "up" {
            assert_eq!(core_limit(*pid), "0 0", "{name} may leave a core file");
        }
        for file in ["cmdline", "environ"] {
            match std::fs::read(format!("/proc/{pid}/{file}")) {
                Ok(bytes) => assert_eq!(search.within(&bytes), BTreeSet::new(), "{file} of {name}"),
                Err(_) => assert_eq!(name, "vault", "{file} of {name} cannot be searched"),
            }
        }
    }
    // Closed to the user's other programs: its files in /proc are root's.
    use std::os::unix::fs::MetadataExt as _;
    let owner = |pid: u32| std::fs::metadata(format!("/proc/{pid}/mem")).expect("there").uid();
    assert_eq!(owner(processes["vault"]), 0, "the vault's memory is its user's");
    up.end(Signal::TERM);
    let logs = files(&installation.path("process-logs")).into_iter().chain(files(&installation.path("log")));
    let said = ["up.out", "up.err", "keys/trade.sealed", "policy.toml"].map(|name| installation.path(name));
    for file in logs.chain(said) {
        let bytes = std::fs::read(&file).expect("readable");
        assert_eq!(search.within(&bytes), BTreeSet::new(), "secret in {}", file.display());
    }
    let cores = files(&installation.path(""))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")));
    assert_eq!(cores.count(), 0, "a core file");
}

#[test]
fn a_data_folder_that_others_could_read_is_closed_and_a_link_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (data, link) = (folder.path().join("data"), folder.path().join("link"));
    std::fs::create_dir(&data).expect("writable");
    std::os::unix::fs::symlink(&data, &link).expect("writable");
    let init = |path: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"));
        let output = command.arg("--data-dir").arg(path).arg("init").output().expect("the program starts");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (done, said) = init(&link);
    assert!(!done && said.contains("is a link") && said.contains(&*data.to_string_lossy()), "{said}");
    for (before, after) in [(0o755, 0o711), (0o711, 0o711), (0o700, 0o700)] {
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(before)).expect("ours");
        let (_, said) = init(&data);
        let mode = std::fs::metadata(&data).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, after, "{before:o}: {said}");
        assert_eq!(said.contains("could be read by others"), before != after, "{said}");
    }
}

#[test]
fn what_holds_secrets_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mode =
        |name: &str| std::fs::metadata(installation.path(name)).expect(name).permissions().mode() & 0o777;
    for folder in ["keys", "run", "process-logs", "log"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in [
        "keys/root.key",
        "keys/trade.sealed",
        "keys/log.key",
        "stand-ins.json",
        "paper-accounts.json",
        "policy.toml",
        "run/admin.sock",
        "run/gateway.sock",
        "run/journal.sock",
        "change.lock",
        "log/index.sqlite",
        "log/checkpoint",
    ] {
        assert_eq!(mode(file) & 0o077, 0, "{file}");
    }
    assert_eq!(mode("run/sign.sock"), 0o666, "bots of other users may be let in");
    up.end(Signal::TERM);
}
