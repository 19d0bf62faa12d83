//! The matrix of who may reach whom, as text, CSV and Markdown.

use std::fmt::Write as _;

use super::markdown;
use crate::analysis::{Cell, Column, Group, Matrix, Port};

/// As a table for a terminal: columns are numbered as the rows of the same pods are.
pub fn text(matrix: &Matrix, ports: bool) -> String {
    let mut out = String::new();
    let names = rows(matrix);
    let clients = matrix.rows.len().saturating_sub(matrix.columns.len());
    let name_width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let cells: Vec<Vec<String>> = matrix
        .cells
        .iter()
        .map(|row| {
            row.iter().zip(&matrix.columns).map(|(cell, to)| told(cell, to, ports)).collect()
        })
        .collect();
    let widths: Vec<usize> = (0..matrix.columns.len())
        .map(|i| {
            let widest = cells.iter().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max();
            widest.unwrap_or(0).max((i + 1).to_string().len())
        })
        .collect();
    let number_width = matrix.columns.len().to_string().len();
    let mut head = format!("{:number_width$}  {:name_width$}", "", "from ↓   to →");
    for (i, width) in widths.iter().enumerate() {
        let _ = write!(head, "  {:>width$}", i + 1);
    }
    line(&mut out, &head);
    let mut namespace: Option<&str> = None;
    for (i, (row, name)) in matrix.rows.iter().zip(&names).enumerate() {
        if namespace != Some(&row.namespace) {
            namespace = Some(&row.namespace);
            let title = if row.namespace.is_empty() { "outside" } else { &row.namespace };
            line(&mut out, title);
        }
        let number = i.checked_sub(clients).map_or(String::new(), |n| (n + 1).to_string());
        let mut text = format!("{number:>number_width$}  {name:name_width$}");
        for (cell, width) in cells.get(i).into_iter().flatten().zip(&widths) {
            let _ = write!(text, "  {cell:>width$}");
        }
        line(&mut out, &text);
    }
    out.push_str(if ports {
        "the ports that policies let through; ✗ none, · itself, any: where no port is declared\n"
    } else {
        "✓ every port, ✗ none, 1/2 some, · itself; by the policies alone\n"
    });
    out
}

/// A line for each pair; with `ports`, a line for each of their ports.
pub fn csv(matrix: &Matrix, ports: bool) -> String {
    let mut out = String::from(if ports {
        "from,to,port,protocol,allowed\n"
    } else {
        "from,to,allowed,ports\n"
    });
    for (from, to, cell) in pairs(matrix) {
        let (from, to_name) = (field(&from.name), field(&to.group.name));
        let Cell::Ports(answers) = cell else { continue };
        if ports {
            for (port, allowed) in to.ports.iter().zip(answers) {
                let number = port.port.map_or(String::new(), |n| n.to_string());
                let _ = writeln!(out, "{from},{to_name},{number},{},{allowed}", port.protocol);
            }
        } else {
            let (allowed, of) = cell.count();
            let _ = writeln!(out, "{from},{to_name},{allowed},{of}");
        }
    }
    out
}

/// As a Markdown table.
pub fn markdown(matrix: &Matrix, ports: bool) -> String {
    let mut out = String::from("| from \\ to |");
    for column in &matrix.columns {
        let _ = write!(out, " {} |", markdown::escape(&label(&column.group)));
    }
    out.push_str("\n| --- |");
    out.push_str(&" :-: |".repeat(matrix.columns.len()));
    out.push('\n');
    for (row, cells) in matrix.rows.iter().zip(&matrix.cells) {
        let _ = write!(out, "| {} |", markdown::escape(&label(row)));
        for (cell, column) in cells.iter().zip(&matrix.columns) {
            let _ = write!(out, " {} |", told(cell, column, ports));
        }
        out.push('\n');
    }
    out
}

fn pairs(matrix: &Matrix) -> impl Iterator<Item = (&Group, &Column, &Cell)> {
    matrix.rows.iter().zip(&matrix.cells).flat_map(|(from, cells)| {
        cells.iter().zip(&matrix.columns).map(move |(cell, to)| (from, to, cell))
    })
}

fn told(cell: &Cell, to: &Column, ports: bool) -> String {
    let Cell::Ports(answers) = cell else { return "·".to_owned() };
    let (allowed, of) = cell.count();
    if allowed == 0 {
        return "✗".to_owned();
    }
    if ports {
        let open = to.ports.iter().zip(answers).filter(|(_, allowed)| **allowed);
        return open.map(|(port, _)| port_name(*port)).collect::<Vec<_>>().join(" ");
    }
    if allowed == of { "✓".to_owned() } else { format!("{allowed}/{of}") }
}

fn port_name(port: Port) -> String {
    use crate::datapath::Protocol;
    match (port.port, port.protocol) {
        (None, _) => "any".to_owned(),
        (Some(number), Protocol::Tcp) => number.to_string(),
        (Some(number), protocol) => format!("{number}/{protocol}"),
    }
}

fn rows(matrix: &Matrix) -> Vec<String> {
    matrix.rows.iter().map(label).collect()
}

fn label(group: &Group) -> String {
    match group.pods {
        0 | 1 => group.name.clone(),
        pods => format!("{} ×{pods}", group.name),
    }
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}
