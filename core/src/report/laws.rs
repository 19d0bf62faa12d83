//! Laws that hold for every report, whatever stands in the text's fields.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize as _;
use serde_json::Value;

use super::text::Look;
use super::{finding, grid, json, markdown, mermaid, svg, text};
use crate::analysis::{findings, matrix};
use crate::decision::evaluate;
use crate::picture::fixture::TEXT;
use crate::{read, trace};

/// What somebody might write to make a reader do something.
const HOSTILE: [&str; 40] = [
    "\u{1b}[2J\u{1b}]0;forged\u{7}",
    "\u{9b}2J\u{7f}\u{8}\u{0}",
    "\n::error::forged",
    " ::error::forged",
    "\r##[error]forged",
    "##vso[task.complete]",
    "\nok    forged: Delivered",
    "\u{2028}ok    forged\u{85}ok    forged",
    "\u{202e}degrof\u{2066}\u{200b}\u{feff}\u{e0041}",
    "\u{fffe}\u{ffff}\u{1}\u{fdd0}",
    "`<img src=http://forged.example/a.png>",
    "` ![a](http://forged.example/b.png) `` @forged `",
    "``",
    "[a](javascript:forged)",
    "@forged",
    "http://forged.example",
    "www.forged.example",
    "<script>forged()</script>",
    "<!--",
    "&lt;b&gt;&#60;",
    "*a*_b_~~c~~",
    "$forged$",
    "|",
    "\\|a|",
    "\\",
    "\n\n# forged\n\n- forged\n",
    "\n| forged | | | | |\n",
    "\n```\nforged",
    "    forged",
    "%%{init: {\"theme\": \"dark\"}}%%",
    "\r    Note over p0: forged\r",
    "; Note over p0: forged",
    "#59;forged#lt;",
    "style:#a",
    "classDef:#a;",
    "wrap:$$x$$",
    "\"'",
    "]]></svg>",
    "=1+1",
    ",;\"=forged\"",
];

/// Texts that between them have every kind of object.
fn texts() -> Vec<String> {
    let mut texts = vec![TEXT.to_owned()];
    let mut files: Vec<_> =
        std::fs::read_dir("../examples").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let yaml = files.iter().filter(|file| file.extension().is_some_and(|it| it == "yaml"));
    texts.extend(yaml.map(|file| std::fs::read_to_string(file).unwrap()));
    texts
}

/// The text's documents.
fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|it| Value::deserialize(it).unwrap()).collect()
}

fn words(value: &Value, found: &mut BTreeSet<String>) {
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '-');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match value {
        Value::String(text) => found.extend(split(text)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            found.extend(split(key));
            words(value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| words(item, found)),
        _ => {}
    }
}

/// The value with the word replaced everywhere, so that what refers to a name still does.
fn replaced(value: &Value, word: &str, by: &str) -> Value {
    let text = |text: &str| text.replace(word, by);
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (text(key), replaced(value, word, by)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, word, by)).collect(),
        other => other.clone(),
    }
}

/// A text some of whose words go on, begin, or are replaced by something hostile.
fn forged() -> impl Strategy<Value = String> {
    let change = (any::<Index>(), select(HOSTILE.to_vec()), 0..3);
    (select(texts()), prop::collection::vec(change, 1..5)).prop_map(|(text, changes)| {
        let mut documents = documents(&text);
        let mut known = BTreeSet::new();
        for document in &documents {
            words(document, &mut known);
        }
        let known: Vec<String> = known.into_iter().collect();
        for (index, hostile, how) in changes {
            let word = index.get(&known);
            let by = match how {
                0 => format!("{word}{hostile}"),
                1 => format!("{hostile}{word}"),
                _ => hostile.to_owned(),
            };
            documents = documents.iter().map(|it| replaced(it, word, &by)).collect();
        }
        let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
        documents.join("\n---\n")
    })
}

/// What of a report is not for its reader to obey.
fn escapes(report: &str) -> Option<String> {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || "\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{feff}".contains(c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
            || ('\u{e0000}'..='\u{e007f}').contains(&c)
            || "\u{fffe}\u{ffff}".contains(c)
    };
    report.lines().find_map(|line| {
        let steers = line.contains(steers);
        let command = line.trim_start().starts_with("::error") || line.contains("##[error]");
        let forged = line.starts_with("ok    ") || line.contains("##vso[");
        (steers || command || forged).then(|| format!("{line:?}"))
    })
}

/// How many cells a line of a Markdown table has.
fn cells(line: &str) -> usize {
    let mut escaped = false;
    let bars = line.chars().filter(|c| {
        let bar = *c == '|' && !escaped;
        escaped = *c == '\\' && !escaped;
        bar
    });
    bars.count().saturating_sub(1)
}

fn is_markdown_of_ours(line: &str) -> bool {
    let heading = line.starts_with("### `") || line.starts_with("#### ");
    let prose = line.starts_with(char::is_alphanumeric);
    line.is_empty() || heading || (line.starts_with("| ") && cells(line) == 5) || prose
}

fn is_mermaid_of_ours(line: &str) -> bool {
    let own = ["sequenceDiagram", "    rect rgba(128, 128, 128, 0.1)", "    end"];
    let entities = |text: &str| {
        text.split('#').skip(1).all(|rest| {
            rest.split_once(';').is_some_and(|(name, _)| name.chars().all(char::is_alphanumeric))
        }) && text.matches(';').count() == text.matches('#').count()
    };
    let told = |lead: &str, joint: &str| {
        let rest = line.strip_prefix(lead)?;
        let (places, told) = rest.split_once(joint)?;
        Some(places.chars().all(|c| c.is_ascii_digit() || "p->".contains(c)) && entities(told))
    };
    let statements = [("    participant p", " as "), ("    Note over p", ": "), ("    p", ": ")];
    let is = |(lead, joint)| told(lead, joint) == Some(true);
    own.contains(&line) || (statements.into_iter().any(is) && !line.contains("%%"))
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' | '\t' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

fn check_svg(svg: &str) -> Result<(), TestCaseError> {
    let file = roxmltree::Document::parse(svg);
    let file = file.map_err(|error| TestCaseError::fail(format!("{error}\n{svg}")))?;
    for element in file.descendants().filter(roxmltree::Node::is_element) {
        let name = element.tag_name().name();
        let own = ["svg", "style", "title", "g", "rect", "circle", "path", "text"];
        prop_assert!(own.contains(&name), "<{}>", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_that_is_written_in_a_text_leaves_its_place(text in forged()) {
        let reading = read(&text);
        let cluster = &reading.cluster;
        let flows = || reading.scenario.flows.iter().map(|it| &it.flow).take(4);
        let traces: Vec<_> = flows().map(|flow| trace(cluster, flow)).collect();
        let mut reports = vec![svg::sheet(cluster, &traces)];
        check_svg(&reports[0])?;
        for trace in &traces {
            let alone = svg::sheet(cluster, std::slice::from_ref(trace));
            check_svg(&alone)?;
            reports.push(alone);

            let look = Look { colour: false, rules: true };
            let plain = text::path(cluster, trace, look);
            let coloured = text::path(cluster, trace, Look { colour: true, ..look });
            let ours = ["1", "2", "31", "32", "33", "36", "0"];
            let stripped = ours.iter().fold(coloured, |text, code| {
                text.replace(&format!("\u{1b}[{code}m"), "")
            });
            let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            prop_assert_eq!(trimmed(&stripped), trimmed(&plain));
            reports.push(plain);

            let markdown = markdown::path(cluster, trace);
            let foreign = markdown.lines().find(|line| !is_markdown_of_ours(line));
            prop_assert_eq!(foreign, None);
            reports.push(markdown);

            let mermaid = mermaid::path(cluster, trace);
            let foreign = mermaid.lines().find(|line| !is_mermaid_of_ours(line));
            prop_assert_eq!(foreign, None);
            reports.push(mermaid);

            let line = json::trace_line(cluster, trace);
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read, serde_json::to_value(json::answer(cluster, trace)).unwrap());
            reports.push(line);
        }
        for flow in flows() {
            let answer = evaluate(cluster, flow);
            reports.push(text::evaluation(cluster, &answer, Look::default()));
            reports.push(json::evaluation_line(cluster, &answer));
        }
        for found in findings(&text, cluster) {
            reports.push(finding::text(&found, None));
            reports.push(finding::json_line(&found));
        }
        let matrix = matrix(cluster);
        reports.push(json::matrix_line(&matrix));
        for ports in [false, true] {
            reports.push(grid::text(&matrix, ports).collect());
            let table: String = grid::markdown(&matrix, ports).collect();
            let wide = table.lines().find(|line| cells(line) != matrix.columns.len() + 1);
            prop_assert_eq!(wide, None);
            reports.push(table);
            let csv: String = grid::csv(&matrix, ports).collect();
            for line in csv.lines() {
                let fields = fields(line);
                prop_assert_eq!(fields.len(), if ports { 5 } else { 4 }, "{}", line);
                let formula = fields.iter().any(|field| field.starts_with(['=', '+', '-', '@']));
                prop_assert!(!formula, "{}", line);
            }
            reports.push(csv);
        }
        for report in reports {
            prop_assert_eq!(escapes(&report), None);
        }
    }
}
