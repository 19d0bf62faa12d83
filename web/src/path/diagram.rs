//! A picture of the core's, as elements that can be pointed at and stepped through.

use std::net::IpAddr;

use hopwise::picture::{
    Anchor, Figure, Group, Ink, Label, Layout, Picture, Role, Shape, line, paint,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, SvgElement};
use yew::prelude::*;

use super::StepAt;

#[derive(Debug, PartialEq, Properties)]
pub(super) struct DiagramProps {
    pub(super) picture: Picture,
    /// Changes when the packet is to travel again.
    pub(super) trip: u32,
    pub(super) focus: StepAt,
    pub(super) lit: Option<IpAddr>,
    pub(super) on_focus: Callback<StepAt>,
    pub(super) on_light: Callback<Option<IpAddr>>,
}

#[component]
pub(super) fn Diagram(props: &DiagramProps) -> Html {
    let DiagramProps { picture, trip, focus, .. } = props;
    let shape = match picture.layout {
        Layout::Wide => "wide",
        Layout::Narrow => "narrow",
    };
    let chosen = picture.station_of(*focus);
    let groups = paint(picture);
    let (stations, scenery): (Vec<_>, Vec<_>) =
        groups.iter().partition(|group| matches!(group.role, Role::Station(_)));
    html! {
        <div class={classes!("path-diagram", shape)}>
            <svg
                viewBox={format!("0 0 {} {}", picture.width, picture.height)}
                width={picture.width.to_string()}
                height={picture.height.to_string()}
                role="group"
                aria-label={picture.title.clone()}
            >
                <g aria-hidden="true">{ for scenery.into_iter().map(|group| thing(props, group)) }</g>
                <path key={*trip} class="trip" d={line(picture)} pathLength="1" aria-hidden="true" />
                <g>
                    { for stations.into_iter().map(|group| station(props, group, chosen)) }
                </g>
            </svg>
        </div>
    }
}

/// What only shows.
fn thing(props: &DiagramProps, group: &Group) -> Html {
    let DiagramProps { picture, lit, on_light, .. } = props;
    let bar = match group.role {
        Role::Bar(index) => picture.bars.get(index),
        _ => None,
    };
    let shapes = group.shapes.iter().map(draw);
    let title = group.title.as_ref().map(|title| html! { <title>{ title }</title> });
    let Some(bar) = bar else { return html! { <g>{ title }{ for shapes }</g> } };
    let ip = bar.ip;
    html! {
        <g
            class={classes!("bar", (*lit == Some(ip)).then_some("lit"))}
            onmouseenter={on_light.reform(move |_| Some(ip))}
            onmouseleave={on_light.reform(|_| None)}
        >
            { title }
            { for shapes }
        </g>
    }
}

/// What can be stepped to.
fn station(props: &DiagramProps, group: &Group, chosen: Option<usize>) -> Html {
    let DiagramProps { picture, focus, on_focus, .. } = props;
    let Role::Station(index) = group.role else { return html! {} };
    let Some(station) = picture.stations.get(index) else { return html! {} };
    let here = chosen == Some(index);
    // A step beside the station's own one stays in focus while its station is pointed at.
    let step = if station.steps.contains(focus) { *focus } else { station.step };
    let area = station.area;
    // What is seen is part of the name, so that it can be called by it.
    let seen = group.shapes.iter().filter_map(|shape| match &shape.figure {
        Figure::Text(label) => Some(label.text.as_str()),
        _ => None,
    });
    let seen = seen.collect::<Vec<_>>().join(" ");
    let name =
        if seen.is_empty() { station.title.clone() } else { format!("{seen}. {}", station.title) };
    html! {
        <g
            class={classes!("station", here.then_some("chosen"))}
            tabindex="0"
            role="button"
            aria-pressed={here.to_string()}
            aria-label={name}
            onfocus={on_focus.reform(move |_| step)}
            onmouseenter={on_focus.reform(move |_| step)}
            onclick={on_focus.reform(move |_| step)}
            onkeydown={|event: KeyboardEvent| walk(&event)}
        >
            <rect
                class="halo"
                x={(area.x - 5).to_string()}
                y={(area.y - 5).to_string()}
                width={(area.width + 10).to_string()}
                height={(area.height + 10).to_string()}
                rx="14"
            />
            // The blank parts the texts for those who only hear them.
            { for group.shapes.iter().map(|shape| html! { <>{ draw(shape) }{ " " }</> }) }
        </g>
    }
}

/// Arrow keys step from station to station.
fn walk(event: &KeyboardEvent) {
    let Some(here) = event.current_target().and_then(|target| target.dyn_into::<Element>().ok())
    else {
        return;
    };
    let to = match event.key().as_str() {
        "ArrowRight" | "ArrowDown" => here.next_element_sibling(),
        "ArrowLeft" | "ArrowUp" => here.previous_element_sibling(),
        "Home" => here.parent_element().and_then(|parent| parent.first_element_child()),
        "End" => here.parent_element().and_then(|parent| parent.last_element_child()),
        _ => return,
    };
    event.prevent_default();
    if let Some(station) = to.and_then(|element| element.dyn_into::<SvgElement>().ok()) {
        // A browser that can't focus it leaves the focus where it is.
        let _ = station.focus();
    }
}

fn draw(shape: &Shape) -> Html {
    let mut class = Classes::new();
    let ink = |what: &str, ink: Ink| format!("{what}-{}", ink.name());
    let fill_opacity = shape.fill.and_then(|(_, percent)| opacity(percent));
    match shape.fill {
        Some((colour, _)) => class.push(ink("f", colour)),
        None => class.push("f-none"),
    }
    let mut stroke_opacity = None;
    let mut width = None;
    let mut dash = None;
    if let Some(stroke) = shape.stroke {
        class.push(ink("s", stroke.ink.0));
        stroke_opacity = opacity(stroke.ink.1);
        width = Some(stroke.thickness());
        dash = (!stroke.dash.is_empty()).then_some(stroke.dash);
    }
    match &shape.figure {
        Figure::Rect(area, radius) => html! {
            <rect
                {class}
                x={area.x.to_string()}
                y={area.y.to_string()}
                width={area.width.to_string()}
                height={area.height.to_string()}
                rx={radius.to_string()}
                fill-opacity={fill_opacity}
                stroke-opacity={stroke_opacity}
                stroke-width={width}
                stroke-dasharray={dash}
            />
        },
        Figure::Circle((x, y), radius) => html! {
            <circle
                {class}
                cx={x.to_string()}
                cy={y.to_string()}
                r={radius.to_string()}
                fill-opacity={fill_opacity}
                stroke-width={width}
                stroke-dasharray={dash}
            />
        },
        Figure::Path(d) => html! {
            <path
                {class}
                d={d.clone()}
                stroke-opacity={stroke_opacity}
                stroke-width={width}
                stroke-dasharray={dash}
            />
        },
        Figure::Text(label) => text(label, class),
    }
}

fn text(label: &Label, mut class: Classes) -> Html {
    let face = label.face;
    class.push(if face.mono() { "fixed" } else { "prose" });
    class.extend(face.bold().then_some("bold"));
    let anchor = match label.anchor {
        Anchor::Start => None,
        Anchor::Middle => Some("middle"),
        Anchor::End => Some("end"),
    };
    html! {
        <text
            {class}
            x={label.x.to_string()}
            y={label.y.to_string()}
            font-size={face.size().to_string()}
            text-anchor={anchor}
        >
            { &label.text }
            if let Some(full) = &label.full {
                <title>{ full }</title>
            }
        </text>
    }
}

/// Per cent as SVG writes it; nothing where it is all.
fn opacity(percent: u8) -> Option<String> {
    (percent < 100).then(|| format!("0.{percent:02}"))
}
