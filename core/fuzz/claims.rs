//! What has to hold of whatever is written. Each claim takes any text, and panics where it is broken:
//! libFuzzer looks for such texts (`make fuzz`), and `tests/fuzz.rs` replays what is known.

use hopwise::analysis::{findings, matrix};
use hopwise::datapath::Trace;
use hopwise::decision::evaluate;
use hopwise::link::Link;
use hopwise::net::{Labels, Selector};
use hopwise::picker::{destinations, keep, pick, pickers, sources};
use hopwise::report::{finding, grid, json, markdown, mermaid, svg, text};
use hopwise::{Cluster, Flow, read, trace};

/// So many of a text's flows are asked.
const FLOWS: usize = 3;
/// Above so many pods no matrix is made.
const PODS: usize = 30;

/// Panics where it is broken.
pub type Claim = fn(&str);

/// The claims by their names, which are their targets' and their corpora's.
pub const CLAIMS: [(&str, Claim); 5] = [
    ("text", whole_text),
    ("edit", every_choice_is_in_force),
    ("link", links_keep_their_text),
    ("flow", flows_read_themselves),
    ("selector", selectors_keep_their_meaning),
];

/// A text is read, and told in every form; problems stand inside it.
pub fn whole_text(input: &str) {
    let reading = read(input);
    for problem in &reading.problems {
        let span = problem.span;
        assert!(input.get(span.start..span.end).is_some(), "{}: {span:?}", problem.message);
    }
    let cluster = &reading.cluster;
    for found in findings(input, cluster) {
        drop((finding::text(&found, None), finding::json_line(&found)));
    }
    for asked in &reading.scenario.flows {
        assert!(asked.flow.reads_back(), "{}", asked.flow);
    }
    let flows: Vec<&Flow> =
        reading.scenario.flows.iter().take(FLOWS).map(|asked| &asked.flow).collect();
    let traces: Vec<Trace> = flows.iter().map(|flow| trace(cluster, flow)).collect();
    for told in &traces {
        every_report(cluster, told);
    }
    xml(&svg::sheet(cluster, &traces));
    for flow in flows {
        let answer = evaluate(cluster, flow);
        let look = text::Look { colour: true, rules: true };
        drop((json::evaluation_line(cluster, &answer), text::evaluation(cluster, &answer, look)));
    }
    if cluster.pods.len() <= PODS {
        let all = matrix(cluster);
        drop(grid::text(&all, true).chain(grid::csv(&all, true)).collect::<Vec<_>>());
        drop((grid::markdown(&all, true).collect::<Vec<_>>(), json::matrix_line(&all)));
    }
}

fn every_report(cluster: &Cluster, told: &Trace) {
    let total: f64 = told.outcomes.iter().map(|outcome| outcome.share).sum();
    assert!(told.outcomes.is_empty() || (total - 1.0).abs() < 1e-6, "the shares make {total}");
    let line = json::trace_line(cluster, told);
    assert!(!line.contains('\n'), "a line of JSON has a line break");
    drop(text::path(cluster, told, text::Look { colour: false, rules: true }));
    drop((markdown::path(cluster, told), mermaid::path(cluster, told)));
}

/// Characters that XML 1.0 has.
fn xml(picture: &str) {
    let odd = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
    assert!(!picture.contains(odd), "a character that XML does not have");
}

/// Every choice that is offered is in force once it is made, and then changes nothing more; a flow
/// that is kept is there.
pub fn every_choice_is_in_force(input: &str) {
    let reading = read(input);
    let flow = reading.scenario.flows.first().map(|asked| &asked.flow);
    for row in pickers(&reading.cluster, flow) {
        for choice in row.choices.iter().filter(|choice| choice.unavailable.is_none()) {
            let once = pick(input, &reading.cluster, flow, row.dial, choice.value);
            if choice.chosen {
                assert_eq!(once, input, "{}: {} is in force", row.label, choice.value);
                continue;
            }
            let now = read(&once);
            let rows = pickers(&now.cluster, flow);
            let same = rows.iter().find(|it| it.dial == row.dial);
            let chosen = same.and_then(|it| it.choices.iter().find(|choice| choice.chosen));
            let chosen = chosen.map(|choice| choice.value);
            // A text that could not be read as a whole, or of broken objects, cannot be changed.
            if once != input {
                assert_eq!(chosen, Some(choice.value), "{} in\n{once}", row.label);
                assert_eq!(pick(&once, &now.cluster, flow, row.dial, choice.value), once);
            }
        }
    }
    let from = sources(&reading.cluster).into_iter().flat_map(|group| group.items);
    let to = destinations(&reading.cluster).into_iter().flat_map(|group| group.items);
    for (from, to) in from.zip(to) {
        let flow = to.value.asked_by(&from.value);
        assert!(flow.reads_back(), "offered: {flow}");
    }
    if let Some(flow) = flow {
        drop(read(&keep(input, flow, "kept")));
    }
}

/// A link gives back its text, and whatever else is taken for one is refused.
pub fn links_keep_their_text(input: &str) {
    drop(input.parse::<Link>());
    let link = Link { text: input.to_owned(), ..Link::default() };
    assert_eq!(link.to_string().parse::<Link>().map(|read| read.text), Ok(input.to_owned()));
}

/// What a flow prints is the flow.
pub fn flows_read_themselves(input: &str) {
    if let Ok(flow) = input.parse::<Flow>() {
        assert_eq!(flow.to_string().parse::<Flow>(), Ok(flow));
    }
}

/// What parses has a stored form that selects the same, and is itself once negations that cancel
/// each other are gone; an error stands inside the text.
pub fn selectors_keep_their_meaning(input: &str) {
    let labels: Labels = [("a", "x"), ("b", ""), ("app.kubernetes.io/name", "web")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    match input.parse::<Selector>() {
        Ok(selector) => {
            let stored = selector.canonical();
            let again: Selector = stored.parse().expect("the stored form is a selector");
            let last = again.canonical();
            assert_eq!(last.parse::<Selector>().expect("and so is its own").canonical(), last);
            assert_eq!(again.matches(&labels), selector.matches(&labels), "{input}");
        }
        Err(error) => assert!(error.at <= input.len(), "{input}: {error}"),
    }
}
