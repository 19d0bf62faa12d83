//! The packet path diagram: an outcome's steps as shapes with places, for the page, for files and
//! for documents.
//!
//! [`draw`] is pure geometry in whole units (CSS pixels at natural size). [`paint()`] turns it into
//! rectangles, lines and texts, which [`svg()`] writes and the page draws interactively.

mod label;
mod narrow;
mod paint;
mod story;
mod svg;
mod wide;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::ops::Range;

pub use label::{Anchor, Area, Face, Ink, Label};
pub use paint::{Figure, Group, Role, Shape, Stroke, line, paint};
pub use story::Row;
pub use svg::svg;

use crate::cluster::Cluster;
use crate::datapath::{Machine, Outcome, Rule, Step};
use crate::decision::By;
use crate::net::{Direction, Verdict, address_and_port};
use crate::words::Owner;
use crate::words::names::machine;
use crate::words::{doubt, summary};
use story::{Beat, Mark, Sort, Story};

/// Which way the steps run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Left to right, with a lane for each machine and the ribbons under them.
    Wide,
    /// Top to bottom, with the ribbons beside.
    Narrow,
}

/// An outcome, laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Which way the steps run.
    pub layout: Layout,
    /// Natural width.
    pub width: i32,
    /// Natural height.
    pub height: i32,
    /// What it shows, in one line.
    pub title: String,
    /// The machines, in path order.
    pub lanes: Vec<Lane>,
    /// The packet's line.
    pub segments: Vec<Segment>,
    /// Where something happens, in path order, the answer's last.
    pub stations: Vec<Station>,
    /// The ribbons' names.
    pub captions: Vec<Label>,
    /// The ribbons.
    pub bars: Vec<Bar>,
    /// What each policy sees.
    pub gates: Vec<Gate>,
    /// Where a denied packet would have gone.
    pub missed: Option<Missed>,
    /// The answer's line back.
    pub reply: Option<Reply>,
}

/// A point.
pub type Point = (i32, i32);

/// A machine's stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The machine; `None` for what is no machine's.
    pub machine: Option<Machine>,
    /// Its stretch.
    pub area: Area,
    /// Name and address.
    pub labels: Vec<Label>,
    /// It is not in the text.
    pub assumed: bool,
}

/// A piece of the packet's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Its corners, from where the packet comes.
    pub points: Vec<Point>,
    /// Whose the source address is.
    pub owner: Owner,
    /// Inside a tunnel.
    pub wrapped: bool,
}

/// A place where something happens to the packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// Its steps, by index into the outcome's steps followed by its reply.
    pub steps: Range<usize>,
    /// The step that it is named after, among those.
    pub step: usize,
    /// Where it sits on the line.
    pub at: Point,
    /// What is drawn.
    pub glyph: Glyph,
    /// What is drawn around, where it is a box.
    pub area: Area,
    /// Whose the source address is when the packet goes on.
    pub owner: Owner,
    /// Its texts.
    pub labels: Vec<Label>,
    /// It is not in the text.
    pub assumed: bool,
    /// Whether its step is not certain.
    pub uncertain: bool,
    /// The whole story in a sentence or two.
    pub title: String,
}

/// What is drawn at a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// A machine outside.
    Client,
    /// A pod or process.
    Box,
    /// The packet passes.
    Point,
    /// An address is rewritten.
    Rewrite {
        /// Whose it was.
        from: Owner,
        /// Whose it is.
        to: Owner,
        /// It is the source that is rewritten.
        source: bool,
    },
    /// Wrapped for a tunnel.
    Wrap,
    /// Unwrapped.
    Unwrap,
    /// A policy lets it pass.
    Open,
    /// No policy restricts the pod.
    Free,
    /// A policy isn't asked.
    Skipped,
    /// A policy stops it.
    Shut,
    /// The path ends, without a policy.
    Stop,
    /// The answer is translated back.
    UnNat,
    /// The answer arrives.
    Taken,
    /// The answer is lost.
    Lost,
}

/// An address, for as long as it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Which of the packet's addresses.
    pub row: Row,
    /// Its stretch.
    pub area: Area,
    /// The address; the sender's for a tunnel's header.
    pub ip: IpAddr,
    /// Whose it is.
    pub owner: Owner,
    /// Address and owner.
    pub labels: Vec<Label>,
    /// Both in full.
    pub title: String,
    /// A line from the station that makes it.
    pub guide: Option<[Point; 2]>,
}

/// What a policy sees: a line from its gate through the ribbons.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Index into [`Picture::stations`].
    pub station: usize,
    /// The gate's end of the line.
    pub from: Point,
    /// The other end.
    pub to: Point,
    /// Where it crosses the address that the policy is asked about.
    pub crossing: Option<Point>,
    /// The answer.
    pub allow: bool,
    /// The question.
    pub labels: Vec<Label>,
}

/// Where a denied packet would have gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// The way that it does not take.
    pub points: Vec<Point>,
    /// The pod.
    pub area: Area,
    /// Its name.
    pub labels: Vec<Label>,
    /// Its name in full.
    pub title: String,
    /// It is not in the text.
    pub assumed: bool,
}

/// The answer's line back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its corners, from the answering end.
    pub points: Vec<Point>,
    /// It does not arrive.
    pub lost: bool,
    /// What it is.
    pub labels: Vec<Label>,
}

/// Lays an outcome out.
pub fn draw(cluster: &Cluster, outcome: &Outcome, layout: Layout) -> Picture {
    let story = Story::of(cluster, outcome);
    let mut picture = match layout {
        Layout::Wide => wide::lay(&story),
        Layout::Narrow => narrow::lay(&story),
    };
    picture.title = title(cluster, outcome);
    picture
}

impl Picture {
    /// Every text of it.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        let lanes = self.lanes.iter().flat_map(|lane| &lane.labels);
        let stations = self.stations.iter().flat_map(|station| &station.labels);
        let bars = self.bars.iter().flat_map(|bar| &bar.labels);
        let gates = self.gates.iter().flat_map(|gate| &gate.labels);
        let missed = self.missed.iter().flat_map(|missed| &missed.labels);
        let reply = self.reply.iter().flat_map(|reply| &reply.labels);
        lanes
            .chain(stations)
            .chain(&self.captions)
            .chain(bars)
            .chain(gates)
            .chain(missed)
            .chain(reply)
    }

    /// The station that a step belongs to, by index into the outcome's steps followed by its reply.
    pub fn station_of(&self, step: usize) -> Option<usize> {
        self.stations.iter().position(|station| station.steps.contains(&step))
    }
}

fn title(cluster: &Cluster, outcome: &Outcome) -> String {
    let end = match outcome.verdict {
        Verdict::Delivered => "delivered",
        Verdict::Dropped if outcome.reply.is_empty() => "dropped",
        Verdict::Dropped => "the reply is lost",
        Verdict::Rejected => "rejected",
        Verdict::Unroutable => "no route",
        Verdict::Mixed => "it depends",
    };
    match outcome.steps.first() {
        Some(step) => format!(
            "The path of a packet from {} ({}) to {}: {end}",
            machine(cluster, step.machine),
            step.before.source,
            address_and_port(step.before.destination, step.before.destination_port),
        ),
        None => format!("A packet without a path: {end}"),
    }
}

/// Places that keep their distances: each `gap` from the one before, and each pair of `apart` at
/// least so far from one another.
fn spread(start: i32, gaps: &[i32], apart: &[(usize, usize, i32)]) -> Vec<i32> {
    let mut places = vec![start];
    for (index, gap) in gaps.iter().enumerate() {
        let index = index + 1;
        let mut place = places.last().copied().unwrap_or(start) + gap;
        for (from, to, distance) in apart {
            if *to == index {
                place = place.max(places.get(*from).copied().unwrap_or(start) + distance);
            }
        }
        places.push(place);
    }
    places
}

/// Whose the source address is when the packet leaves a beat.
fn owner_after(story: &Story<'_>, index: usize) -> Owner {
    owner_at(story, Row::Source, index)
}

fn owner_at(story: &Story<'_>, row: Row, index: usize) -> Owner {
    story
        .holds
        .iter()
        .filter(|hold| hold.row == row && hold.from <= index)
        .find(|hold| hold.to.is_none_or(|to| to > index))
        .map_or(Owner::Outside, |hold| hold.owner)
}

/// Where a layout puts a station.
struct Placed {
    at: Point,
    area: Area,
    labels: Vec<Label>,
    assumed: bool,
}

fn station(story: &Story<'_>, index: usize, beat: &Beat<'_>, placed: Placed) -> Station {
    let Placed { at, area, labels, assumed } = placed;
    Station {
        steps: beat.steps.clone(),
        step: beat.main,
        at,
        glyph: glyph(story, index, beat),
        area,
        owner: owner_after(story, index),
        labels,
        assumed,
        uncertain: doubt(story.cluster, beat.step).is_some(),
        title: format!(
            "{}: {}",
            machine(story.cluster, beat.step.machine),
            summary(story.cluster, beat.step)
        ),
    }
}

/// A station of the answer's, with its steps by index into the outcome's reply.
fn answer(story: &Story<'_>, steps: &Range<usize>, step: &Step, mark: Mark, at: Point) -> Station {
    let end = story.steps + steps.end;
    Station {
        steps: story.steps + steps.start..end,
        step: end.saturating_sub(1),
        at,
        glyph: match mark {
            Mark::UnNat => Glyph::UnNat,
            Mark::Taken => Glyph::Taken,
            Mark::Lost => Glyph::Lost,
        },
        area: Area { x: at.0 - 8, y: at.1 - 8, width: 16, height: 16 },
        owner: Owner::Outside,
        labels: Vec::new(),
        assumed: false,
        uncertain: doubt(story.cluster, step).is_some(),
        title: format!(
            "Reply, {}: {}",
            machine(story.cluster, step.machine),
            summary(story.cluster, step)
        ),
    }
}

/// What is drawn for a beat.
fn glyph(story: &Story<'_>, index: usize, beat: &Beat<'_>) -> Glyph {
    match &beat.sort {
        Sort::End(actor) if actor.what == "client" => Glyph::Client,
        Sort::End(_) => Glyph::Box,
        Sort::Point => Glyph::Point,
        Sort::Rewrite => {
            let source = beat.step.before.source != beat.step.after.source;
            let row = if source { Row::Source } else { Row::Destination };
            let from = owner_at(story, row, index.saturating_sub(1));
            Glyph::Rewrite { from, to: owner_at(story, row, index), source }
        }
        Sort::Wrap => Glyph::Wrap,
        Sort::Unwrap => Glyph::Unwrap,
        Sort::Open => Glyph::Open,
        Sort::Free => Glyph::Free,
        Sort::Skipped => Glyph::Skipped,
        Sort::Stop { gate: true } => Glyph::Shut,
        Sort::Stop { gate: false } => Glyph::Stop,
    }
}

/// The colour of a station's name.
fn title_ink(sort: &Sort) -> Ink {
    match sort {
        Sort::Stop { .. } => Ink::Bad,
        Sort::Open => Ink::Good,
        Sort::Free | Sort::Skipped => Ink::Quiet,
        _ => Ink::Text,
    }
}

/// A gate's question and answer.
struct Question {
    /// What is asked, and the answer.
    text: String,
    /// The answer's colour.
    ink: Ink,
    /// Whether any policy does ask.
    asked: bool,
}

impl Question {
    fn of(beat: &Beat<'_>) -> Option<Self> {
        let gate = beat.step.gate()?;
        if matches!(beat.sort, Sort::Skipped) {
            return None;
        }
        let packet = beat.step.asked();
        let what = match gate.direction {
            Direction::Ingress => packet.source.to_string(),
            Direction::Egress => address_and_port(packet.destination, packet.destination_port),
        };
        let (text, ink) = match (&gate.ruling.by, gate.ruling.allow) {
            (By::NoPolicy, _) => (format!("{what} passes"), Ink::Quiet),
            (_, true) => (format!("is {what} allowed? Yes"), Ink::Good),
            (_, false) => (format!("is {what} allowed? No"), Ink::Bad),
        };
        Some(Self { text, ink, asked: gate.ruling.by != By::NoPolicy })
    }
}

/// The ribbon of the address that a policy is asked about.
fn asked(step: &Step, direction: Direction) -> Row {
    match direction {
        _ if step.rule() == Rule::HostGate && step.before.outer.is_some() => Row::Outer,
        Direction::Ingress => Row::Source,
        Direction::Egress => Row::Destination,
    }
}
