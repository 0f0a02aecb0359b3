//! What people see while it runs: one live screen, or plain lines, or nothing.

use std::io::{self, Stdout, stdout};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};

use crate::commands::say;
use crate::up::addresses::ProcessState;

/// A terminal with fewer rows than this has frames at the top only.
const LOW: u16 = 32;
/// A narrower terminal shows times to the second.
const WIDE: usize = 100;
/// Where the reasons of a denial begin.
const INDENT: &str = "        ";
/// Most rows that the reasons of one denial take.
const REASON_ROWS: usize = 4;
/// Most rows that a warning takes.
const NOTICE_ROWS: usize = 2;

/// Everything there is to see at one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    pub processes: Vec<ProcessState>,
    /// The latest decisions, oldest first.
    pub orders: Vec<OrderLine>,
    pub approved: u64,
    pub denied: u64,
    pub released: u64,
    pub rejected: u64,
    /// Microseconds from a request's arrival in the vault to its reply: p50, p99, p99.9.
    pub latency_us: [u64; 3],
    pub log_size: u64,
    /// Size and root of the last checkpoint.
    pub checkpoint: String,
    pub trading_state: String,
    pub lease: String,
    /// Where bots reach each venue.
    pub gateways: Vec<(String, String)>,
    /// The last warning.
    pub notice: Option<String>,
    /// The next three commands worth typing.
    pub next_commands: [String; 3],
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    pub index: u64,
    pub time: String,
    pub bot: String,
    pub what: String,
    /// `approved`, `denied` or `event`.
    pub outcome: String,
    /// Of a denial, every reason with its numbers.
    pub denied: Option<String>,
}

impl OrderLine {
    /// The outcome, and of a denial why.
    pub fn verdict(&self) -> String {
        match &self.denied {
            Some(why) => format!("{}: {why}", self.outcome),
            None => self.outcome.clone(),
        }
    }
}

/// A way to show pictures.
pub trait View {
    /// Shows `picture`; returns whether the person wants to stop.
    fn show(&mut self, picture: &Picture) -> anyhow::Result<bool>;
}

/// Shows nothing.
pub struct Silent;

impl View for Silent {
    fn show(&mut self, _: &Picture) -> anyhow::Result<bool> {
        Ok(false)
    }
}

/// Prints what is new, line by line.
#[derive(Default)]
pub struct Plain {
    greeted: bool,
    last_index: Option<u64>,
    health: Vec<ProcessState>,
}

impl View for Plain {
    fn show(&mut self, picture: &Picture) -> anyhow::Result<bool> {
        for process in &picture.processes {
            let before = self.health.iter().find(|known| known.name == process.name);
            if before.is_none_or(|known| known.health != process.health || known.pid != process.pid) {
                let pid = process.pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
                say(format!("process {} is {}{pid}", process.name, process.health));
            }
        }
        self.health.clone_from(&picture.processes);
        if !self.greeted {
            self.greeted = true;
            for (venue, url) in &picture.gateways {
                say(format!("gateway for {venue} at {url}"));
            }
            for command in &picture.next_commands {
                say(format!("try: {command}"));
            }
        }
        let new = |order: &&OrderLine| self.last_index.is_none_or(|last| order.index > last);
        for order in picture.orders.iter().filter(new) {
            let verdict = order.verdict();
            say(format!("{} #{} {} {} {verdict}", order.time, order.index, order.bot, order.what));
        }
        if let Some(last) = picture.orders.last() {
            self.last_index = Some(last.index);
        }
        Ok(false)
    }
}

/// The live screen. Leaves the terminal as it found it, also when the program panics.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes over the terminal.
    pub fn open() -> io::Result<Self> {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore_terminal();
            previous(info);
        }));
        enable_raw_mode()?;
        crossterm::execute!(stdout(), EnterAlternateScreen)?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(stdout()))? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore_terminal();
    }
}

fn restore_terminal() {
    drop(disable_raw_mode());
    drop(crossterm::execute!(stdout(), LeaveAlternateScreen, crossterm::cursor::Show));
}

impl View for Screen {
    fn show(&mut self, picture: &Picture) -> anyhow::Result<bool> {
        self.terminal.draw(|frame| draw(frame.area(), picture, frame.buffer_mut()))?;
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()? {
                let interrupt =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || key.code == KeyCode::Char('q') {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Paints the whole screen. A low one spends its rows on decisions rather than on frames.
fn draw(area: Rect, picture: &Picture, buffer: &mut ratatui::buffer::Buffer) {
    use ratatui::widgets::Widget as _;
    let frame = if area.height < LOW { Frame::Top } else { Frame::Whole };
    let figures = figures(picture, frame.width(area));
    let hints = hints(picture, frame.width(area));
    let compact = compact_processes(picture, frame.width(area));
    let table_rows = u16::try_from(picture.processes.len()).unwrap_or(4) + 1;
    let rows = |lines: &[Line<'_>]| u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height / 3);
    let [top, middle, orders, bottom] = Layout::vertical([
        Constraint::Length(frame.rows() + if frame == Frame::Top { rows(&compact) } else { table_rows }),
        Constraint::Length(rows(&figures) + frame.rows()),
        Constraint::Min(4),
        Constraint::Length(rows(&hints) + frame.rows()),
    ])
    .areas(area);
    let room = usize::from(orders.height.saturating_sub(frame.rows()));
    let decisions = decisions(picture, frame.width(area), room);
    let block = frame.titled(" Seawall — q or Ctrl-C stops everything in order ");
    match frame {
        Frame::Top => Paragraph::new(compact).block(block).render(top, buffer),
        Frame::Whole => processes(picture).block(block).render(top, buffer),
    }
    Paragraph::new(figures).block(frame.titled(" Figures ")).render(middle, buffer);
    Paragraph::new(decisions).block(frame.titled(" Last decisions ")).render(orders, buffer);
    Paragraph::new(hints).block(frame.titled(" Try in another terminal ")).render(bottom, buffer);
}

/// How much of a frame there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Whole,
    Top,
}

impl Frame {
    /// Rows it takes.
    const fn rows(self) -> u16 {
        match self {
            Self::Whole => 2,
            Self::Top => 1,
        }
    }

    /// Columns it leaves.
    fn width(self, area: Rect) -> usize {
        usize::from(match self {
            Self::Whole => area.width.saturating_sub(2),
            Self::Top => area.width,
        })
    }

    fn titled(self, title: &str) -> Block<'_> {
        let borders = match self {
            Self::Whole => Borders::ALL,
            Self::Top => Borders::TOP,
        };
        Block::default().borders(borders).title(title)
    }
}

fn processes(picture: &Picture) -> Table<'_> {
    let rows = picture.processes.iter().map(|process| {
        Row::new([
            process.name.clone(),
            process.health.clone(),
            process.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            process.restarts.to_string(),
            process.last_exit.clone().unwrap_or_default(),
        ])
        .style(health_style(process))
    });
    let widths = [10, 9, 8, 9].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    Table::new(rows, widths)
        .header(Row::new(["process", "health", "pid", "restarts", "last exit"]).style(bold()))
}

/// Several processes a row; how one ended the last time stands there only while it is not ready.
fn compact_processes(picture: &Picture, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for process in &picture.processes {
        let pid = process.pid.map_or(String::new(), |pid| format!(" pid {pid}"));
        let restarts = match process.restarts {
            0 => String::new(),
            count => format!(" restarted {count}×"),
        };
        let exit = process.last_exit.as_ref().filter(|_| process.health != "ready");
        let exit = exit.map_or(String::new(), |exit| format!(" ({exit})"));
        let text = format!("{} {}{pid}{restarts}{exit}   ", process.name, process.health);
        let span = Span::styled(text, health_style(process));
        match lines.last_mut().filter(|line| line.width() + span.width() <= width + 3) {
            Some(line) => line.push_span(span),
            None => lines.push(Line::from(span)),
        }
    }
    lines
}

fn health_style(process: &ProcessState) -> Style {
    Style::new().fg(if process.health == "ready" { Color::Green } else { Color::Yellow })
}

fn figures(picture: &Picture, width: usize) -> Vec<Line<'static>> {
    let [p50, p99, p999] = picture.latency_us;
    let mut lines = vec![
        Line::from(vec![
            Span::styled(format!("approved {}  ", picture.approved), Style::new().fg(Color::Green)),
            Span::styled(format!("denied {}  ", picture.denied), Style::new().fg(Color::Red)),
            Span::raw(format!("released {}  rejected by the venue {}", picture.released, picture.rejected)),
        ]),
        Line::from(format!("decision to durable reply: p50 {p50} µs  p99 {p99} µs  p99.9 {p999} µs")),
        Line::from(format!("log: {} records, checkpoint {}", picture.log_size, picture.checkpoint)),
    ];
    let state = format!("trading state: {}   lease: {}", picture.trading_state, picture.lease);
    lines.extend(wrapped(&state, "", "  ", width).into_iter().map(Line::from));
    if let Some(notice) = &picture.notice {
        let mut rows = wrapped(notice, "warning: ", "  ", width);
        rows.truncate(NOTICE_ROWS);
        let style = Style::new().fg(Color::Yellow);
        lines.extend(rows.into_iter().map(|row| Line::styled(row, style)));
    }
    lines
}

/// The latest decisions that fit into `room` rows, oldest first. The latest denial stays until the next.
fn decisions(picture: &Picture, width: usize, room: usize) -> Vec<Line<'static>> {
    let latest = latest_decisions(&picture.orders, width, room);
    let denied = picture.orders.iter().rposition(|order| order.denied.is_some());
    let shown_from = picture.orders.len() - latest.len();
    let mut pinned = match denied {
        Some(at) if at < shown_from => decision(&picture.orders[at], width),
        _ => return latest.into_iter().flatten().collect(),
    };
    pinned.truncate(room.saturating_sub(2));
    let after = &picture.orders[shown_from..];
    pinned.extend(latest_decisions(after, width, room - pinned.len()).into_iter().flatten());
    pinned
}

fn latest_decisions(orders: &[OrderLine], width: usize, room: usize) -> Vec<Vec<Line<'static>>> {
    let mut newest_first: Vec<Vec<Line<'static>>> = Vec::new();
    let mut rows = 0;
    for order in orders.iter().rev() {
        let mut lines = decision(order, width);
        if newest_first.is_empty() {
            lines.truncate(room);
        }
        rows += lines.len();
        if rows > room {
            break;
        }
        newest_first.push(lines);
    }
    newest_first.into_iter().rev().collect()
}

/// One decision: when, how it ended, who asked for what; below a denial every reason.
fn decision(order: &OrderLine, width: usize) -> Vec<Line<'static>> {
    let color = match order.outcome.as_str() {
        "approved" => Color::Green,
        "denied" => Color::Red,
        _ => Color::Reset,
    };
    let style = Style::new().fg(color);
    let when = if width < WIDE {
        format!("#{} {} ", order.index, order.time.get(..8).unwrap_or(&order.time))
    } else {
        format!("#{:<6} {} ", order.index, order.time)
    };
    let outcome = format!("{:<9}", order.outcome);
    let blank = " ".repeat(when.chars().count() + outcome.chars().count());
    let asked = wrapped(&format!("{} {}", order.bot, order.what), &blank, &blank, width);
    let mut lines: Vec<Line<'static>> = asked.into_iter().map(Line::from).collect();
    if let Some(first) = lines.first_mut() {
        let asked = first.to_string().trim_start().to_owned();
        *first = Line::from(vec![Span::raw(when), Span::styled(outcome, style), Span::raw(asked)]);
    }
    if let Some(why) = &order.denied {
        let mut reasons = wrapped(why, INDENT, INDENT, width);
        if reasons.len() > REASON_ROWS {
            reasons.truncate(REASON_ROWS);
            if let Some(last) = reasons.last_mut() {
                last.push('…');
            }
        }
        lines.extend(reasons.into_iter().map(|reason| Line::styled(reason, style)));
    }
    lines
}

fn hints(picture: &Picture, width: usize) -> Vec<Line<'static>> {
    let lines = picture.next_commands.iter().flat_map(|command| wrapped(command, "$ ", "  ", width));
    lines.map(Line::from).collect()
}

/// `text` broken between words into lines of at most `width` characters; a longer word is broken too.
/// The first line begins with `first`, the others with `later`.
fn wrapped(text: &str, first: &str, later: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let space = usize::from(!is_empty);
        if line.chars().count() + space + word.len() > width && !is_empty {
            lines.push(std::mem::replace(&mut line, later.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        let mut room = width.saturating_sub(line.chars().count()).max(1);
        while word.len() > room {
            line.extend(word.drain(..room));
            lines.push(std::mem::replace(&mut line, later.to_owned()));
            room = width.saturating_sub(later.chars().count()).max(1);
        }
        line.extend(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = "bybit:spot:DOGEUSDT is not on the account's symbol list; only post-only orders are \
                       allowed, and exits that can only reduce a position; no mark price for it";

    fn picture() -> Picture {
        let process = |name: &str| ProcessState {
            name: name.into(),
            pid: Some(42),
            health: "ready".into(),
            restarts: 1,
            last_exit: None,
        };
        let order = |index: u64| OrderLine {
            index,
            time: "12:00:00.000".into(),
            bot: "demo".into(),
            what: "buy 1000 (quote) bybit:spot:DOGEUSDT market".into(),
            outcome: if index == 40 { "denied".into() } else { "approved".into() },
            denied: (index == 40).then(|| WHY.into()),
        };
        let program = "target/release/seawall --data-dir /home/someone/a/rather/deep/folder";
        Picture {
            processes: ["paper", "journal", "vault", "gateway"].map(process).to_vec(),
            orders: (1..=40).map(order).collect(),
            trading_state: "binance active, demo active, main active".into(),
            lease: "not required by this version".into(),
            next_commands: ["log verify", "halt --why \"just trying\"", "bot add mybot --venue bybit"]
                .map(|words| format!("{program} {words}")),
            ..Picture::default()
        }
    }

    /// The rows of a terminal of this size, each without the frame and the blanks around it.
    fn rows(width: u16, height: u16, picture: &Picture) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        draw(area, picture, &mut buffer);
        let cells = buffer.content().chunks(usize::from(width));
        let text = cells.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
        text.map(|row| row.trim_matches([' ', '│']).to_owned()).collect()
    }

    #[test]
    fn every_size_shows_verdicts_reasons_health_and_whole_hints() {
        for (width, height) in [(80, 24), (80, 31), (80, 32), (100, 30), (150, 40), (200, 60)] {
            let picture = picture();
            let rows = rows(width, height, &picture);
            let text = rows.join(" ");
            for part in [
                "vault",
                "gateway",
                "ready",
                "denied   demo buy 1000",
                WHY,
                "demo active",
                "lease: not required",
            ] {
                assert!(text.contains(part), "{part} is not on {width}x{height}:\n{}", rows.join("\n"));
            }
            for command in &picture.next_commands {
                assert!(text.contains(&format!("$ {command}")), "{width}x{height}:\n{}", rows.join("\n"));
            }
            let shown = rows.iter().filter(|row| row.contains("approved demo")).count();
            assert!(shown >= 2, "{shown} other decisions on {width}x{height}:\n{}", rows.join("\n"));
        }
    }

    #[test]
    fn a_denial_stays_until_the_next_one() {
        for denied in [40, 39, 30, 5] {
            let mut picture = picture();
            let why = picture.orders[39].denied.take();
            picture.orders[39].outcome = "approved".into();
            picture.orders[denied - 1].outcome = "denied".into();
            picture.orders[denied - 1].denied = why;
            let rows = rows(80, 24, &picture);
            let text = rows.join(" ");
            assert!(text.contains(&format!("#{denied} 12:00:00 denied")) && text.contains(WHY), "{rows:#?}");
            assert!(text.contains("#40 12:00:00"), "the latest is there: {rows:#?}");
        }
    }

    #[test]
    fn the_last_warning_is_on_the_screen() {
        let notice = Some("vault ended; will be restarted".to_owned());
        for (width, height) in [(80, 24), (150, 40)] {
            let rows = rows(width, height, &Picture { notice: notice.clone(), ..picture() });
            assert!(rows.iter().any(|row| row == "warning: vault ended; will be restarted"), "{rows:#?}");
        }
    }

    #[test]
    fn a_terminal_of_no_use_is_no_reason_to_stop() {
        for (width, height) in [(0, 0), (1, 1), (10, 3), (20, 200), (300, 5)] {
            rows(width.max(1), height.max(1), &picture());
        }
    }

    #[test]
    fn lines_break_between_words_and_lose_nothing() {
        assert_eq!(wrapped("one two three", "$ ", "  ", 9), ["$ one two", "  three"]);
        assert_eq!(wrapped("abcdefgh ij", "", " ", 5), ["abcde", " fgh", " ij"]);
        assert_eq!(wrapped("", "$ ", "", 5), ["$ "]);
        assert_eq!(wrapped("ab", "", "", 0), ["a", "b"]);
    }
}
