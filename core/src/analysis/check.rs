//! A scenario as a test: every flow that says what it expects, and every problem that must be found.

use std::net::IpAddr;

use crate::datapath::{Outcome, Rule, Trace, trace};
use crate::net::Verdict;
use crate::scenario::{ExpectedProblem, Reading, ScenarioFlow};
use crate::text::Problem;

/// A flow's expectation and what came of it.
#[derive(Clone, Debug)]
pub struct Check<'a> {
    /// The flow, with its expectation.
    pub flow: &'a ScenarioFlow,
    /// What happens.
    pub trace: Trace,
    /// The sources that the destination's ingress policy is asked about, one for each outcome in
    /// which a packet gets there; each once.
    pub sources: Vec<IpAddr>,
}

impl Check<'_> {
    /// Is the verdict the expected one, and the source in every outcome?
    pub fn passed(&self) -> bool {
        self.verdict_passed() && self.source_passed()
    }

    /// What was expected, in the words of [`got`](Self::got).
    pub fn expected(&self) -> String {
        let sources: Vec<IpAddr> = self.flow.expect_source.into_iter().collect();
        told(self.flow.expect.map_or("any verdict", Verdict::name), &sources)
    }

    /// What came of it: `Dropped, source 10.233.90.0`. The source is told where one is expected.
    pub fn got(&self) -> String {
        let sources: &[IpAddr] =
            if self.flow.expect_source.is_some() { &self.sources } else { &[] };
        let verdict = self.trace.verdict;
        if self.flow.expect_source.is_some() && sources.is_empty() {
            return format!("{verdict}, no packet at a pod");
        }
        told(verdict.name(), sources)
    }

    fn verdict_passed(&self) -> bool {
        self.flow.expect.is_none_or(|expect| expect == self.trace.verdict)
    }

    fn source_passed(&self) -> bool {
        self.flow.expect_source.is_none_or(|expect| self.sources == [expect])
    }
}

/// Traces every flow that has an expectation, in the text's order.
pub fn check(reading: &Reading) -> Vec<Check<'_>> {
    let expecting = |flow: &&ScenarioFlow| flow.expect.is_some() || flow.expect_source.is_some();
    reading
        .scenario
        .flows
        .iter()
        .filter(expecting)
        .map(|flow| {
            let trace = trace(&reading.cluster, &flow.flow);
            let mut sources: Vec<IpAddr> = trace.outcomes.iter().filter_map(source).collect();
            sources.sort_unstable();
            sources.dedup();
            Check { flow, trace, sources }
        })
        .collect()
}

/// What reading a text found, beside what its scenario says must be found.
#[derive(Clone, Debug)]
pub struct Problems<'a> {
    /// Each expected problem, and the one that it is; `None` if nothing says so.
    pub expected: Vec<(&'a ExpectedProblem, Option<&'a Problem>)>,
    /// All others.
    pub unexpected: Vec<&'a Problem>,
}

/// Compares the problems with the expected ones, each of which is one problem.
pub fn problems(reading: &Reading) -> Problems<'_> {
    let mut unexpected: Vec<&Problem> = reading.problems.iter().collect();
    let expected = reading.scenario.problems.iter().map(|expected| {
        let says = |problem: &&Problem| problem.message.contains(&expected.part);
        let at = unexpected.iter().position(says);
        (expected, at.map(|at| unexpected.remove(at)))
    });
    let expected = expected.collect();
    Problems { expected, unexpected }
}

/// The source that the last ingress gate was asked about, or that reached the pod unasked.
fn source(outcome: &Outcome) -> Option<IpAddr> {
    let asked = outcome
        .steps
        .iter()
        .rev()
        .find_map(|step| (step.rule() == Rule::IngressGate).then_some(step.before.source));
    asked.or(outcome.source_at_pod)
}

fn told(verdict: &str, sources: &[IpAddr]) -> String {
    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
    match sources.as_slice() {
        [] => verdict.to_owned(),
        sources => format!("{verdict}, source {}", sources.join(" or ")),
    }
}
