//! What a run has found: rows, and the distributions behind some of them.

use serde::Serialize;

use crate::bench::machine::Machine;
use crate::bench::rows::{self, Row};
use crate::bench::samples::Distribution;

/// What was found so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    curves: Vec<Curve>,
}

/// One line of the plot.
pub struct Curve {
    /// The panel it is drawn in.
    pub panel: String,
    pub role: Role,
    pub times: Distribution,
}

/// Who was measured: each has its colour in every panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Bare,
    Pipelined,
    BareSynced,
    Durable,
    Other,
}

/// What `--json` writes.
#[derive(Serialize)]
struct Written<'a> {
    rows: &'a [Row],
    machine: &'a Machine,
}

impl Report {
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Keeps a distribution for the plot.
    pub fn draw(&mut self, panel: impl Into<String>, role: Role, times: &Distribution) {
        self.curves.push(Curve { panel: panel.into(), role, times: times.clone() });
    }

    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }

    pub fn table(&self) -> String {
        rows::table(&self.rows)
    }

    pub fn markdown(&self) -> String {
        rows::markdown(&self.rows)
    }

    pub fn json(&self, machine: &Machine) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&Written { rows: &self.rows, machine })? + "\n")
    }
}
