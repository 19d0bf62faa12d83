//! Steps from left to right, a lane for each machine, the ribbons under them.

use super::label::{Anchor, Area, Face, Ink, Label, width, wrap};
use super::story::{Actor, Beat, Hold, Mark, Row, Sort, Story};
use super::{
    Bar, Gate, Lane, Layout, Missed, Picture, Placed, Point, Question, Reply, Segment, Station,
    asked, spread, title_ink,
};
use crate::words::names::encapsulation;

/// The narrowest picture; shorter paths are stretched.
const WIDTH: i32 = 900;
/// Room for text under or over a station.
const ROOM: i32 = 128;
/// Between the texts of neighbours.
const GAP: i32 = 16;
/// More of it where the line changes lanes.
const TRAVEL: i32 = 30;
/// Between the marks of neighbours.
const LINK: i32 = 40;
/// A box's height.
const BOX: i32 = 52;
/// Half of a client's.
const CLIENT: i32 = 15;
/// Height of a ribbon.
const BAR: i32 = 38;
/// Inside a ribbon.
const PAD: i32 = 8;

/// How far a station and its texts reach to either side, and whether over the line or under it.
#[derive(Clone, Copy, Default)]
struct Reach {
    mark: i32,
    over: i32,
    under: i32,
}

impl Reach {
    fn all(self) -> i32 {
        self.over.max(self.under).max(self.mark)
    }

    /// How far apart this station and a later one of the same lane must be. Texts over the line
    /// pass those under it, but not the line that falls from a gate.
    fn apart(self, other: Self) -> i32 {
        let same = |a: i32, b: i32| if a > 0 && b > 0 { a + b + GAP } else { 0 };
        let falls = |gate: i32, text: i32| if gate > 0 { text + GAP / 2 } else { 0 };
        (self.mark + other.mark + LINK)
            .max(same(self.over, other.over))
            .max(same(self.under, other.under))
            .max(falls(self.over, other.under))
            .max(falls(other.over, self.under))
    }
}

struct Plan<'s, 'a> {
    story: &'s Story<'a>,
    /// Right end of the machines' and ribbons' names.
    gutter: i32,
    reaches: Vec<Reach>,
    /// Stations' horizontal places, then that of the pod that was missed.
    xs: Vec<i32>,
    width: i32,
    lanes: Vec<Strip>,
}

/// A lane's vertical places.
#[derive(Clone, Copy, Default)]
struct Strip {
    top: i32,
    bottom: i32,
    line: i32,
    reply: i32,
}

pub(super) fn lay(story: &Story<'_>) -> Picture {
    let mut plan = Plan::of(story);
    plan.columns();
    let lanes_end = plan.rows();
    let lanes = plan.draw_lanes();
    let mut stations: Vec<Station> =
        story.beats.iter().enumerate().map(|(i, beat)| plan.station(i, beat)).collect();
    let (bars, captions, bars_end) = plan.ribbons(lanes_end + 30);
    let (gates, gates_end) = plan.gates(&bars, bars_end);
    let reply = plan.reply(&mut stations);
    Picture {
        layout: Layout::Wide,
        width: plan.width,
        height: gates_end + 6,
        title: String::new(),
        lanes,
        segments: plan.segments(),
        stations,
        captions,
        bars,
        gates,
        missed: plan.missed(),
        reply,
    }
}

impl<'s, 'a> Plan<'s, 'a> {
    fn of(story: &'s Story<'a>) -> Self {
        let widest = story
            .lanes
            .iter()
            .flat_map(|lane| {
                [width(&lane.name, Face::Heading), width(&lane.address, Face::SmallAddress)]
            })
            .max()
            .unwrap_or(0);
        let gutter = (widest + 34).clamp(116, 190);
        let mut reaches: Vec<Reach> =
            story.beats.iter().map(|beat| reach(beat, !story.reply.is_empty())).collect();
        if let Some(actor) = &story.missed {
            let half = box_width(actor) / 2;
            reaches.push(Reach { mark: half, over: 0, under: half });
        }
        Self { story, gutter, reaches, xs: Vec::new(), width: WIDTH, lanes: Vec::new() }
    }

    /// Horizontal places, so that every text has its room.
    fn columns(&mut self) {
        let lane_of =
            |index: usize| self.story.beats.get(index).or(self.story.beats.last()).map(|b| b.lane);
        let gaps = vec![LINK; self.reaches.len().saturating_sub(1)];
        let first = self.reaches.first().copied().unwrap_or_default().all();
        let start = self.gutter + first;
        let last = self.reaches.len().saturating_sub(1);
        let mut apart = Vec::new();
        for (to, b) in self.reaches.iter().enumerate() {
            let mut travels = false;
            for (from, a) in self.reaches.iter().enumerate().take(to).rev() {
                travels |= lane_of(from) != lane_of(from + 1);
                let need = if travels { a.all() + b.all() + GAP + TRAVEL } else { a.apart(*b) };
                apart.push((from, to, need));
            }
        }
        for hold in &self.story.holds {
            // The first ribbon starts where its station's box does.
            let lead = if hold.from == 0 { first } else { 0 };
            let need = bar_need(hold) + 2 * PAD + 3;
            let until = hold.to.unwrap_or(last);
            for index in hold.from + 1..=until {
                let crosses =
                    self.story.beats.get(index).is_some_and(|beat| beat.step.gate().is_some());
                if crosses || Some(index) == hold.to {
                    apart.push((hold.from, index, need - lead));
                }
            }
        }
        for (index, beat) in self.story.beats.iter().enumerate() {
            if let Some(lines) = question(beat) {
                let wide = lines.iter().map(Label::width).max().unwrap_or(0);
                apart.push((0, index, wide + 20 - start));
            }
        }
        let mut xs = spread(start, &gaps, &apart);
        let reach = self.reaches.last().copied().unwrap_or_default().all();
        let end = xs.last().copied().unwrap_or(start) + reach;
        let mut need = end;
        for hold in self.story.holds.iter().filter(|hold| hold.to.is_none()) {
            let from = if hold.from == 0 { self.gutter } else { place(&xs, hold.from) };
            need = need.max(from + bar_need(hold) + 2 * PAD);
        }
        let room = WIDTH - 18 - reach - start;
        let used = end - reach - start;
        if need == end && used > 0 && used < room {
            let room = room.min(2 * used);
            for x in &mut xs {
                *x = start + (*x - start) * room / used;
            }
            need = WIDTH - 18;
        }
        self.xs = xs;
        self.width = (need + 18).max(WIDTH);
    }

    /// Vertical places of the lanes; the bottom of the last.
    fn rows(&mut self) -> i32 {
        let mut top = 2;
        for index in 0..self.story.lanes.len() {
            let here = || self.story.beats.iter().filter(|beat| beat.lane == index);
            let gates = here().any(over);
            let boxes = here()
                .any(|beat| matches!(&beat.sort, Sort::End(actor) if actor.what != "client"))
                || (self.story.missed.is_some()
                    && self.story.beats.last().is_some_and(|b| b.lane == index));
            let under = here().any(|beat| !over(beat) && !matches!(beat.sort, Sort::End(_)));
            let above = if gates {
                64
            } else if here().any(|beat| new_source(beat).is_some()) {
                42
            } else if boxes {
                BOX / 2 + 12
            } else {
                CLIENT + 14
            };
            let mut below = if under {
                52
            } else if boxes {
                BOX / 2 + 12
            } else {
                CLIENT + 14
            };
            let mut reply = 0;
            let visits = || self.story.reply.iter().filter(|visit| visit.lane == index);
            if visits().next().is_some() {
                reply = if under {
                    56
                } else if boxes {
                    BOX / 2 + 16
                } else {
                    CLIENT + 14
                };
                let marked = visits().any(|visit| !visit.marks.is_empty())
                    || self.story.reply.first().is_some_and(|visit| visit.lane == index);
                below = reply + if marked { 24 } else { 12 };
            }
            let line = top + above;
            let bottom = (line + below).max(top + 54);
            self.lanes.push(Strip { top, bottom, line, reply: line + reply });
            top = bottom + 12;
        }
        top - 12
    }

    fn draw_lanes(&self) -> Vec<Lane> {
        let strips = self.lanes.iter();
        self.story
            .lanes
            .iter()
            .zip(strips)
            .map(|(lane, strip)| {
                let room = self.gutter - 24;
                let name = Label::fit(&lane.name, Face::Heading, Ink::Text, room);
                let address = Label::fit(&lane.address, Face::SmallAddress, Ink::Quiet, room);
                let mut labels = vec![name.at(14, strip.top + 21, Anchor::Start)];
                if !lane.address.is_empty() {
                    labels.push(address.at(14, strip.top + 37, Anchor::Start));
                }
                Lane {
                    machine: Some(lane.machine),
                    area: Area {
                        x: 1,
                        y: strip.top,
                        width: self.width - 2,
                        height: strip.bottom - strip.top,
                    },
                    labels,
                    assumed: lane.assumed,
                }
            })
            .collect()
    }

    fn at(&self, index: usize) -> Point {
        let lane = self.story.beats.get(index).map_or(0, |beat| beat.lane);
        (place(&self.xs, index), self.strip(lane).line)
    }

    fn strip(&self, lane: usize) -> Strip {
        self.lanes.get(lane).copied().unwrap_or_default()
    }

    fn station(&self, index: usize, beat: &Beat<'_>) -> Station {
        let (x, y) = self.at(index);
        let mut area = Area { x: x - 11, y: y - 11, width: 22, height: 22 };
        let mut labels = Vec::new();
        let mut assumed = false;
        if let Sort::End(actor) = &beat.sort {
            assumed = actor.assumed;
            if actor.what == "client" {
                area = Area { x: x - CLIENT, y: y - CLIENT, width: 2 * CLIENT, height: 2 * CLIENT };
            } else {
                area = boxed(actor, x, y);
                labels = box_labels(actor, area);
            }
        } else if over(beat) {
            let lines = texts(beat);
            let mut baseline = y - 32;
            for line in lines.into_iter().rev() {
                labels.push(line.at(x, baseline, Anchor::Middle));
                baseline -= 15;
            }
            labels.reverse();
        } else {
            let stop = matches!(beat.sort, Sort::Stop { .. });
            let mut baseline = if stop { y + 30 } else { y + 24 };
            for line in texts(beat) {
                labels.push(line.at(x, baseline, Anchor::Middle));
                baseline += 14;
            }
            labels.extend(new_source(beat).map(|label| label.at(x, y - 19, Anchor::Middle)));
        }
        super::station(self.story, index, beat, Placed { at: (x, y), area, labels, assumed })
    }

    fn segments(&self) -> Vec<Segment> {
        let beats = &self.story.beats;
        let mut segments = Vec::new();
        for (index, (beat, next)) in beats.iter().zip(beats.iter().skip(1)).enumerate() {
            let (from, to) = (self.at(index), self.at(index + 1));
            let turn = self.between(index);
            let points = if beat.lane == next.lane {
                vec![from, to]
            } else {
                vec![from, (turn, from.1), (turn, to.1), to]
            };
            segments.push(Segment {
                points,
                owner: super::owner_after(self.story, index),
                wrapped: beat.after.outer.is_some(),
            });
        }
        segments
    }

    /// The middle of the free room between a station's texts and the next one's.
    fn between(&self, index: usize) -> i32 {
        let sides = || self.xs.iter().zip(&self.reaches).enumerate();
        let right = sides().filter(|(i, _)| *i <= index).map(|(_, (x, r))| x + r.all()).max();
        let left = sides().filter(|(i, _)| *i > index).map(|(_, (x, r))| x - r.all()).min();
        i32::midpoint(right.unwrap_or_default(), left.unwrap_or_default())
    }

    fn missed(&self) -> Option<Missed> {
        let actor = self.story.missed.as_ref()?;
        let last = self.story.beats.len().checked_sub(1)?;
        let (x, y) = self.at(last);
        let area = boxed(actor, place(&self.xs, last + 1), y);
        Some(Missed {
            points: vec![(x + 14, y), (area.x, y)],
            area,
            labels: box_labels(actor, area),
            title: actor.full.clone(),
            assumed: actor.assumed,
        })
    }

    /// The ribbons, their names, and their lower end.
    fn ribbons(&self, top: i32) -> (Vec<Bar>, Vec<Label>, i32) {
        let beats = &self.story.beats;
        let mut captions = Vec::new();
        let mut bars = Vec::new();
        let mut y = top;
        if !self.story.holds.is_empty() {
            let caption = Label::fit("what the packet says", Face::Note, Ink::Quiet, ROOM + 20);
            captions.push(caption.at(14, top - 12, Anchor::Start));
        }
        let last = beats.len().saturating_sub(1);
        let end = match beats.last().map(|beat| &beat.sort) {
            Some(Sort::End(_)) => {
                place(&self.xs, last) + self.reaches.get(last).copied().unwrap_or_default().all()
            }
            _ => place(&self.xs, last) + 22,
        };
        for row in [Row::Source, Row::Destination, Row::Outer] {
            let holds: Vec<&Hold> =
                self.story.holds.iter().filter(|hold| hold.row == row).collect();
            if holds.is_empty() {
                continue;
            }
            let (name, under) = match row {
                Row::Source => ("source", None),
                Row::Destination => ("destination", None),
                Row::Outer => (
                    "outer header",
                    holds.first().and_then(|hold| beats.get(hold.from)?.after.outer),
                ),
            };
            let mut add = |text: &str, face, y| {
                let label = Label::fit(text, face, Ink::Quiet, self.gutter - 24);
                captions.push(label.at(14, y, Anchor::Start));
            };
            match under {
                Some(outer) => {
                    add(name, Face::Title, y + 16);
                    add(encapsulation(outer.encapsulation), Face::Note, y + 30);
                }
                None => add(name, Face::Title, y + 23),
            }
            for hold in holds {
                let left =
                    if hold.from == 0 { self.gutter } else { place(&self.xs, hold.from) + 1 };
                let mut right = hold.to.map_or(end, |to| place(&self.xs, to) - 1);
                if hold.to.is_none() {
                    right = right.max(left + bar_need(hold) + 2 * PAD);
                }
                let area = Area { x: left, y, width: right - left, height: BAR };
                let gate = beats.iter().enumerate().position(|(index, beat)| {
                    index > hold.from
                        && beat.step.gate().is_some()
                        && place(&self.xs, index) < right
                });
                let clear = gate.map_or(right, |index| place(&self.xs, index));
                let room = clear - left - 2 * PAD;
                let source = hold.from > 0 && row == Row::Source;
                let guide = beats.get(hold.from).filter(|_| source).map(|beat| {
                    let x = place(&self.xs, hold.from);
                    [(x, self.strip(beat.lane).bottom), (x, y)]
                });
                bars.push(Bar {
                    row,
                    guide,
                    area,
                    ip: hold.ip,
                    owner: hold.owner,
                    labels: bar_labels(hold, area, room),
                    title: format!("{}: {}", hold.values.join(" "), hold.name),
                });
            }
            y += BAR + 6;
        }
        (bars, captions, y - 6)
    }

    /// What each policy sees; and the lower end of it all.
    fn gates(&self, bars: &[Bar], top: i32) -> (Vec<Gate>, i32) {
        let mut gates = Vec::new();
        let mut y = top + 8;
        for (index, beat) in self.story.beats.iter().enumerate() {
            let (Some(lines), Some(gate)) = (question(beat), beat.step.gate()) else { continue };
            let (x, line) = self.at(index);
            let row = asked(beat.step, gate.direction);
            let crossing = bars
                .iter()
                .find(|bar| bar.row == row && bar.area.x < x && x < bar.area.right())
                .map(|bar| (x, bar.area.y + bar.area.height / 2));
            let mut labels = Vec::new();
            for text in lines {
                y += 14;
                labels.push(text.at(x - 10, y, Anchor::End));
            }
            let to = (x, y + 2);
            y += 6;
            let (from, allow) = ((x, line + 16), gate.ruling.allow);
            gates.push(Gate { station: index, from, to, crossing, allow, labels });
        }
        (gates, if gates_empty(top, y) { top } else { y })
    }

    /// The answer's line, and its stations.
    fn reply(&self, stations: &mut Vec<Station>) -> Option<Reply> {
        let visits = &self.story.reply;
        let first = visits.first()?;
        let last = self.story.beats.len().checked_sub(1)?;
        let (mut x, y) = self.at(last);
        let mut points = vec![(x, y + BOX / 2), (x, self.strip(first.lane).reply)];
        let tag = Label::fit("reply", Face::Note, Ink::Quiet, ROOM);
        let labels = vec![tag.at(x, self.strip(first.lane).reply + 15, Anchor::Middle)];
        let mut gone = false;
        for (index, visit) in visits.iter().enumerate() {
            let y = self.strip(visit.lane).reply;
            let next = visits.get(index + 1);
            let turn = next.map(|next| self.turn(visit.lane, next.lane, x));
            let floor = turn.unwrap_or(0);
            for (steps, step, mark) in &visit.marks {
                let found = self.mark_place(visit.lane, *mark, floor, x);
                let at_end = *mark == Mark::Taken;
                x = found.unwrap_or((x - 30).max(floor + 6));
                points.push((x, y));
                if at_end {
                    points.push((x, self.strip(visit.lane).line + CLIENT + 3));
                }
                gone |= *mark == Mark::Lost;
                stations.push(super::answer(self.story, steps, step, *mark, (x, y)));
                if let (Some(_), Some(station)) = (found, stations.last_mut()) {
                    let ink = if *mark == Mark::Lost { Ink::Bad } else { Ink::Quiet };
                    let text = match mark {
                        Mark::UnNat => "un-NAT",
                        Mark::Taken => "answered",
                        Mark::Lost => "reply lost",
                    };
                    let label = Label::fit(text, Face::Note, ink, ROOM);
                    station.labels.push(label.at(x, y + 16, Anchor::Middle));
                }
            }
            if let (Some(turn), Some(next)) = (turn, next) {
                points.push((turn, y));
                points.push((turn, self.strip(next.lane).reply));
                x = turn;
            }
        }
        points.dedup();
        Some(Reply { points, lost: gone, labels })
    }

    /// Where the answer changes from one lane to another: beside where the request did, if it did.
    fn turn(&self, from: usize, to: usize, before: i32) -> i32 {
        let beats = &self.story.beats;
        let gaps = beats.iter().zip(beats.iter().skip(1)).enumerate().map(|(index, (a, b))| {
            let beside = if a.lane == b.lane { 0 } else { 9 };
            (a.lane, b.lane, self.between(index) - beside)
        });
        let free: Vec<(usize, usize, i32)> = gaps.filter(|(_, _, x)| *x < before).collect();
        let best = |fits: &dyn Fn(usize, usize) -> bool| {
            free.iter().filter(|(a, b, _)| fits(*a, *b)).map(|(_, _, x)| *x).max()
        };
        best(&|a, b| (a, b) == (to, from) || (a, b) == (from, to))
            .or_else(|| best(&|a, b| a != b && b == from))
            .or_else(|| best(&|a, b| a != b))
            .or_else(|| best(&|_, _| true))
            .unwrap_or(before - 10)
    }

    /// Where on its lane the answer's mark sits: under the station of the request that it undoes.
    fn mark_place(&self, lane: usize, mark: Mark, floor: i32, before: i32) -> Option<i32> {
        let beats = self.story.beats.iter().enumerate();
        let free = beats
            .filter(|(_, beat)| beat.lane == lane)
            .filter(|(index, beat)| match mark {
                Mark::UnNat => matches!(beat.sort, Sort::Rewrite),
                Mark::Taken => *index == 0,
                Mark::Lost => true,
            })
            .map(|(index, _)| place(&self.xs, index))
            .filter(|x| *x < before && *x > floor);
        free.max()
    }
}

fn gates_empty(top: i32, y: i32) -> bool {
    y == top + 8
}

fn place(xs: &[i32], index: usize) -> i32 {
    xs.get(index).or(xs.last()).copied().unwrap_or_default()
}

/// Whether a station's texts stand over the line, because a line falls from it.
fn over(beat: &Beat<'_>) -> bool {
    matches!(beat.sort, Sort::Open | Sort::Free | Sort::Skipped | Sort::Stop { gate: true })
}

fn reach(beat: &Beat<'_>, reply: bool) -> Reach {
    let texts = || texts(beat).iter().map(Label::width).max().unwrap_or(0) / 2 + 1;
    // The answer's marks stand under the request's stations.
    let answer = |half: i32| if reply { half.max(32) } else { half };
    match &beat.sort {
        Sort::End(actor) if actor.what == "client" => {
            Reach { mark: CLIENT, over: 0, under: answer(CLIENT) }
        }
        Sort::End(actor) => {
            let half = box_width(actor) / 2;
            Reach { mark: half, over: 0, under: answer(half) }
        }
        _ if over(beat) => Reach { mark: 14, over: texts(), under: 0 },
        _ => {
            // A new source stands as near to the line as a box reaches.
            let source = new_source(beat).map_or(0, |label| label.width() / 2 + 1);
            Reach { mark: 10, over: source, under: answer(texts()).max(source) }
        }
    }
}

/// A station's title and note.
fn texts(beat: &Beat<'_>) -> Vec<Label> {
    let mut lines = vec![Label::fit(&beat.title, Face::Title, title_ink(&beat.sort), 2 * ROOM)];
    if !beat.note.is_empty() {
        lines.push(Label::fit(&beat.note, Face::Note, Ink::Quiet, ROOM));
    }
    lines
}

/// The source address that a station puts in, told over the line.
fn new_source(beat: &Beat<'_>) -> Option<Label> {
    let changes = beat.step.before.source != beat.step.after.source;
    let text = format!("→ {}", beat.after.source);
    (changes && !over(beat))
        .then(|| Label::fit(&text, Face::Address, Ink::Owner(beat.source_owner), ROOM))
}

fn box_width(actor: &Actor) -> i32 {
    let what = width(actor.what, Face::Title);
    (width(&actor.name, Face::Note).max(what) + 20).clamp(60, ROOM)
}

fn boxed(actor: &Actor, x: i32, y: i32) -> Area {
    let width = box_width(actor);
    Area { x: x - width / 2, y: y - BOX / 2, width, height: BOX }
}

fn box_labels(actor: &Actor, area: Area) -> Vec<Label> {
    let room = area.width - 16;
    let x = area.x + area.width / 2;
    let y = area.y + area.height / 2;
    let what = Label::fit(actor.what, Face::Title, Ink::Owner(actor.owner), room);
    let name = Label::fit(&actor.name, Face::Note, Ink::Text, room);
    vec![what.at(x, y - 4, Anchor::Middle), name.at(x, y + 13, Anchor::Middle)]
}

/// The least room for a ribbon's text.
fn bar_need(hold: &Hold) -> i32 {
    let face = value_face(hold);
    let values = hold.values.iter().map(|value| width(value, face)).max().unwrap_or(0);
    let name = if hold.row == Row::Outer { 0 } else { width(&hold.name, Face::Note).min(150) };
    values.max(name)
}

fn value_face(hold: &Hold) -> Face {
    if hold.values.len() > 1 { Face::SmallAddress } else { Face::Address }
}

fn bar_labels(hold: &Hold, area: Area, room: i32) -> Vec<Label> {
    let x = area.x + PAD;
    let face = value_face(hold);
    let mut labels: Vec<Label> =
        hold.values.iter().map(|value| Label::fit(value, face, Ink::Text, room)).collect();
    if hold.row != Row::Outer {
        labels.push(Label::fit(&hold.name, Face::Note, Ink::Owner(hold.owner), room));
    }
    [area.y + 16, area.y + 31]
        .into_iter()
        .zip(labels)
        .map(|(y, label)| label.at(x, y, Anchor::Start))
        .collect()
}

/// What a policy is asked, in lines.
fn question(beat: &Beat<'_>) -> Option<Vec<Label>> {
    let Question { text, ink, asked } = Question::of(beat)?;
    let who = if asked { "policy asks here" } else { "no policy asks here" };
    Some(wrap(&format!("{who}: {text}"), Face::Title, ink, 360))
}
