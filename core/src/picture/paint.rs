//! The picture as rectangles, lines and texts, back to front.

use std::fmt::Write as _;

use super::label::{Area, Face, Ink, Label};
use super::{Anchor, Bar, Gate, Glyph, Lane, Missed, Picture, Point, Reply, Segment, Station};
use crate::words::Owner;

/// Things that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What it is.
    pub role: Role,
    /// What it says when pointed at.
    pub title: Option<String>,
    /// Back to front.
    pub shapes: Vec<Shape>,
}

/// What a group shows, by index into the picture's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A machine's lane.
    Lane(usize),
    /// The ribbons' names.
    Captions,
    /// Where a denied packet would have gone.
    Missed,
    /// The answer's line.
    Reply,
    /// A piece of the packet's line.
    Segment(usize),
    /// A ribbon.
    Bar(usize),
    /// What a policy sees.
    Gate(usize),
    /// A station.
    Station(usize),
}

/// A figure in its colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The figure.
    pub figure: Figure,
    /// Its ink, and how much of it in per cent.
    pub fill: Option<(Ink, u8)>,
    /// Its border.
    pub stroke: Option<Stroke>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A rectangle with round corners of this radius.
    Rect(Area, i32),
    /// A circle.
    Circle(Point, i32),
    /// A path in SVG's notation.
    Path(String),
    /// A text.
    Text(Label),
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its ink, and how much of it in per cent.
    pub ink: (Ink, u8),
    /// In tenths.
    pub width: u8,
    /// Lengths of dash and gap; empty for a whole line.
    pub dash: &'static str,
}

impl Stroke {
    /// Its width as a decimal number.
    pub fn thickness(&self) -> String {
        format!("{}.{}", self.width / 10, self.width % 10)
    }
}

/// Paints a picture, back to front.
pub fn paint(picture: &Picture) -> Vec<Group> {
    let mut groups = Vec::new();
    for (index, lane) in picture.lanes.iter().enumerate() {
        groups.push(paint_lane(Role::Lane(index), lane));
    }
    let captions = picture.captions.iter().cloned().map(text).collect();
    groups.push(Group { role: Role::Captions, title: None, shapes: captions });
    groups.extend(picture.missed.as_ref().map(paint_missed));
    groups.extend(picture.reply.as_ref().map(paint_reply));
    for (index, segment) in picture.segments.iter().enumerate() {
        groups.push(paint_segment(Role::Segment(index), segment));
    }
    for (index, bar) in picture.bars.iter().enumerate() {
        groups.push(paint_bar(Role::Bar(index), bar));
    }
    for (index, gate) in picture.gates.iter().enumerate() {
        groups.push(paint_gate(Role::Gate(index), gate));
    }
    for (index, station) in picture.stations.iter().enumerate() {
        groups.push(paint_station(Role::Station(index), station));
    }
    groups
}

/// The packet's whole line, for what travels along it.
pub fn line(picture: &Picture) -> String {
    let mut points: Vec<Point> =
        picture.segments.iter().flat_map(|segment| segment.points.iter().copied()).collect();
    points.dedup();
    rounded(&points)
}

fn paint_lane(role: Role, lane: &Lane) -> Group {
    let dash = if lane.assumed { "6 4" } else { "" };
    let mut shapes = vec![Shape {
        figure: Figure::Rect(lane.area, 8),
        fill: Some((Ink::Surface, 100)),
        stroke: Some(Stroke { ink: (Ink::Line, 100), width: 10, dash }),
    }];
    shapes.extend(lane.labels.iter().cloned().map(text));
    let title = lane.assumed.then(|| "assumed: not in the text".to_owned());
    Group { role, title, shapes }
}

fn paint_missed(missed: &Missed) -> Group {
    let dashed = Stroke { ink: (Ink::Quiet, 60), width: 15, dash: "4 4" };
    let mut shapes = vec![
        path(rounded(&missed.points), dashed),
        Shape {
            figure: Figure::Rect(missed.area, 7),
            fill: Some((Ink::Background, 100)),
            stroke: Some(Stroke { dash: if missed.assumed { "4 4" } else { "" }, ..dashed }),
        },
    ];
    shapes.extend(missed.labels.iter().cloned().map(text));
    Group { role: Role::Missed, title: Some(missed.title.clone()), shapes }
}

fn paint_reply(reply: &Reply) -> Group {
    let stroke = Stroke { ink: (Ink::Quiet, 100), width: 15, dash: "6 4" };
    let mut shapes = vec![path(rounded(&reply.points), stroke)];
    shapes.extend(reply.labels.iter().cloned().map(text));
    Group { role: Role::Reply, title: Some("the reply’s way back".to_owned()), shapes }
}

fn paint_segment(role: Role, segment: &Segment) -> Group {
    let d = rounded(&segment.points);
    let mut shapes = Vec::new();
    if segment.wrapped {
        shapes.push(path(d.clone(), solid(Ink::Owner(Owner::Node), 120)));
        shapes.push(path(d.clone(), solid(Ink::Background, 90)));
    }
    shapes.push(path(d, solid(Ink::Owner(segment.owner), 35)));
    Group { role, title: None, shapes }
}

fn paint_bar(role: Role, bar: &Bar) -> Group {
    let ink = Ink::Owner(bar.owner);
    let mut shapes = Vec::new();
    if let Some([from, to]) = bar.guide {
        let stroke = Stroke { ink: (ink, 80), width: 15, dash: "1 5" };
        shapes.push(path(rounded(&[from, to]), stroke));
    }
    shapes.extend([
        filled(Figure::Rect(bar.area, 5), Ink::Background),
        Shape {
            figure: Figure::Rect(bar.area, 5),
            fill: Some((ink, 13)),
            stroke: Some(Stroke { ink: (ink, 70), width: 10, dash: "" }),
        },
    ]);
    shapes.extend(bar.labels.iter().cloned().map(text));
    Group { role, title: Some(bar.title.clone()), shapes }
}

fn paint_gate(role: Role, gate: &Gate) -> Group {
    let ink = if gate.allow { Ink::Good } else { Ink::Bad };
    let ink = gate.labels.first().map_or(ink, |label| label.ink);
    let line = format!("M{} {}L{} {}", gate.from.0, gate.from.1, gate.to.0, gate.to.1);
    let mut shapes = vec![path(line, Stroke { ink: (ink, 100), width: 15, dash: "2 4" })];
    if let Some(at) = gate.crossing {
        shapes.push(Shape {
            figure: Figure::Circle(at, 5),
            fill: Some((Ink::Background, 100)),
            stroke: Some(solid(ink, 25)),
        });
    }
    shapes.extend(gate.labels.iter().cloned().map(text));
    Group { role, title: None, shapes }
}

fn paint_station(role: Role, station: &Station) -> Group {
    let (x, y) = station.at;
    let mut shapes = Vec::new();
    let mut add = |figure, fill, stroke| shapes.push(Shape { figure, fill, stroke });
    let paper = Some((Ink::Background, 100));
    let owner = Ink::Owner(station.owner);
    match station.glyph {
        Glyph::Client => {
            add(Figure::Rect(station.area, 7), paper, Some(solid(owner, 20)));
            let monitor =
                format!("M{} {}h14v9h-14zM{} {}h8M{x} {}v4", x - 7, y - 7, x - 4, y + 7, y + 2);
            add(Figure::Path(monitor), None, Some(solid(owner, 16)));
        }
        Glyph::Box => {
            let ink = station.labels.first().map_or(owner, |label| label.ink);
            let dash = if station.assumed { "5 3" } else { "" };
            add(Figure::Rect(station.area, 7), paper, None);
            let stroke = Stroke { dash, ..solid(ink, 18) };
            add(Figure::Rect(station.area, 7), Some((ink, 8)), Some(stroke));
        }
        Glyph::Point => {
            add(Figure::Circle(station.at, 6), paper, Some(solid(Ink::Text, 22)));
        }
        Glyph::Rewrite { from, to, source } => {
            let r = if source { 10 } else { 8 };
            add(Figure::Circle(station.at, r + 2), paper, None);
            let half = |sweep: i32| format!("M{x} {}A{r} {r} 0 0 {sweep} {x} {}z", y - r, y + r);
            add(Figure::Path(half(0)), Some((Ink::Owner(from), 100)), None);
            add(Figure::Path(half(1)), Some((Ink::Owner(to), 100)), None);
            let seam = format!("M{x} {}v{}", y - r, 2 * r);
            add(Figure::Path(seam), None, Some(solid(Ink::Background, 20)));
        }
        Glyph::Wrap | Glyph::Unwrap => {
            let dash = if station.glyph == Glyph::Wrap { "" } else { "3 3" };
            let node = Ink::Owner(Owner::Node);
            let ring = Stroke { dash, ..solid(node, 16) };
            add(Figure::Circle(station.at, 10), paper, Some(ring));
            add(Figure::Circle(station.at, 5), paper, Some(solid(node, 22)));
        }
        Glyph::Open | Glyph::Free | Glyph::Skipped => {
            let open = station.glyph != Glyph::Skipped;
            let ink = if station.glyph == Glyph::Open { Ink::Good } else { Ink::Quiet };
            let stroke = Stroke { dash: if open { "" } else { "3 3" }, ..solid(ink, 30) };
            let posts = format!("M{x} {}v-12M{x} {}v12", y - 9, y + 9);
            add(Figure::Path(posts), None, Some(stroke));
            let ring = Stroke { dash: if open { "" } else { "3 3" }, ..solid(ink, 20) };
            add(Figure::Circle(station.at, 9), paper, Some(ring));
            if open {
                let tick = format!("M{} {y}l3 4l6 -8", x - 5);
                add(Figure::Path(tick), None, Some(solid(ink, 22)));
            }
        }
        Glyph::Shut | Glyph::Stop => {
            if station.glyph == Glyph::Shut {
                let post = Area { x: x - 3, y: y - 24, width: 6, height: 48 };
                add(Figure::Rect(post, 3), Some((Ink::Bad, 100)), None);
            }
            add(
                Figure::Circle(station.at, 14),
                Some((Ink::Bad, 100)),
                Some(solid(Ink::Surface, 20)),
            );
            add(Figure::Path(cross(x, y, 5)), None, Some(solid(Ink::Background, 28)));
        }
        Glyph::UnNat => {
            let diamond = format!("M{x} {}l6 6l-6 6l-6 -6z", y - 6);
            add(Figure::Path(diamond), paper, Some(solid(Ink::Quiet, 18)));
        }
        Glyph::Taken => {
            add(Figure::Circle(station.at, 7), paper, Some(solid(Ink::Good, 18)));
            let tick = format!("M{} {y}l2 3l4 -6", x - 3);
            add(Figure::Path(tick), None, Some(solid(Ink::Good, 18)));
        }
        Glyph::Lost => {
            add(
                Figure::Circle(station.at, 9),
                Some((Ink::Bad, 100)),
                Some(solid(Ink::Surface, 15)),
            );
            add(Figure::Path(cross(x, y, 3)), None, Some(solid(Ink::Background, 22)));
        }
    }
    shapes.extend(station.labels.iter().cloned().map(text));
    if station.uncertain {
        let mark = Label::fit("?", Face::Title, Ink::Warn, 20).at(x + 15, y - 9, Anchor::Middle);
        shapes.push(text(mark));
    }
    Group { role, title: Some(station.title.clone()), shapes }
}

fn cross(x: i32, y: i32, arm: i32) -> String {
    let both = 2 * arm;
    format!("M{} {}l{both} {both}M{} {}l{both} -{both}", x - arm, y - arm, x - arm, y + arm)
}

fn text(label: Label) -> Shape {
    let fill = Some((label.ink, 100));
    Shape { figure: Figure::Text(label), fill, stroke: None }
}

fn path(d: String, stroke: Stroke) -> Shape {
    Shape { figure: Figure::Path(d), fill: None, stroke: Some(stroke) }
}

fn filled(figure: Figure, ink: Ink) -> Shape {
    Shape { figure, fill: Some((ink, 100)), stroke: None }
}

fn solid(ink: Ink, width: u8) -> Stroke {
    Stroke { ink: (ink, 100), width, dash: "" }
}

/// A path through points, its corners round.
fn rounded(points: &[Point]) -> String {
    const RADIUS: i32 = 10;
    let mut d = String::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| points.get(i));
        let after = points.get(index + 1);
        let _ = match (before, after) {
            (None, _) => write!(d, "M{x} {y}"),
            (Some(a), Some(b)) if (a.0 == x) != (b.0 == x) => {
                let (start, end) = (towards((x, y), *a, RADIUS), towards((x, y), *b, RADIUS));
                write!(d, "L{} {}Q{x} {y} {} {}", start.0, start.1, end.0, end.1)
            }
            _ => write!(d, "L{x} {y}"),
        };
    }
    d
}

/// The point on the way from `from` to `to`, at most half way.
fn towards(from: Point, to: Point, distance: i32) -> Point {
    let step = |from: i32, to: i32| {
        let far = (to - from).abs() / 2;
        from + (to - from).signum() * far.min(distance)
    };
    (step(from.0, to.0), step(from.1, to.1))
}
