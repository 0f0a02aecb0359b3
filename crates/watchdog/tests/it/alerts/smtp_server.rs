//! A submission server: EHLO, STARTTLS, implicit TLS, AUTH PLAIN, and the refusals it is told to make
//! (RFC 5321, 3207, 4954, 8314). Strict about order: what a real server would refuse, it refuses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::support::PASSWORD;

/// Longest line of a client (RFC 5321 §4.5.3.1.6, with room).
const MAX_LINE: usize = 4_096;

/// How the server meets its clients.
#[derive(Clone, Default)]
pub(super) struct Manner {
    /// Offers STARTTLS.
    pub(super) starttls: bool,
    /// TLS from the first byte.
    pub(super) implicit: bool,
    /// Replies by the start of a command, each used so many times.
    pub(super) refusals: Vec<(&'static str, &'static str, usize)>,
}

/// A mail taken.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// As it stood on the wire between DATA and the last dot, dots doubled.
    pub(super) wire: String,
    pub(super) was_private: bool,
    pub(super) user: Option<String>,
}

impl Mail {
    /// The header's lines, unfolded.
    pub(super) fn headers(&self) -> BTreeMap<String, String> {
        let (head, _) = self.wire.split_once("\r\n\r\n").expect("a header and a body");
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut headers = BTreeMap::new();
        for line in unfolded.split("\r\n") {
            let (name, value) = line.split_once(": ").expect("name: value");
            assert!(headers.insert(name.to_owned(), value.to_owned()).is_none(), "{name} comes twice");
        }
        headers
    }

    /// The body, dots undone.
    pub(super) fn body(&self) -> String {
        let (_, body) = self.wire.split_once("\r\n\r\n").expect("a header and a body");
        body.split("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect::<Vec<_>>().join("\r\n")
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// The certificate to trust, in PEM.
    pub(super) root: String,
    mails: mpsc::UnboundedReceiver<Mail>,
    /// Every command of every client.
    pub(super) commands: Arc<Mutex<Vec<String>>>,
}

struct Session {
    manner: Arc<Mutex<Manner>>,
    acceptor: TlsAcceptor,
    mails: mpsc::UnboundedSender<Mail>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let tls =
            rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .expect("TLS versions")
                .with_no_client_auth()
                .with_single_cert(vec![certified.cert.der().clone()], key)
                .expect("a key for the certificate");
        let root = BASE64_STANDARD.encode(certified.cert.der());
        let root = format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n");
        let (sender, mails) = mpsc::unbounded_channel();
        let commands = Arc::<Mutex<Vec<String>>>::default();
        let session = Arc::new(Session {
            manner: Arc::new(Mutex::new(manner)),
            acceptor: TlsAcceptor::from(Arc::new(tls)),
            mails: sender,
            commands: Arc::clone(&commands),
        });
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let session = Arc::clone(&session);
                // A client that leaves in the middle ends its session, as with any server.
                tokio::spawn(async move { session.serve(stream).await });
            }
        });
        Self { address, root, mails, commands }
    }

    pub(super) async fn next(&mut self, limit: Duration) -> Mail {
        tokio::time::timeout(limit, self.mails.recv()).await.expect("in time").expect("the server runs")
    }

    pub(super) fn try_next(&mut self) -> Option<Mail> {
        self.mails.try_recv().ok()
    }

    pub(super) fn said(&self, command: &str) -> usize {
        let commands = self.commands.lock().expect("no panic before");
        commands.iter().filter(|line| line.starts_with(command)).count()
    }
}

impl Session {
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let manner = self.manner.lock().expect("no panic before").clone();
        if manner.implicit {
            let mut stream = BufReader::new(self.acceptor.accept(stream).await.ok()?);
            reply(&mut stream, "220 mail.example.org ESMTP").await?;
            self.talk(&mut stream, true, false).await?;
            return Some(());
        }
        let mut stream = BufReader::new(stream);
        reply(&mut stream, "220 mail.example.org ESMTP").await?;
        if self.talk(&mut stream, false, manner.starttls).await? == End::StartTls {
            // Nothing may be sent ahead of the handshake (RFC 3207 §5).
            assert!(stream.buffer().is_empty(), "commands before the handshake");
            let mut stream = BufReader::new(self.acceptor.accept(stream.into_inner()).await.ok()?);
            self.talk(&mut stream, true, false).await?;
        }
        Some(())
    }

    /// The reply that this command is to get instead of the usual one.
    fn refusal(&self, command: &str) -> Option<&'static str> {
        let mut manner = self.manner.lock().expect("no panic before");
        let found =
            manner.refusals.iter_mut().find(|(start, _, left)| *left > 0 && command.starts_with(start));
        found.map(|(_, reply, left)| {
            *left -= 1;
            *reply
        })
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        is_private: bool,
        offers_tls: bool,
    ) -> Option<End> {
        let (mut greeted, mut user) = (false, None);
        let (mut from, mut to) = (None::<String>, Vec::new());
        loop {
            let command = line(stream).await?;
            self.commands.lock().expect("no panic before").push(command.clone());
            if let Some(refusal) = self.refusal(&command) {
                reply(stream, refusal).await?;
                continue;
            }
            let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
            let answer = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    greeted = true;
                    let tls = if offers_tls { "250-STARTTLS\r\n" } else { "" };
                    &format!("250-mail.example.org\r\n{tls}250-8BITMIME\r\n250 AUTH PLAIN")
                }
                "STARTTLS" if offers_tls => {
                    reply(stream, "220 go ahead").await?;
                    return Some(End::StartTls);
                }
                "AUTH" if greeted => match credentials(rest) {
                    Some((name, password)) if password == PASSWORD => {
                        user = Some(name);
                        "235 2.7.0 accepted"
                    }
                    _ => "535 5.7.8 wrong",
                },
                "MAIL" if greeted && from.is_none() => {
                    from = Some(path(rest, "FROM:")?);
                    "250 ok"
                }
                "RCPT" if from.is_some() => {
                    to.push(path(rest, "TO:")?);
                    "250 ok"
                }
                "DATA" if !to.is_empty() => {
                    reply(stream, "354 go on").await?;
                    let wire = data(stream).await?;
                    if let Some(refusal) = self.refusal("(end of data)") {
                        refusal
                    } else {
                        let mail = Mail {
                            from: from.take().expect("checked above"),
                            to: std::mem::take(&mut to),
                            wire,
                            was_private: is_private,
                            user: user.clone(),
                        };
                        // A test that is over listens no more.
                        let _ = self.mails.send(mail);
                        "250 2.0.0 queued"
                    }
                }
                "QUIT" => {
                    reply(stream, "221 bye").await?;
                    return Some(End::Quit);
                }
                _ => "503 5.5.1 bad sequence of commands",
            };
            reply(stream, answer).await?;
        }
    }
}

#[derive(PartialEq)]
enum End {
    StartTls,
    Quit,
}

async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let bytes = stream.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        let taken = end.unwrap_or(bytes.len());
        line.extend_from_slice(&bytes[..taken]);
        stream.consume(taken);
        assert!(line.len() <= MAX_LINE, "a line is too long");
        if end.is_some() {
            let line = line.strip_suffix(b"\r\n").expect("lines end in CR LF");
            assert!(!line.contains(&b'\r'), "a bare CR");
            return Some(String::from_utf8(line.to_vec()).expect("UTF-8"));
        }
    }
}

async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        let line = line(stream).await?;
        if line == "." {
            return Some(lines.join("\r\n"));
        }
        assert!(line.len() <= 998, "RFC 5322 §2.1.1: a line of {} bytes", line.len());
        assert!(!line.starts_with('.') || line.starts_with(".."), "a dot is not doubled: {line}");
        lines.push(line);
        assert!(lines.len() < 10_000, "a mail is too long");
    }
}

async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> Option<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

fn credentials(rest: &str) -> Option<(String, String)> {
    let plain = BASE64_STANDARD.decode(rest.strip_prefix("PLAIN ")?).ok()?;
    let text = String::from_utf8(plain).ok()?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn path(rest: &str, word: &str) -> Option<String> {
    let path = rest.strip_prefix(word)?.split(' ').next()?;
    Some(path.strip_prefix('<')?.strip_suffix('>')?.to_owned())
}
