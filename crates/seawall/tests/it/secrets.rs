//! Where secrets are not.

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
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).expect("ours");
            assert_eq!(holds(&bytes), None, "secret in {file} of {name}");
        }
    }
    let vault = processes["vault"];
    let sockets = std::fs::read_dir(format!("/proc/{vault}/fd")).expect("ours").flatten().count();
    assert!(sockets < 64, "the vault holds few descriptors");
    assert_eq!(up.end(Signal::TERM)["verified"], true);
    let logs = files(&installation.path("process-logs")).into_iter().chain(files(&installation.path("log")));
    let said = ["up.out", "up.err", "keys/trade.sealed", "policy.toml"].map(|name| installation.path(name));
    for file in logs.chain(said) {
        let bytes = std::fs::read(&file).expect("readable");
        assert_eq!(holds(&bytes), None, "secret in {}", file.display());
    }
}

/// A secret in each form in which it could lie somewhere: as it is, as hexadecimal and base64, as the bytes
/// its hexadecimal stands for, and as HMAC's inner and outer pads.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let plain = secret.as_bytes();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let padded = |pad: u8| plain.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let from_hex: Option<Vec<u8>> =
        (0..plain.len() / 2).map(|at| u8::from_str_radix(secret.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    let mut forms = vec![
        plain.to_vec(),
        hex(plain).into_bytes(),
        hex(plain).to_ascii_uppercase().into_bytes(),
        base64(plain),
        padded(0x36),
        padded(0x5c),
    ];
    forms.extend(from_hex.filter(|bytes| bytes.len() >= 16));
    forms
}

/// Base64 without what depends on the last bytes' number.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.chunks_exact(3).flat_map(|three| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| LETTERS[bits >> shift & 63])
    });
    whole.collect()
}

/// Which of `forms` the memory of process `pid` holds: every mapping that can be read.
fn in_memory(pid: u32, forms: &[Vec<u8>]) -> Vec<usize> {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("ours");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("ours");
    let mut found = std::collections::BTreeSet::new();
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
        found.extend((0..forms.len()).filter(|at| holds(&bytes[..count], &forms[*at])));
    }
    found.into_iter().collect()
}

/// Whether `bytes` hold `part`: looks for its rarest-looking byte first.
fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let first = part[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Orders before memories are searched; `SEAWALL_SECRETS_ORDERS=10000` for the long form.
fn orders() -> usize {
    std::env::var("SEAWALL_SECRETS_ORDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

#[test]
fn no_memory_but_the_vaults_holds_a_secret_after_many_orders() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let installation = Installation::new();
    let up = installation.up(&["--no-demo"]);
    let mut bot = Bot::add(&installation, "mine");
    bot.trades();
    let socket =
        std::os::unix::net::UnixStream::connect(installation.path("run/sign.sock")).expect("it listens");
    let mut socket = BufReader::new(socket);
    for number in 0..orders() {
        let line = format!(
            r#"{{"bot":"mine","account":"main","cancel":{{"market":"linear","symbol":"BTCUSDT","client_order_id":"m-{number}"}}}}"#
        );
        socket.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
        let mut reply = String::new();
        socket.read_line(&mut reply).expect("a reply");
        if number % 50 == 0 {
            drop(bot.order());
        }
    }
    let processes = up.processes();
    let root = installation.text("keys/root.key").trim().to_owned();
    let (_, venue_secret) = installation.paper_key("main");
    // The search finds what is there.
    assert!(
        !in_memory(processes["gateway"], &forms(&bot.secret)).is_empty(),
        "the gateway knows the stand-in"
    );
    assert!(!in_memory(processes["vault"], &forms(&root)).is_empty(), "the vault can unseal");
    for (name, pid) in processes.iter().filter(|(name, _)| *name != "vault") {
        assert_eq!(
            in_memory(*pid, &forms(&root)),
            Vec::<usize>::new(),
            "the installation's secret in {name}"
        );
        // The paper venue issued its own keys.
        if name != "paper" {
            assert_eq!(in_memory(*pid, &forms(&venue_secret)), Vec::<usize>::new(), "a venue key in {name}");
        }
    }
    assert_eq!(in_memory(up.pid(), &forms(&venue_secret)), Vec::<usize>::new(), "a venue key in up");
    assert_eq!(in_memory(up.pid(), &forms(&root)), Vec::<usize>::new(), "the installation's secret in up");
    let cores = files(&installation.path(""))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")));
    assert_eq!(cores.count(), 0, "a core file");
    up.end(Signal::TERM);
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
