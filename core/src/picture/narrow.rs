//! Steps from top to bottom, a section for each machine that is entered, the ribbons beside.

use super::label::{Anchor, Area, Face, Ink, Label, width, wrap};
use super::story::{Actor, Beat, Hold, Mark, Row, Sort, Story};
use super::{
    Bar, Gate, Lane, Layout, Missed, Picture, Placed, Question, Reply, Segment, Station, answer,
    asked, owner_after, spread, station, title_ink,
};
use crate::words::names::encapsulation;
use crate::words::summary;

/// The picture's width, a telephone's.
const WIDTH: i32 = 360;
/// Where the line runs.
const LINE: i32 = 20;
/// Where a station's text starts.
const TEXT: i32 = 38;
/// Where the sections end and the ribbons begin.
const SPLIT: i32 = 148;
/// A ribbon's width.
const BAR: i32 = 102;
/// Between ribbons.
const BETWEEN: i32 = 4;
/// Inside a ribbon.
const PAD: i32 = 5;
/// Height of a line of text.
const LEAD: i32 = 14;
/// Height of a section's head.
const HEAD: i32 = 40;
/// Between sections.
const TRAVEL: i32 = 22;
/// Over the first section, for the ribbons' names.
const TOP: i32 = 22;

struct Plan<'s, 'a> {
    story: &'s Story<'a>,
    /// Each station's texts.
    lines: Vec<Vec<Label>>,
    /// Stations' vertical places, then that of the pod that was missed.
    ys: Vec<i32>,
}

pub(super) fn lay(story: &Story<'_>) -> Picture {
    let mut plan = Plan { story, lines: story.beats.iter().map(lines).collect(), ys: Vec::new() };
    plan.places();
    let mut stations: Vec<Station> =
        story.beats.iter().enumerate().map(|(i, beat)| plan.station(i, beat)).collect();
    let mut lanes = plan.sections();
    let (bars, end) = plan.ribbons();
    let sections_end = lanes.iter().map(|lane| lane.area.bottom()).max().unwrap_or(TOP);
    let gates = plan.gates(&bars);
    let (reply, height) = plan.reply(&mut stations, &mut lanes, end.max(sections_end));
    let captions = [("source", SPLIT + BETWEEN), ("destination", SPLIT + 2 * BETWEEN + BAR)]
        .map(|(text, x)| Label::fit(text, Face::Title, Ink::Quiet, BAR).at(x, 14, Anchor::Start))
        .to_vec();
    Picture {
        layout: Layout::Narrow,
        width: WIDTH,
        height: height + 4,
        title: String::new(),
        lanes,
        segments: plan.segments(),
        missed: plan.missed(),
        stations,
        captions,
        bars,
        gates,
        reply,
    }
}

impl Plan<'_, '_> {
    /// Whether a beat opens a section.
    fn opens(&self, index: usize) -> bool {
        let lane = |index: usize| self.story.beats.get(index).map(|beat| beat.lane);
        index.checked_sub(1).is_none_or(|before| lane(before) != lane(index))
    }

    /// How far a beat's text reaches below its point.
    fn below(&self, index: usize) -> i32 {
        let lines = self.lines.get(index).map_or(1, Vec::len);
        let text = i32::try_from(lines).unwrap_or(1) * LEAD - 6;
        let wrapped = self
            .story
            .beats
            .get(index)
            .is_some_and(|beat| matches!(beat.sort, Sort::Wrap) && beat.after.outer.is_some());
        text.max(16) + if wrapped { 3 * LEAD + 4 } else { 0 }
    }

    fn places(&mut self) {
        let beats = &self.story.beats;
        let mut gaps: Vec<i32> = (1..beats.len())
            .map(|index| {
                let travel = if self.opens(index) { TRAVEL + HEAD } else { 0 };
                self.below(index - 1) + 10 + travel + 10
            })
            .collect();
        if self.story.missed.is_some() {
            gaps.push(self.below(beats.len().saturating_sub(1)) + 34);
        }
        let last = beats.len().saturating_sub(1);
        let mut apart = Vec::new();
        for hold in self.story.holds.iter().filter(|hold| hold.row != Row::Outer) {
            let need = text_height(&bar_lines(hold)) + 2 * PAD;
            for index in hold.from + 1..=hold.to.unwrap_or(last) {
                let crosses = beats.get(index).is_some_and(|beat| beat.step.gate().is_some());
                if crosses || hold.to == Some(index) {
                    apart.push((hold.from, index, need + 2));
                }
            }
        }
        self.ys = spread(TOP + HEAD + 10, &gaps, &apart);
    }

    fn y(&self, index: usize) -> i32 {
        self.ys.get(index).or(self.ys.last()).copied().unwrap_or(TOP)
    }

    fn station(&self, index: usize, beat: &Beat<'_>) -> Station {
        let y = self.y(index);
        let mut area = Area { x: LINE - 11, y: y - 11, width: 22, height: 22 };
        let mut assumed = false;
        let mut baseline = y + 4;
        if let Sort::End(actor) = &beat.sort {
            assumed = actor.assumed;
            if actor.what != "client" {
                area = boxed(y, self.lines.get(index).map_or(1, Vec::len));
            }
        }
        let mut labels = Vec::new();
        for line in self.lines.get(index).into_iter().flatten() {
            labels.push(line.clone().at(TEXT, baseline, Anchor::Start));
            baseline += LEAD;
        }
        station(self.story, index, beat, Placed { at: (LINE, y), area, labels, assumed })
    }

    fn sections(&self) -> Vec<Lane> {
        let beats = &self.story.beats;
        let mut lanes: Vec<Lane> = Vec::new();
        for (index, beat) in beats.iter().enumerate() {
            let last = index + 1 == beats.len();
            let mut bottom = self.y(index) + self.below(index) + 6;
            if last && self.story.missed.is_some() {
                bottom = self.y(index + 1) + 30;
            }
            if !self.opens(index) {
                if let Some(lane) = lanes.last_mut() {
                    lane.area.height = bottom - lane.area.y;
                }
                continue;
            }
            let Some(stage) = self.story.lanes.get(beat.lane) else { continue };
            let y = self.y(index) - HEAD - 10;
            let room = SPLIT - TEXT - 6;
            let name = Label::fit(&stage.name, Face::Heading, Ink::Text, room);
            let address = Label::fit(&stage.address, Face::SmallAddress, Ink::Quiet, room);
            let mut labels = vec![name.at(TEXT, y + 17, Anchor::Start)];
            if !stage.address.is_empty() {
                labels.push(address.at(TEXT, y + 31, Anchor::Start));
            }
            lanes.push(Lane {
                machine: Some(stage.machine),
                area: Area { x: 1, y, width: SPLIT - 1, height: bottom - y },
                labels,
                assumed: stage.assumed,
            });
        }
        lanes
    }

    fn segments(&self) -> Vec<Segment> {
        let beats = &self.story.beats;
        (1..beats.len())
            .zip(beats)
            .map(|(index, beat)| Segment {
                points: vec![(LINE, self.y(index - 1)), (LINE, self.y(index))],
                owner: owner_after(self.story, index - 1),
                wrapped: beat.after.outer.is_some(),
            })
            .collect()
    }

    fn missed(&self) -> Option<Missed> {
        let actor = self.story.missed.as_ref()?;
        let last = self.story.beats.len().checked_sub(1)?;
        let y = self.y(last + 1);
        let area = boxed(y, 2);
        let labels = actor_lines(actor)
            .into_iter()
            .zip([y + 4, y + 4 + LEAD])
            .map(|(label, y)| label.at(TEXT, y, Anchor::Start))
            .collect();
        Some(Missed {
            points: vec![(LINE, self.y(last) + 14), (LINE, area.y)],
            area,
            labels,
            title: actor.full.clone(),
            assumed: actor.assumed,
        })
    }

    /// The ribbons and their lower end.
    fn ribbons(&self) -> (Vec<Bar>, i32) {
        let beats = &self.story.beats;
        let last = beats.len().saturating_sub(1);
        let mut bars = Vec::new();
        let mut end = TOP;
        for hold in &self.story.holds {
            let lines = bar_lines(hold);
            let from = self.y(hold.from);
            let area = match hold.row {
                Row::Outer => {
                    let text = self.lines.get(hold.from).map_or(1, Vec::len);
                    let y = from + i32::try_from(text).unwrap_or(1) * LEAD - 4;
                    Area { x: TEXT - 6, y, width: SPLIT - TEXT + 2, height: 3 * LEAD + 6 }
                }
                row => {
                    let top = if hold.from == 0 { from - 14 } else { from + 1 };
                    let bottom = hold.to.map_or_else(
                        || (self.y(last) + 22).max(top + text_height(&lines) + 2 * PAD),
                        |to| self.y(to) - 1,
                    );
                    let x = SPLIT + BETWEEN + if row == Row::Source { 0 } else { BAR + BETWEEN };
                    Area { x, y: top, width: BAR, height: bottom - top }
                }
            };
            end = end.max(area.bottom());
            let mut baseline = area.y + PAD + 9;
            let mut labels = Vec::new();
            for line in lines {
                labels.push(line.at(area.x + PAD, baseline, Anchor::Start));
                baseline += LEAD - 1;
            }
            let title = format!("{}: {}", hold.values.join(" "), hold.name);
            bars.push(Bar {
                row: hold.row,
                area,
                ip: hold.ip,
                owner: hold.owner,
                labels,
                title,
                guide: None,
            });
        }
        (bars, end)
    }

    fn gates(&self, bars: &[Bar]) -> Vec<Gate> {
        let mut gates = Vec::new();
        for (index, beat) in self.story.beats.iter().enumerate() {
            let (Some(_), Some(gate)) = (Question::of(beat), beat.step.gate()) else { continue };
            let y = self.y(index);
            let row = asked(beat.step, gate.direction);
            let crossing = bars
                .iter()
                .find(|bar| bar.row == row && bar.area.y < y && y < bar.area.bottom())
                .map(|bar| (bar.area.x + bar.area.width / 2, y));
            let (from, to) = ((SPLIT + 1, y), (WIDTH - 1, y));
            let allow = gate.ruling.allow;
            gates.push(Gate { station: index, from, to, crossing, allow, labels: Vec::new() });
        }
        gates
    }

    /// The answer's way, continued downwards; and the lower end of it all.
    fn reply(
        &self,
        stations: &mut Vec<Station>,
        lanes: &mut Vec<Lane>,
        top: i32,
    ) -> (Option<Reply>, i32) {
        if self.story.reply.is_empty() {
            return (None, top);
        }
        let top = top + 12;
        let head =
            Label::fit("reply", Face::Heading, Ink::Text, SPLIT).at(TEXT, top + 17, Anchor::Start);
        let mut y = top + 38;
        let mut gone = false;
        let first = y;
        let mut at = y;
        let room = WIDTH - TEXT - 12;
        for visit in &self.story.reply {
            let name = self.story.lanes.get(visit.lane).map_or("", |lane| lane.name.as_str());
            for (steps, step, mark) in &visit.marks {
                let (text, ink) = match mark {
                    Mark::UnNat => (format!("un-NAT on {name}"), Ink::Text),
                    Mark::Taken => (format!("answered: {name}"), Ink::Good),
                    Mark::Lost => (format!("✕ reply lost: {name}"), Ink::Bad),
                };
                gone |= *mark == Mark::Lost;
                at = y;
                let mut station = answer(self.story, steps, step, *mark, (LINE, y));
                let mut told = vec![Label::fit(&text, Face::Title, ink, room)];
                let what = summary(self.story.cluster, step);
                told.extend(wrap(&what.to_string(), Face::Note, Ink::Quiet, room));
                for line in told {
                    station.labels.push(line.at(TEXT, y + 4, Anchor::Start));
                    y += LEAD;
                }
                y += 14;
                stations.push(station);
            }
        }
        let area = Area { x: 1, y: top, width: WIDTH - 2, height: y - top - 4 };
        lanes.push(Lane { machine: None, area, labels: vec![head], assumed: false });
        let points = vec![(LINE, first - 10), (LINE, at)];
        (Some(Reply { points, lost: gone, labels: Vec::new() }), y - 4)
    }
}

fn boxed(y: i32, lines: usize) -> Area {
    let height = i32::try_from(lines).unwrap_or(1) * LEAD + 12;
    Area { x: LINE - 13, y: y - 14, width: SPLIT - LINE + 5, height }
}

fn actor_lines(actor: &Actor) -> Vec<Label> {
    let room = SPLIT - TEXT - 14;
    let mut lines = vec![Label::fit(actor.what, Face::Title, Ink::Owner(actor.owner), room)];
    if !actor.name.is_empty() {
        lines.push(Label::fit(&actor.name, Face::Note, Ink::Text, room));
    }
    lines
}

/// A station's texts.
fn lines(beat: &Beat<'_>) -> Vec<Label> {
    let room = SPLIT - TEXT - 6;
    match &beat.sort {
        Sort::End(actor) if actor.what == "client" && beat.steps.start == 0 => {
            vec![Label::fit("sends", Face::Title, Ink::Text, room)]
        }
        Sort::End(actor) => actor_lines(actor),
        sort => {
            let mut lines = wrap(&beat.title, Face::Title, title_ink(sort), room);
            if !beat.note.is_empty() {
                lines.extend(wrap(&beat.note, Face::Note, Ink::Quiet, room));
            }
            if let Some(Question { text, ink, .. }) = Question::of(beat).filter(|q| q.asked) {
                lines.extend(wrap(&text, Face::Note, ink, room));
            }
            lines
        }
    }
}

/// A ribbon's texts.
fn bar_lines(hold: &Hold) -> Vec<Label> {
    let room = BAR - 2 * PAD;
    if hold.row == Row::Outer {
        let tunnel = hold
            .how
            .map_or("outer header".to_owned(), |kind| format!("outer: {}", encapsulation(kind)));
        let mut lines =
            vec![Label::fit(&tunnel, Face::Note, Ink::Owner(hold.owner), SPLIT - TEXT - 8)];
        let room = SPLIT - TEXT - 8;
        lines.extend(hold.values.iter().map(|v| Label::fit(v, Face::TinyAddress, Ink::Text, room)));
        return lines;
    }
    let mut lines = Vec::new();
    for value in &hold.values {
        let too_long = width(value, Face::TinyAddress) > room;
        match value.rsplit_once(':').filter(|_| too_long && hold.row == Row::Destination) {
            Some((ip, port)) => {
                let port = format!(":{port}");
                lines.push(Label::fit(ip, Face::TinyAddress, Ink::Text, room));
                lines.push(Label::fit(&port, Face::TinyAddress, Ink::Text, room));
            }
            None => lines.push(Label::fit(value, Face::TinyAddress, Ink::Text, room)),
        }
    }
    for part in hold.name.split(" · ") {
        let mut wrapped = wrap(part, Face::Note, Ink::Owner(hold.owner), room);
        wrapped.truncate(2);
        lines.append(&mut wrapped);
    }
    lines
}

fn text_height(lines: &[Label]) -> i32 {
    i32::try_from(lines.len()).unwrap_or(1) * (LEAD - 1) + 2
}
