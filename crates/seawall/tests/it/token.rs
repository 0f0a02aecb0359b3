//! `seawall token`, against the token in software.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::support::{Installation, wait_until};

/// `seawall token emulate`, until it is dropped.
struct Emulator {
    child: Child,
    socket: PathBuf,
}

impl Emulator {
    fn start(installation: &Installation, name: &str, finger: &str) -> Self {
        let socket = installation.path(name);
        let path = socket.to_str().expect("a path in ASCII").to_owned();
        let child = installation
            .command(&["token", "emulate", "--socket", &path, "--finger", finger])
            .stdout(Stdio::from(std::fs::File::create(installation.path("emulate.out")).expect("a file")))
            .spawn()
            .expect("the program starts");
        wait_until("the socket", || socket.exists());
        Self { child, socket }
    }

    fn path(&self) -> &str {
        self.socket.to_str().expect("a path in ASCII")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn add<'a>(person: &'a str, organisation: &'a str, device: &'a str) -> [&'a str; 8] {
    ["token", "add", "--person", person, "--organisation", organisation, "--device", device]
}

#[test]
fn tokens_are_added_listed_and_tested() {
    let installation = Installation::new();
    let one = Emulator::start(&installation, "one.sock", "touch");
    let other = Emulator::start(&installation, "other.sock", "touch");
    assert!(installation.text("emulate.out").contains("THIS IS NOT A TOKEN"));

    assert!(
        installation.fails(&["token", "test", "--device", one.path()]).contains("no token is on the list")
    );
    let said = installation.ok(&add("alice", "desk", one.path()));
    assert!(
        said.contains("person = \"alice\"") && said.contains("WARNING: this is a software token"),
        "{said}"
    );
    let again = installation.fails(&add("bob", "desk", one.path()));
    assert!(again.contains("on the list already"), "{again}");
    installation.ok(&add("bob", "auditor", other.path()));

    let listed = installation.json(&["token", "list", "--json"]);
    let people: Vec<&str> = listed["credentials"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|own| own["person"].as_str().expect("a name"))
        .collect();
    assert!(people.len() == 2 && people.contains(&"alice") && people.contains(&"bob"), "{listed}");
    assert!(installation.ok(&["token", "list"]).contains("SOFTWARE, NOT A TOKEN"));

    let touched = installation.ok(&["token", "test", "--device", other.path()]);
    assert!(touched.contains("touched by bob of auditor"), "{touched}");

    let file = installation.path("approvers.toml");
    let text = std::fs::read_to_string(&file).expect("written");
    std::fs::write(&file, text.replace("\"bob\"", "\"Bob\"")).expect("it can");
    let refused = installation.fails(&["token", "list"]);
    assert!(refused.contains("approvers.toml is refused"), "{refused}");
}

#[test]
fn a_token_that_is_not_touched_is_not_added() {
    let installation = Installation::new();
    let refusing = Emulator::start(&installation, "refusing.sock", "refuse");
    let said = installation.fails(&add("alice", "desk", refusing.path()));
    assert!(said.contains("told to refuse"), "{said}");
    assert!(!installation.path("approvers.toml").exists());
    let person = installation.run(&add("Alice", "desk", refusing.path()));
    assert_eq!(person.status.code(), Some(2), "a name that has a twin");
}
