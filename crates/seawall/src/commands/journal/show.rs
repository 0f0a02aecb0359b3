//! `seawall journal show`.

use std::process::ExitCode;

use clap::Args;
use journal::tables::{EquitySample, MissingLesson, Reader, Row};
use protocol::tables::{Table, TableEvent};
use serde_json::{Value, json};

use super::cells;
use super::since::Since;
use crate::commands::say;
use crate::installation::now;
use crate::layout::Layout;

/// How long a lesson may be missing before the summary names the trade.
const LESSON_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;
/// Most characters of a text in a listing for people.
const WIDEST: usize = 48;

/// What to show.
#[derive(Debug, Args)]
pub struct Options {
    /// One of `swing_trades`, `capital_movements`, `halt_events`, `config_changes`, `incidents`,
    /// `equity_samples`.
    table: Option<Table>,
    /// Only what began then or later: an age (90m, 24h, 7d), a date or a time in UTC.
    #[arg(long, value_name = "TIME", requires = "table")]
    since: Option<Since>,
    /// At most so many rows, the latest.
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print each row as a JSON object.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub fn run(layout: &Layout, options: &Options) -> anyhow::Result<ExitCode> {
    let reader = super::open(layout)?;
    match options.table {
        Some(table) => rows(&reader, table, options)?,
        None => {
            let summary = reader.snapshot(summary)?;
            if options.json { say(summary.json()) } else { summary.lines().iter().for_each(say) }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(reader: &Reader, table: Table, options: &Options) -> anyhow::Result<()> {
    let columns = reader.columns(table)?;
    let since = options.since.map(|since| since.before(now()));
    let mut lines: Vec<Vec<String>> = Vec::new();
    reader.each_row::<anyhow::Error>(table, since, options.limit, |row| {
        if options.json {
            say(cells::object(&columns, &row));
        } else {
            lines.push(columns.iter().zip(&row).map(|(column, cell)| shown(column, cell)).collect());
        }
        Ok(())
    })?;
    if !options.json {
        aligned(&columns, &lines).iter().for_each(say);
    }
    Ok(())
}

/// A value on one line, no longer than [`WIDEST`].
fn shown(column: &str, cell: &journal::tables::Cell) -> String {
    let text = cells::text(column, cell).replace(['\n', '\t'], " ");
    if text.is_empty() {
        return "-".to_owned();
    }
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Rows under their columns, without the columns that hold nothing and those for programs.
fn aligned(columns: &[String], rows: &[Vec<String>]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["no rows".to_owned()];
    }
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let widest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
            let is_empty = rows.iter().all(|row| row[at] == "-");
            if is_empty || name == "last_seq" { 0 } else { widest.max(name.len()) }
        })
        .collect();
    let line = |values: &[String]| {
        let mut text = String::new();
        for (value, width) in values.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            text.push_str(value);
            text.push_str(&" ".repeat(width + 2 - value.chars().count().min(*width)));
        }
        text.trim_end().to_owned()
    };
    std::iter::once(line(columns)).chain(rows.iter().map(|row| line(row))).collect()
}

/// What a person wants to know first.
struct Summary {
    counts: Vec<(Table, u64)>,
    rows: u64,
    anchored: Option<(u64, u64)>,
    halts: Vec<Row>,
    incidents: Vec<Row>,
    movements: Vec<Row>,
    lessons: Vec<MissingLesson>,
    without_thesis: usize,
    equity: Vec<EquitySample>,
}

fn summary(reader: &Reader) -> anyhow::Result<Summary> {
    let counts = Table::ALL.into_iter().map(|table| Ok((table, reader.count(table)?)));
    let mut equity = Vec::new();
    for account in reader.sampled_accounts()? {
        equity.extend(reader.equity(&account.parse()?, None, 1)?);
    }
    Ok(Summary {
        counts: counts.collect::<anyhow::Result<_>>()?,
        rows: reader.head()?.map_or(0, |head| head.row),
        anchored: reader.last_anchored()?,
        halts: reader.unresolved_halts()?,
        incidents: reader.open_incidents()?,
        movements: reader.unsettled_movements()?,
        lessons: reader.trades_without_lesson(now(), LESSON_LIMIT_MS)?,
        without_thesis: reader.trades_without_thesis()?.len(),
        equity,
    })
}

impl Summary {
    fn json(&self) -> Value {
        let events = |rows: &[Row]| -> Vec<Value> {
            let event =
                |row: &Row| json!({ "seq": row.sequence, "time": row.time.to_string(), "event": row.event });
            rows.iter().map(event).collect()
        };
        let counts: serde_json::Map<String, Value> =
            self.counts.iter().map(|(table, count)| (table.to_string(), Value::from(*count))).collect();
        let lesson = |trade: &MissingLesson| json!({ "trade_id": trade.trade_id, "account": trade.account, "exited_at": trade.exited_at.to_string() });
        let sample = |sample: &EquitySample| json!({ "account": sample.account, "time": sample.time.to_string(), "equity": sample.equity, "rung": sample.rung });
        json!({
            "events": self.rows,
            "anchored": self.anchored.map_or(0, |(row, _)| row),
            "anchored_by": self.anchored.map(|(_, log)| log),
            "counts": counts,
            "unresolved_halts": events(&self.halts),
            "open_incidents": events(&self.incidents),
            "unsettled_movements": events(&self.movements),
            "trades_without_thesis": self.without_thesis,
            "lessons_overdue": self.lessons.iter().map(lesson).collect::<Vec<_>>(),
            "equity": self.equity.iter().map(sample).collect::<Vec<_>>(),
        })
    }

    fn lines(&self) -> Vec<String> {
        let anchored =
            self.anchored.map_or("none".to_owned(), |(row, log)| format!("up to {row}, by record {log}"));
        let mut lines = vec![
            format!("events             {}", self.rows),
            format!("vouched for        {anchored} (the file's word; `seawall journal verify` asks the log)"),
        ];
        lines.extend(self.counts.iter().map(|(table, count)| format!("{:<18} {count}", table.as_str())));
        if self.without_thesis > 0 {
            lines.push(format!("no thesis          {} trades", self.without_thesis));
        }
        for row in self.halts.iter().chain(&self.incidents).chain(&self.movements) {
            lines.push(format!("open since {}: {}", row.time, open(&row.event)));
        }
        for trade in &self.lessons {
            let MissingLesson { trade_id, account, exited_at } = trade;
            lines.push(format!("lesson overdue: trade {trade_id} on {account}, closed {exited_at}"));
        }
        for EquitySample { account, time, equity, rung, .. } in &self.equity {
            lines.push(format!("equity of {account}: {equity}, rung {rung}, at {time}"));
        }
        lines
    }
}

/// What is open, in words.
fn open(event: &TableEvent) -> String {
    let text = match event {
        TableEvent::HaltStarted { halt_id, account, reason, .. } => {
            let whom = account.as_ref().map_or("every account", |account| account.as_str());
            format!("halt {halt_id} of {whom}: {reason}")
        }
        TableEvent::IncidentOpened { incident_id, sort, severity, text } => {
            format!("incident {incident_id} ({sort}, {severity:?}): {text}")
        }
        TableEvent::MovementPlanned { movement_id, asset, amount, source, destination, .. } => {
            format!("movement {movement_id}: {amount} {asset} from {source} to {destination}")
        }
        other => format!("{} {}", other.kind(), other.subject()),
    };
    text.replace(['\n', '\t'], " ")
}
