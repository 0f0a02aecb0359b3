//! `seawall journal export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use journal::Folder;
use journal::tables::{Reader, Row};
use protocol::tables::Table;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trading::Timestamp;

use super::cells;
use super::since::Since;
use crate::installation::now;
use crate::layout::Layout;

/// Names the layout of an export of the whole journal.
pub const FORMAT: &str = "seawall-journal/v1";
/// How many records are tried for a proof, the latest first: the checkpoint may not cover it yet.
const TRIES: usize = 64;

/// What to write, and where.
#[derive(Debug, Args)]
pub struct Options {
    /// One table. Without it, every event with its hashes, and in JSON the proof of the latest log
    /// record that vouches for them: what `seawall journal verify --export` checks on any machine.
    table: Option<Table>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Only what began then or later: an age (90m, 24h, 7d), a date or a time in UTC.
    #[arg(long, value_name = "TIME", requires = "table")]
    since: Option<Since>,
    /// The file; - is standard output.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON text.
    Json,
    /// RFC 4180, with a line of names. Texts that a spreadsheet would take for formulas begin with an
    /// apostrophe.
    Csv,
}

/// One event of an export.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exported {
    pub seq: u64,
    pub event_id: String,
    pub time_ms: u64,
    /// The event's JSON as it is hashed.
    pub payload: String,
    pub previous: String,
    pub hash: String,
}

impl Exported {
    fn of(row: &Row, payload: &str) -> Self {
        Self {
            seq: row.sequence,
            event_id: row.event_id.to_string(),
            time_ms: row.time.as_ms(),
            payload: payload.to_owned(),
            previous: hex::encode(row.previous),
            hash: hex::encode(row.hash),
        }
    }
}

/// Writes it.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let reader = super::open(layout)?;
    let since = options.since.map(|since| since.before(now()));
    write_to(&options.out, |out| {
        reader.snapshot(|reader| match (options.table, options.format) {
            (Some(table), Format::Json) => table_as_json(reader, table, since, out),
            (Some(table), Format::Csv) => table_as_csv(reader, table, since, out),
            (None, Format::Json) => events_as_json(reader, proof(layout)?.as_deref(), out),
            (None, Format::Csv) => events_as_csv(reader, out),
        })
    })?;
    Ok(ExitCode::SUCCESS)
}

fn table_as_json(
    reader: &Reader,
    table: Table,
    since: Option<Timestamp>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let columns = reader.columns(table)?;
    let mut separator = "[\n";
    reader.each_row::<anyhow::Error>(table, since, u32::MAX, |row| {
        write!(out, "{separator}{}", cells::object(&columns, &row))?;
        separator = ",\n";
        Ok(())
    })?;
    let start = if separator == "[\n" { "[" } else { "" };
    Ok(writeln!(out, "{start}\n]")?)
}

fn table_as_csv(
    reader: &Reader,
    table: Table,
    since: Option<Timestamp>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let columns = reader.columns(table)?;
    let mut csv = csv_writer(out);
    csv.write_record(&columns)?;
    reader.each_row::<anyhow::Error>(table, since, u32::MAX, |row| {
        let values = columns.iter().zip(&row).map(|(column, cell)| cells::text(column, cell));
        Ok(csv.write_record(values.map(cells::for_spreadsheet))?)
    })?;
    Ok(csv.flush()?)
}

fn events_as_json(reader: &Reader, proof: Option<&RawValue>, out: &mut dyn Write) -> anyhow::Result<()> {
    let proof = proof.map_or("null", RawValue::get);
    write!(out, "{{\"format\":\"{FORMAT}\",\n\"proof\":{},\n\"events\":[", proof.trim_end())?;
    let mut separator = "\n";
    reader.each_event::<anyhow::Error>(1, |row, payload| {
        write!(out, "{separator}{}", serde_json::to_string(&Exported::of(row, payload))?)?;
        separator = ",\n";
        Ok(())
    })?;
    Ok(writeln!(out, "\n]}}")?)
}

fn events_as_csv(reader: &Reader, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut csv = csv_writer(out);
    csv.write_record([
        "seq", "event_id", "time", "table", "event", "subject", "payload", "previous", "hash",
    ])?;
    reader.each_event::<anyhow::Error>(1, |row, payload| {
        let event = &row.event;
        let values = [
            row.sequence.to_string(),
            row.event_id.to_string(),
            row.time.to_string(),
            event.table().to_string(),
            event.kind().to_owned(),
            event.subject().to_owned(),
            payload.to_owned(),
            hex::encode(row.previous),
            hex::encode(row.hash),
        ];
        Ok(csv.write_record(values.map(cells::for_spreadsheet))?)
    })?;
    Ok(csv.flush()?)
}

fn csv_writer(out: &mut dyn Write) -> csv::Writer<&mut dyn Write> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

/// The proof of the latest record that vouches for rows and that the checkpoint covers.
fn proof(layout: &Layout) -> anyhow::Result<Option<Box<RawValue>>> {
    let Ok(folder) = Folder::open_read_only(&layout.log()) else { return Ok(None) };
    for anchor in journal::tables::anchors(&folder)?.iter().rev().take(TRIES) {
        if let Ok(bundle) = folder.prove(anchor.log_sequence) {
            return Ok(Some(RawValue::from_string(bundle.to_json())?));
        }
    }
    Ok(None)
}

/// Has `work` write to a file, which is there in the end as a whole or not at all (mode 0600), or to
/// standard output.
pub fn write_to(path: &Path, work: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        let mut out = BufWriter::new(io::stdout().lock());
        work(&mut out)?;
        return Ok(out.flush()?);
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let file = file.with_context(|| format!("cannot write {}", temporary.display()))?;
    let mut out = BufWriter::new(file);
    let done = work(&mut out).and_then(|()| {
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(std::fs::rename(&temporary, path)?)
    });
    if done.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    done.with_context(|| format!("cannot write {}", path.display()))
}
