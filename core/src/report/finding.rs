//! Findings, as a person reads them and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::text::wrap;
use crate::analysis::Finding;
use crate::text::Severity;

/// Columns of running text.
const WIDTH: usize = 108;

/// The place and the title on a line, then why, and what to write instead.
pub fn text(finding: &Finding, place: Option<&str>) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut text = String::new();
    if let Some(place) = place {
        let _ = write!(text, "{place}: ");
    }
    let _ = writeln!(text, "{severity}: {}", finding.title);
    for line in wrap(&finding.why, WIDTH) {
        let _ = writeln!(text, "  {line}");
    }
    for line in finding.instead.iter().flat_map(|instead| wrap(&format!("→ {instead}"), WIDTH)) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// What `findings --format json` prints for each, on one line.
pub fn json_line(finding: &Finding) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        severity: Severity,
        kind: &'a str,
        title: &'a str,
        why: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        instead: Option<&'a str>,
        object: String,
        field: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    }
    let told = Told {
        severity: finding.severity,
        kind: finding.kind,
        title: &finding.title,
        why: &finding.why,
        instead: finding.instead.as_deref(),
        object: finding.cite.object.to_string(),
        field: &finding.cite.field,
        line: finding.cite.span.map(|span| span.line),
    };
    serde_json::to_string(&told).unwrap_or_default()
}
