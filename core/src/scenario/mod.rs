//! From a text to what it says: the world that it describes and the questions that it asks.

mod propose;
mod read;

pub use read::{has_scenario, read, readings, resolve};

use std::net::IpAddr;

use crate::cluster::Cluster;
use crate::net::{Flow, Verdict};
use crate::text::{Problem, Span};

/// Everything that can be known from the text alone.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The world that the text describes.
    pub cluster: Cluster,
    /// The questions that the text asks of it.
    pub scenario: Scenario,
    /// What is wrong with the text, in its order.
    pub problems: Vec<Problem>,
}

/// What the text's `Scenario` document says, besides the machines, which are in the [`Cluster`].
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// `metadata.name`.
    pub name: String,
    /// `spec.title`.
    pub title: String,
    /// `spec.description`, Markdown.
    pub description: String,
    /// `spec.flows`; where there are none, the flows that Hopwise proposes.
    pub flows: Vec<ScenarioFlow>,
    /// `spec.expectProblems`.
    pub problems: Vec<ExpectedProblem>,
    /// Where it stands; `None` if the text has none.
    pub span: Option<Span>,
}

/// A problem that reading the text must find, because the scenario is about it.
#[derive(Clone, Debug)]
pub struct ExpectedProblem {
    /// A part of its message.
    pub part: String,
    /// Where the text says it.
    pub span: Option<Span>,
}

/// One flow of the scenario.
#[derive(Clone, Debug)]
pub struct ScenarioFlow {
    /// The flow's name, or its notation if it has none.
    pub name: String,
    /// The flow.
    pub flow: Flow,
    /// `expect`: the verdict that `check` compares with.
    pub expect: Option<Verdict>,
    /// `expectSource`: the source that the destination pod's ingress policy must be asked about.
    pub expect_source: Option<IpAddr>,
    /// Where the text says it; `None` if Hopwise proposes it.
    pub span: Option<Span>,
}
