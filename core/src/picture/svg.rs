//! A file that stands alone: light by its attributes, dark where the reader prefers it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Picture;
use super::label::{Anchor, Ink, Label};
use super::paint::{Figure, Group, Shape, paint};
use crate::escape::xml as escape;
use crate::words::Owner;

/// System fonts for prose.
const SANS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
/// System fonts for addresses.
const MONO: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

impl Ink {
    /// The name of its custom property, without the dashes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner(Owner::Client) => "owner-client",
            Self::Owner(Owner::Node) => "owner-node",
            Self::Owner(Owner::Tunnel) => "owner-tunnel",
            Self::Owner(Owner::Service) => "owner-service",
            Self::Owner(Owner::Pod) => "owner-pod",
            Self::Owner(Owner::Balancer) => "owner-balancer",
            Self::Owner(Owner::Outside) => "owner-outside",
            Self::Background => "bg",
            Self::Surface => "surface",
            Self::Line => "line",
            Self::Text => "text",
            Self::Quiet => "text-quiet",
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Warn => "warn",
        }
    }

    /// Its colour in the light theme and in the dark one; the same as the page's.
    pub fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Owner(Owner::Client) => ("#8334a7", "#c96cf4"),
            Self::Owner(Owner::Node) => ("#1551e8", "#9cc0fa"),
            Self::Owner(Owner::Tunnel) => ("#9c5400", "#e07b1c"),
            Self::Owner(Owner::Service) => ("#b62f84", "#f3cddc"),
            Self::Owner(Owner::Pod) => ("#1c7847", "#5deb90"),
            Self::Owner(Owner::Balancer) => ("#523700", "#fdb901"),
            Self::Owner(Owner::Outside) => ("#3a3d3e", "#8c8f93"),
            Self::Background => ("#ffffff", "#14171b"),
            Self::Surface => ("#f6f7f9", "#1b1f25"),
            Self::Line => ("#d8dbe1", "#343a43"),
            Self::Text => ("#171a1f", "#e8eaee"),
            Self::Quiet => ("#565e6b", "#a3abb8"),
            Self::Bad => ("#bf2020", "#ff8078"),
            Self::Good => ("#0d6b4a", "#5ed3a2"),
            Self::Warn => ("#8f5200", "#f0b35b"),
        }
    }
}

/// Writes a picture as a file.
pub fn svg(picture: &Picture) -> String {
    let Picture { width, height, title, .. } = picture;
    let groups = paint(picture);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n{}",
        escape(title),
        style(&groups),
    );
    let (paper, _) = Ink::Background.colours();
    let _ = writeln!(
        out,
        "<rect class=\"hw-f-bg\" width=\"{width}\" height=\"{height}\" fill=\"{paper}\"/>"
    );
    for group in &groups {
        out.push_str("<g>");
        if let Some(title) = &group.title {
            let _ = write!(out, "<title>{}</title>", escape(title));
        }
        out.push('\n');
        for shape in &group.shapes {
            write_shape(&mut out, shape);
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// The dark theme's rules, for the inks that are used.
fn style(groups: &[Group]) -> String {
    let shapes = || groups.iter().flat_map(|group| &group.shapes);
    let fills = shapes().filter_map(|shape| shape.fill).map(|(ink, _)| ('f', ink));
    let strokes = shapes().filter_map(|shape| shape.stroke).map(|stroke| ('s', stroke.ink.0));
    let used: BTreeSet<(char, Ink)> =
        fills.chain(strokes).chain([('f', Ink::Background)]).collect();
    let mut out = "<style>@media (prefers-color-scheme: dark) {\n".to_owned();
    for (what, ink) in used {
        let (name, (_, dark)) = (ink.name(), ink.colours());
        let property = if what == 'f' { "fill" } else { "stroke" };
        let _ = writeln!(out, ".hw-{what}-{name} {{ {property}: {dark} }}");
    }
    out.push_str("}</style>\n");
    out
}

fn write_shape(out: &mut String, shape: &Shape) {
    let mut classes = Vec::new();
    let mut look = String::new();
    match shape.fill {
        Some((ink, percent)) => {
            classes.push(format!("hw-f-{}", ink.name()));
            let _ = write!(look, " fill=\"{}\"", ink.colours().0);
            look.push_str(&opacity("fill", percent));
        }
        None => look.push_str(" fill=\"none\""),
    }
    if let Some(stroke) = shape.stroke {
        let (ink, percent) = stroke.ink;
        classes.push(format!("hw-s-{}", ink.name()));
        let _ = write!(
            look,
            " stroke=\"{}\" stroke-width=\"{}\" stroke-linecap=\"round\" stroke-linejoin=\"round\"",
            ink.colours().0,
            stroke.thickness()
        );
        look.push_str(&opacity("stroke", percent));
        if !stroke.dash.is_empty() {
            let _ = write!(look, " stroke-dasharray=\"{}\"", stroke.dash);
        }
    }
    let class = classes.join(" ");
    let _ = match &shape.figure {
        Figure::Rect(area, radius) => writeln!(
            out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{radius}\"{look}/>",
            area.x, area.y, area.width, area.height
        ),
        Figure::Circle((x, y), radius) => {
            writeln!(out, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{look}/>")
        }
        Figure::Path(d) => writeln!(out, "<path class=\"{class}\" d=\"{d}\"{look}/>"),
        Figure::Text(label) => writeln!(out, "{}", text(label, &class, &look)),
    };
}

fn text(label: &Label, class: &str, look: &str) -> String {
    let Label { x, y, face, .. } = label;
    let family = if face.mono() { MONO } else { SANS };
    let weight = if face.bold() { " font-weight=\"600\"" } else { "" };
    let anchor = match label.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let full = label
        .full
        .as_ref()
        .map_or_else(String::new, |full| format!("<title>{}</title>", escape(full)));
    format!(
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" font-family=\"{family}\" \
         font-size=\"{}\"{weight}{anchor}{look}>{}{full}</text>",
        face.size(),
        escape(&label.text)
    )
}

fn opacity(what: &str, percent: u8) -> String {
    if percent >= 100 { String::new() } else { format!(" {what}-opacity=\"0.{percent:02}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INKS: [Ink; 8] = [
        Ink::Background,
        Ink::Surface,
        Ink::Line,
        Ink::Text,
        Ink::Quiet,
        Ink::Bad,
        Ink::Good,
        Ink::Warn,
    ];

    fn inks() -> impl Iterator<Item = Ink> {
        INKS.into_iter().chain(Owner::ALL.map(Ink::Owner))
    }

    #[test]
    fn files_have_the_pages_colours() {
        let tokens = include_str!("../../../static/tokens.css");
        for ink in inks() {
            let (light, dark) = ink.colours();
            let token = format!("--{}: light-dark({light}, {dark});", ink.name());
            assert!(tokens.contains(&token), "no {token}");
        }
    }

    fn channels(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0)
    }

    fn linear(colour: [f64; 3]) -> [f64; 3] {
        colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
    }

    /// WCAG's contrast ratio.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let luminance = |colour| {
            let [red, green, blue] = linear(colour);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// `per cent` of a colour on another.
    fn wash(colour: [f64; 3], paper: [f64; 3], percent: f64) -> [f64; 3] {
        [0, 1, 2].map(|at| colour[at] * percent / 100.0 + paper[at] * (1.0 - percent / 100.0))
    }

    #[test]
    fn every_text_can_be_read() {
        for dark in [false, true] {
            let theme = |ink: Ink| {
                let (light, night) = ink.colours();
                channels(if dark { night } else { light })
            };
            let (paper, surface) = (theme(Ink::Background), theme(Ink::Surface));
            for ink in
                inks().filter(|ink| !matches!(ink, Ink::Background | Ink::Surface | Ink::Line))
            {
                let colour = theme(ink);
                let grounds = match ink {
                    // A ribbon's text stands on its own colour's wash.
                    Ink::Owner(_) => vec![paper, wash(colour, paper, 13.0)],
                    _ => vec![paper, surface],
                };
                for ground in grounds {
                    let ratio = contrast(colour, ground);
                    assert!(ratio >= 4.5, "{ink:?}, dark {dark}: {ratio:.2}");
                }
            }
        }
    }

    /// What people with each kind of colour vision see of linear light (Machado, Oliveira and
    /// Fernandes, 2009): all cones; no red ones, no green ones, no blue ones.
    const VISIONS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
        [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
        [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
    ];

    /// CIELAB, in which distances are what an eye tells apart.
    fn lab([red, green, blue]: [f64; 3]) -> [f64; 3] {
        let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let x = f((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047);
        let y = f(0.2126 * red + 0.7152 * green + 0.0722 * blue);
        let z = f((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn owners_are_told_apart_by_every_kind_of_eye() {
        for vision in VISIONS {
            for dark in [false, true] {
                let seen = Owner::ALL.map(|owner| {
                    let (light, night) = Ink::Owner(owner).colours();
                    let light = linear(channels(if dark { night } else { light }));
                    let cone = |row: [f64; 3]| {
                        let sum: f64 = row.iter().zip(light).map(|(a, b)| a * b).sum();
                        sum.clamp(0.0, 1.0)
                    };
                    (owner, lab(vision.map(cone)))
                });
                for (index, (a, here)) in seen.iter().enumerate() {
                    for (b, there) in &seen[index + 1..] {
                        let square: f64 =
                            here.iter().zip(there).map(|(p, q)| (p - q).powi(2)).sum();
                        assert!(
                            square.sqrt() > 18.0,
                            "{a:?} and {b:?}, dark {dark}: {}",
                            square.sqrt()
                        );
                    }
                }
            }
        }
    }
}
