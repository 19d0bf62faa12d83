//! A file that stands alone: light by its attributes, dark where the reader prefers it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::label::{Anchor, Ink, Label};
use super::paint::{Figure, Group, Shape, paint};
use super::{Owner, Picture};

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
            Self::Owner(Owner::Client) => ("#7a3db0", "#c79bf2"),
            Self::Owner(Owner::Node) => ("#1d62c9", "#7cb0ff"),
            Self::Owner(Owner::Tunnel) => ("#b35900", "#f2a950"),
            Self::Owner(Owner::Service) => ("#ad2f6f", "#f48fc1"),
            Self::Owner(Owner::Pod) => ("#0d7a52", "#5ed3a0"),
            Self::Owner(Owner::Balancer) => ("#0a7186", "#58cfe2"),
            Self::Owner(Owner::Outside) => ("#59636f", "#a9b2be"),
            Self::Background => ("#ffffff", "#14171c"),
            Self::Surface => ("#f4f5f8", "#1c2026"),
            Self::Line => ("#d4d8e0", "#363c46"),
            Self::Text => ("#191c22", "#e8ebf0"),
            Self::Quiet => ("#566070", "#a2abb8"),
            Self::Bad => ("#c62828", "#ff7a70"),
            Self::Good => ("#157347", "#5fd08f"),
            Self::Warn => ("#8a5a00", "#e9b949"),
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
            tenths(stroke.width)
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

/// Tenths as a decimal number.
pub(super) fn tenths(value: u8) -> String {
    if value.is_multiple_of(10) {
        (value / 10).to_string()
    } else {
        format!("{}.{}", value / 10, value % 10)
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML at all.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
