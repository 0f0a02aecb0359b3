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

/// Paints the whole screen.
fn draw(area: Rect, picture: &Picture, buffer: &mut ratatui::buffer::Buffer) {
    use ratatui::widgets::Widget as _;
    let process_rows = u16::try_from(picture.processes.len()).unwrap_or(4) + 3;
    let [top, middle, orders, bottom] = Layout::vertical([
        Constraint::Length(process_rows),
        Constraint::Length(6),
        Constraint::Min(5),
        Constraint::Length(5),
    ])
    .areas(area);
    processes(picture).render(top, buffer);
    figures(picture).render(middle, buffer);
    decisions(picture, orders).render(orders, buffer);
    hints(picture).render(bottom, buffer);
}

fn titled(title: &str) -> Block<'_> {
    Block::default().borders(Borders::ALL).title(title)
}

fn processes(picture: &Picture) -> Table<'_> {
    let rows = picture.processes.iter().map(|process| {
        let color = if process.health == "ready" { Color::Green } else { Color::Yellow };
        Row::new([
            process.name.clone(),
            process.health.clone(),
            process.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            process.restarts.to_string(),
            process.last_exit.clone().unwrap_or_default(),
        ])
        .style(Style::new().fg(color))
    });
    let widths = [10, 9, 8, 9].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    Table::new(rows, widths)
        .header(Row::new(["process", "health", "pid", "restarts", "last exit"]).style(bold()))
        .block(titled(" Seawall — q or Ctrl-C stops everything in order "))
}

fn figures(picture: &Picture) -> Paragraph<'_> {
    let [p50, p99, p999] = picture.latency_us;
    let lines = vec![
        Line::from(vec![
            Span::styled(format!("approved {}  ", picture.approved), Style::new().fg(Color::Green)),
            Span::styled(format!("denied {}  ", picture.denied), Style::new().fg(Color::Red)),
            Span::raw(format!("released {}  rejected by the venue {}", picture.released, picture.rejected)),
        ]),
        Line::from(format!("decision to durable reply: p50 {p50} µs  p99 {p99} µs  p99.9 {p999} µs")),
        Line::from(format!("log: {} records, checkpoint {}", picture.log_size, picture.checkpoint)),
        Line::from(format!("trading state: {}   lease: {}", picture.trading_state, picture.lease)),
    ];
    Paragraph::new(lines).block(titled(" Figures "))
}

fn decisions(picture: &Picture, area: Rect) -> Paragraph<'_> {
    let room = usize::from(area.height.saturating_sub(2));
    let skipped = picture.orders.len().saturating_sub(room);
    let lines: Vec<Line<'_>> = picture.orders[skipped..]
        .iter()
        .map(|order| {
            let color = match order.outcome.as_str() {
                "approved" => Color::Green,
                "denied" => Color::Red,
                _ => Color::Reset,
            };
            Line::from(vec![
                Span::raw(format!("#{:<6} {} {:<8} {}  ", order.index, order.time, order.bot, order.what)),
                Span::styled(order.verdict(), Style::new().fg(color)),
            ])
        })
        .collect();
    Paragraph::new(lines).block(titled(" Last decisions "))
}

fn hints(picture: &Picture) -> Paragraph<'_> {
    let lines: Vec<Line<'_>> =
        picture.next_commands.iter().map(|command| Line::from(format!("$ {command}"))).collect();
    Paragraph::new(lines).block(titled(" Try in another terminal "))
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_shows_reasons_health_and_hints() {
        let picture = Picture {
            processes: vec![ProcessState {
                name: "vault".into(),
                pid: Some(42),
                health: "ready".into(),
                restarts: 1,
                last_exit: None,
            }],
            orders: vec![OrderLine {
                index: 7,
                time: "12:00:00".into(),
                bot: "demo".into(),
                what: "buy 50 bybit:linear:BTCUSDT market".into(),
                outcome: "denied".into(),
                denied: Some("quantity 50 exceeds the limit 0.05".into()),
            }],
            next_commands: ["seawall log verify".into(), "b".into(), "c".into()],
            ..Picture::default()
        };
        let area = Rect::new(0, 0, 120, 30);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        draw(area, &picture, &mut buffer);
        let text: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        for part in ["vault", "ready", "denied: quantity 50 exceeds the limit 0.05", "$ seawall log verify"] {
            assert!(text.contains(part), "{part} is not on the screen");
        }
    }
}
