//! The one door to the core's evaluation. Whoever moves it into a worker changes this file.

use std::ops::Deref;
use std::rc::Rc;

use hopwise::datapath::Trace;
use hopwise::net::{Flow, Verdict};
use hopwise::text::{Origin, Severity, Span};
use hopwise::{Reading, read, trace};

use crate::state::Selected;

/// A value that is expensive to compare: equal only to itself.
#[derive(Debug)]
pub(crate) struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Rc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Everything that follows from a text.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The text.
    pub(crate) text: Rc<str>,
    /// What it says.
    pub(crate) reading: Reading,
    /// Its flows, in its order.
    pub(crate) asked: Vec<Asked>,
}

/// A flow of the text, answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// Its name.
    pub(crate) name: String,
    /// What happens to it.
    pub(crate) trace: Rc<Trace>,
    /// What the text expects of it.
    pub(crate) expect: Option<Verdict>,
    /// Where it stands; `None` if Hopwise proposes it, or if it was only asked.
    pub(crate) span: Option<Span>,
}

impl Answer {
    /// Reads `text` and follows every flow of it.
    pub(crate) fn to(text: Rc<str>) -> Self {
        let reading = read(&text);
        let asked = reading
            .scenario
            .flows
            .iter()
            .map(|flow| Asked {
                name: flow.name.clone(),
                trace: Rc::new(trace(&reading.cluster, &flow.flow)),
                expect: flow.expect,
                span: flow.span,
            })
            .collect();
        Self { text, reading, asked }
    }

    /// Which of the flows is selected, and the flow: the chosen one as it now stands in the text,
    /// or else as it was chosen, or else the text's first.
    pub(crate) fn selected(&self, chosen: Option<&Selected>) -> Option<(Option<usize>, Asked)> {
        let known = |at: usize| self.asked.get(at).map(|asked| (Some(at), asked.clone()));
        let Some(chosen) = chosen else { return known(0) };
        let same = |asked: &Asked| asked.trace.flow == chosen.flow;
        // The chip that was chosen goes before another chip with the same flow.
        let at = chosen.chip.filter(|at| self.asked.get(*at).is_some_and(same));
        let at = at.or_else(|| self.asked.iter().position(same)).or(chosen.chip);
        at.and_then(known).or_else(|| Some((None, self.ask(&chosen.flow))))
    }

    /// Follows a flow that the text may not have.
    fn ask(&self, flow: &Flow) -> Asked {
        Asked {
            name: flow.to_string(),
            trace: Rc::new(trace(&self.reading.cluster, flow)),
            expect: None,
            span: None,
        }
    }

    /// The first place where so much is wrong that the object there could not be told.
    pub(crate) fn broken(&self) -> Option<Span> {
        self.reading
            .problems
            .iter()
            .find(|problem| problem.severity == Severity::Error && problem.object.is_none())
            .map(|problem| problem.span)
    }

    /// Whether something broke that `earlier` still had. A new document that is only half typed
    /// takes nothing away.
    pub(crate) fn lost(&self, earlier: &Self) -> bool {
        self.broken().is_some() && self.written() < earlier.written()
    }

    /// How much the text says.
    fn written(&self) -> usize {
        let cluster = &self.reading.cluster;
        let written = |origin: &Origin| usize::from(matches!(origin, Origin::Written(_)));
        cluster.policies.all().count()
            + cluster.services.len()
            + cluster.nodes.iter().map(|it| written(&it.origin)).sum::<usize>()
            + cluster.pods.iter().map(|it| written(&it.origin)).sum::<usize>()
            + cluster.network.pools.iter().map(|it| written(&it.origin)).sum::<usize>()
            + cluster.namespaces.values().map(|it| written(&it.origin)).sum::<usize>()
            + written(&cluster.proxy.mode.origin)
            + self.reading.scenario.flows.iter().filter(|it| it.span.is_some()).count()
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}
