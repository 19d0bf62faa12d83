//! Findings, as a person reads them and as JSON.

use serde::Serialize;

use super::text::wrap;
use crate::analysis::Finding;
use crate::escape;
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
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    let mut lines = vec![format!("{place}{severity}: {}", finding.title)];
    let instead = finding.instead.iter().map(|instead| format!("→ {instead}"));
    for told in std::iter::once(finding.why.clone()).chain(instead) {
        lines.extend(wrap(&told, WIDTH).iter().map(|line| format!("  {line}")));
    }
    lines.iter().map(|line| escape::line(line) + "\n").collect()
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
    escape::json(&serde_json::to_string(&told).unwrap_or_default())
}
