//! Traces as one SVG: the pictures below each other where there are several.

use std::fmt::Write as _;

use crate::cluster::Cluster;
use crate::datapath::Trace;
use crate::escape;
use crate::picture::{Ink, Layout, Picture, draw, svg};
use crate::words::names as words;

/// Room for a picture's caption.
const CAPTION: i32 = 36;
/// A caption's distance from the left.
const MARGIN: i32 = 16;

/// The pictures of all outcomes of all traces.
pub fn sheet(cluster: &Cluster, traces: &[Trace]) -> String {
    let pictures: Vec<(String, Picture)> = traces
        .iter()
        .flat_map(|trace| {
            trace.outcomes.iter().map(move |outcome| {
                let mut caption = trace.flow.to_string();
                if trace.outcomes.len() > 1 {
                    caption = format!("{caption}   {}", words::share(outcome.share));
                }
                (caption, draw(cluster, outcome, Layout::Wide))
            })
        })
        .collect();
    if let [(_, picture)] = pictures.as_slice() {
        return svg(picture);
    }
    let width = pictures.iter().map(|(_, picture)| picture.width).max().unwrap_or(0);
    let height: i32 = pictures.iter().map(|(_, picture)| picture.height + CAPTION).sum();
    let (paper, ink) = (Ink::Background.colours(), Ink::Text.colours());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n\
         <style>@media (prefers-color-scheme: dark) {{\n\
         .hw-paper {{ fill: {} }}\n.hw-caption {{ fill: {} }}\n}}</style>\n\
         <rect class=\"hw-paper\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        paper.1, ink.1, paper.0
    );
    let mut y = 0;
    for (caption, picture) in &pictures {
        let _ = write!(
            out,
            "<text class=\"hw-caption\" x=\"{MARGIN}\" y=\"{}\" font-family=\"ui-monospace, \
             monospace\" font-size=\"14\" fill=\"{}\" xml:space=\"preserve\">{}</text>\n\
             <g transform=\"translate(0 {})\">\n{}</g>\n",
            y + CAPTION * 2 / 3,
            ink.0,
            escape::xml(caption),
            y + CAPTION,
            svg(picture),
        );
        y += picture.height + CAPTION;
    }
    out.push_str("</svg>\n");
    out
}
