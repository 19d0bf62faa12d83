//! The matrix of who may reach whom, as text, CSV and Markdown. Each is told in pieces, about a row
//! a piece, to be written one after another: the whole can be long.

use std::fmt::Write as _;

use crate::analysis::{Cell, Column, Group, Matrix, Port};
use crate::escape;

/// As a table for a terminal: columns are numbered as the rows of the same pods are.
pub fn text(matrix: &Matrix, ports: bool) -> impl Iterator<Item = String> {
    let clients = matrix.rows.len().saturating_sub(matrix.columns.len());
    let names: Vec<String> = matrix.rows.iter().map(|row| escape::line(&label(row))).collect();
    let name_width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let number_width = matrix.columns.len().to_string().len();
    let mut columns: Vec<Words> = matrix.columns.iter().map(|to| Words::new(to, ports)).collect();
    let widths = widths(matrix, &columns);
    for (words, width) in columns.iter_mut().zip(&widths) {
        words.pad(width + 2);
    }
    let mut head = format!("{:number_width$}  {:name_width$}", "", "from ↓   to →");
    for (i, width) in widths.iter().enumerate() {
        let _ = write!(head, "  {:>width$}", i + 1);
    }
    let legend = if ports {
        "the ports that policies let through; ✗ none, · itself, any: where no port is declared\n"
    } else {
        "✓ every port, ✗ none, 1/2 some, · itself; by the policies alone\n"
    };
    let mut namespace: Option<&str> = None;
    let mut made = String::new();
    let rows = matrix.rows.iter().zip(names).enumerate().map(move |(i, (row, name))| {
        let mut out = String::new();
        if namespace != Some(&row.namespace) {
            namespace = Some(&row.namespace);
            let name = if row.namespace.is_empty() { "outside" } else { &row.namespace };
            out.push_str(&escape::line(name));
            out.push('\n');
        }
        let number = i.checked_sub(clients).map_or(String::new(), |n| (n + 1).to_string());
        let _ = write!(out, "{number:>number_width$}  {name:name_width$}");
        for (cell, words) in matrix.cells(i).zip(&columns) {
            out.push_str(words.tell(cell, &mut made));
        }
        ended(out)
    });
    std::iter::once(ended(head)).chain(rows).chain(std::iter::once(legend.to_owned()))
}

/// A line for each pair; with `ports`, a line for each of their ports.
pub fn csv(matrix: &Matrix, ports: bool) -> impl Iterator<Item = String> {
    let head = if ports { "from,to,port,protocol,allowed\n" } else { "from,to,allowed,ports\n" };
    let columns: Vec<(String, Vec<String>)> = matrix
        .columns
        .iter()
        .map(|column| {
            let port = |port: &Port| {
                let number = port.port.map_or(String::new(), |n| n.to_string());
                format!("{number},{}", port.protocol)
            };
            (escape::csv(&column.group.party.to_string()), column.ports.iter().map(port).collect())
        })
        .collect();
    let rows = matrix.rows.iter().enumerate().map(move |(i, row)| {
        let mut out = String::new();
        let from = escape::csv(&row.party.to_string());
        for (cell, (to, names)) in matrix.cells(i).zip(&columns) {
            let Cell::Ports(answers) = cell else { continue };
            if ports {
                for (port, allowed) in names.iter().zip(answers.iter()) {
                    let allowed = if allowed { "true" } else { "false" };
                    for part in [&from, ",", to, ",", port, ",", allowed, "\n"] {
                        out.push_str(part);
                    }
                }
            } else {
                let (allowed, of) = cell.count();
                let _ = writeln!(out, "{from},{to},{allowed},{of}");
            }
        }
        out
    });
    std::iter::once(head.to_owned()).chain(rows)
}

/// As a Markdown table.
pub fn markdown(matrix: &Matrix, ports: bool) -> impl Iterator<Item = String> {
    let columns: Vec<Words> = matrix.columns.iter().map(|to| Words::new(to, ports)).collect();
    let mut head = String::from("| from \\ to |");
    for column in &matrix.columns {
        let _ = write!(head, " {} |", escape::cell(&escape::markdown(&label(&column.group))));
    }
    head.push_str("\n| --- |");
    head.push_str(&" :-: |".repeat(matrix.columns.len()));
    head.push('\n');
    let mut made = String::new();
    let rows = matrix.rows.iter().enumerate().map(move |(i, row)| {
        let mut out = format!("| {} |", escape::cell(&escape::markdown(&label(row))));
        for (cell, words) in matrix.cells(i).zip(&columns) {
            for part in [" ", words.tell(cell, &mut made), " |"] {
                out.push_str(part);
            }
        }
        out.push('\n');
        out
    });
    std::iter::once(head).chain(rows)
}

/// What the cells of a column are told as.
struct Words {
    itself: String,
    /// By how many of its ports may be reached.
    counts: Vec<String>,
    /// Its ports, if they are told.
    ports: Option<Vec<String>>,
    /// Shorter words have blanks before them.
    width: usize,
}

impl Words {
    fn new(column: &Column, ports: bool) -> Self {
        let of = column.ports.len();
        let count = |allowed| match allowed {
            0 => "✗".to_owned(),
            all if all == of => "✓".to_owned(),
            some => format!("{some}/{of}"),
        };
        let names = || column.ports.iter().map(|port| port_name(*port)).collect();
        let counts = (0..=of).map(count).collect();
        Self { itself: "·".to_owned(), counts, ports: ports.then(names), width: 0 }
    }

    fn pad(&mut self, width: usize) {
        self.width = width;
        for word in self.counts.iter_mut().chain([&mut self.itself]) {
            *word = format!("{word:>width$}");
        }
    }

    /// The word for a cell, perhaps made in `made`.
    fn tell<'a>(&'a self, cell: Cell<'_>, made: &'a mut String) -> &'a str {
        let Cell::Ports(answers) = cell else { return &self.itself };
        let (allowed, _) = cell.count();
        let Some(names) = self.ports.as_ref().filter(|_| allowed > 0) else {
            return self.counts.get(allowed).map_or("", String::as_str);
        };
        made.clear();
        for (name, _) in names.iter().zip(answers.iter()).filter(|(_, allowed)| *allowed) {
            if !made.is_empty() {
                made.push(' ');
            }
            made.push_str(name);
        }
        if made.len() < self.width {
            made.insert_str(0, &" ".repeat(self.width - made.len()));
        }
        made
    }

    /// The widest that a word of the column can be.
    fn widest(&self) -> usize {
        let counts = self.counts.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        let all = self.ports.iter().flatten().map(|name| name.len() + 1).sum::<usize>();
        all.saturating_sub(1).max(counts)
    }
}

/// How wide each column is: as its widest cell, or its number.
fn widths(matrix: &Matrix, columns: &[Words]) -> Vec<usize> {
    let mut made = String::new();
    let width = |(column, words): (usize, &Words)| {
        let mut width = (column + 1).to_string().len();
        if width < words.widest() {
            let cells = (0..matrix.rows.len()).filter_map(|row| matrix.cell(row, column));
            for cell in cells {
                width = width.max(words.tell(cell, &mut made).chars().count());
            }
        }
        width
    };
    columns.iter().enumerate().map(width).collect()
}

fn port_name(port: Port) -> String {
    use crate::net::Protocol;
    match (port.port, port.protocol) {
        (None, _) => "any".to_owned(),
        (Some(number), Protocol::Tcp) => number.to_string(),
        (Some(number), protocol) => format!("{number}/{protocol}"),
    }
}

fn label(group: &Group) -> String {
    match group.pods {
        0 | 1 => group.party.to_string(),
        pods => format!("{} ×{pods}", group.party),
    }
}

/// As a line, without blanks before its end.
fn ended(mut line: String) -> String {
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}
