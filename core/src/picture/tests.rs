use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;

use super::fixture::{self, stories};
use super::*;
use crate::datapath::{Cause, CauseKind, Machine, Rule, Step};
use crate::net::{Encapsulation, Outer};
use crate::text::ObjectRef;

/// Writes every flow of the examples as a file, for a person to look at, where told to.
#[test]
fn pictures_for_the_eye() {
    let Ok(dir) = std::env::var("HOPWISE_PICTURES") else { return };
    for entry in std::fs::read_dir("../examples").unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let reading = crate::read(&text);
        for (number, flow) in reading.scenario.flows.iter().enumerate() {
            let trace = crate::trace(&reading.cluster, &flow.flow);
            for (index, outcome) in trace.outcomes.iter().enumerate() {
                for (layout, word) in [(Layout::Wide, "wide"), (Layout::Narrow, "narrow")] {
                    let name = path.file_stem().unwrap().to_string_lossy();
                    let file = format!("{dir}/{name}-{number}-{index}-{word}.svg");
                    std::fs::write(file, svg(&draw(&reading.cluster, outcome, layout))).unwrap();
                }
            }
        }
    }
}

/// What the picture says, as text: machine by machine, then the ribbons.
fn told(picture: &Picture) -> String {
    let mut out = format!("{}\n", picture.title);
    let texts = |labels: &[Label]| {
        labels
            .iter()
            .map(|l| l.full.clone().unwrap_or(l.text.clone()))
            .collect::<Vec<_>>()
            .join(" | ")
    };
    for lane in &picture.lanes {
        let _ = writeln!(out, "lane {}", texts(&lane.labels));
    }
    for station in &picture.stations {
        let _ =
            writeln!(out, "{:?} {:?}: {}", station.steps, station.glyph, texts(&station.labels));
    }
    for bar in &picture.bars {
        let stations: Vec<_> = picture
            .stations
            .iter()
            .filter(|s| !matches!(s.glyph, Glyph::UnNat | Glyph::Taken | Glyph::Lost))
            .filter(|s| bar.area.x - 1 <= s.at.0 && s.at.0 <= bar.area.right() + 1)
            .map(|s| s.step)
            .collect();
        let _ = writeln!(out, "{:?} {} over {stations:?}", bar.row, bar.title);
    }
    for gate in &picture.gates {
        let _ = writeln!(out, "gate {:?}: {}", gate.station, texts(&gate.labels));
    }
    out
}

#[test]
fn the_article_is_told_at_a_glance() {
    let (cluster, outcome) = fixture::article();
    let picture = draw(&cluster, &outcome, Layout::Wide);
    insta::assert_snapshot!(told(&picture), @r#"
    The path of a packet from client user (10.2.3.4) to 10.102.123.117:31602: dropped
    lane client user | 10.2.3.4
    lane node1 | 10.102.123.117
    lane node2 | 10.102.123.104
    0..1 Client: 
    1..2 Point: eth0 | in
    2..3 Rewrite { from: Node, to: Pod, source: false }: DNAT | node port → pod
    3..4 Rewrite { from: Client, to: Tunnel, source: true }: SNAT | masquerade | → 10.233.90.0
    4..5 Wrap: tunl0 | wrap in IPIP
    5..6 Unwrap: tunl0 | unwrap IPIP
    6..7 Shut: ingress policy denies | only-the-user
    Source 10.2.3.4: client user over [0, 1, 2, 3]
    Source 10.233.90.0: node1's tunl0 · masqueraded over [3, 4, 5, 6]
    Destination 10.102.123.117:31602: node1 over [0, 1, 2]
    Destination 10.233.96.32:9097: pod dashboard over [2, 3, 4, 5, 6]
    Outer 10.102.123.117 → 10.102.123.104: node1 → node2 over [4, 5]
    gate 6: policy asks here: is 10.233.90.0 allowed? No
    "#);
}

#[test]
fn the_answer_goes_back_past_what_rewrote_the_request() {
    let (cluster, outcome) = fixture::answered();
    let picture = draw(&cluster, &outcome, Layout::Wide);
    insta::assert_snapshot!(told(&picture), @r#"
    The path of a packet from client user (10.2.3.4) to 10.102.123.117:31602: delivered
    lane client user | 10.2.3.4
    lane node1 | 10.102.123.117
    lane node2 | 10.102.123.104
    0..1 Client: 
    1..2 Point: eth0 | in
    2..3 Rewrite { from: Node, to: Pod, source: false }: DNAT | node port → pod
    3..4 Rewrite { from: Client, to: Tunnel, source: true }: SNAT | masquerade | → 10.233.90.0
    4..5 Wrap: tunl0 | wrap in IPIP
    5..6 Unwrap: tunl0 | unwrap IPIP
    6..7 Free: no ingress policy
    7..8 Box: pod | dashboard
    8..12 UnNat: un-NAT
    12..14 Taken: answered
    Source 10.2.3.4: client user over [0, 1, 2, 3]
    Source 10.233.90.0: node1's tunl0 · masqueraded over [3, 4, 5, 6, 7]
    Destination 10.102.123.117:31602: node1 over [0, 1, 2]
    Destination 10.233.96.32:9097: pod dashboard over [2, 3, 4, 5, 6, 7]
    Outer 10.102.123.117 → 10.102.123.104: node1 → node2 over [4, 5]
    gate 6: no policy asks here: 10.233.90.0 passes
    "#);
}

#[test]
fn a_gate_crosses_what_its_policy_sees() {
    for (name, (cluster, outcome)) in stories() {
        for layout in [Layout::Wide, Layout::Narrow] {
            let picture = draw(&cluster, &outcome, layout);
            for gate in &picture.gates {
                let step = picture.stations[gate.station].step;
                let (x, y) = gate.crossing.unwrap();
                let seen: Vec<&Bar> = picture
                    .bars
                    .iter()
                    .filter(|bar| bar.area.holds(Area { x, y, width: 0, height: 0 }))
                    .collect();
                let step = &outcome.steps[step];
                let asked = match step.gate.as_ref().unwrap().direction {
                    Direction::Ingress => step.before.source,
                    Direction::Egress => step.before.destination,
                };
                assert_eq!(seen.len(), 1, "{name}");
                assert!(seen[0].title.contains(&asked.to_string()), "{name}: {}", seen[0].title);
            }
        }
    }
}

#[test]
fn every_step_belongs_to_a_station() {
    for (name, (cluster, outcome)) in stories() {
        for layout in [Layout::Wide, Layout::Narrow] {
            let picture = draw(&cluster, &outcome, layout);
            for step in 0..outcome.steps.len() + outcome.reply.len() {
                assert!(picture.station_of(step).is_some(), "{name}: step {step}");
            }
        }
    }
}

#[test]
fn files_are_well_formed_and_stand_alone() {
    let (cluster, mut outcome) = fixture::article();
    outcome.steps[0].summary = "a < b & \"c\" > \u{1}".to_owned();
    let file = svg(&draw(&cluster, &outcome, Layout::Wide));
    assert!(file.contains("a &lt; b &amp; &quot;c&quot; &gt; \u{fffd}"));
    assert!(!file.contains("var(") && !file.contains("href"));
    let opened = file.matches("<g>").count();
    assert_eq!(opened, file.matches("</g>").count());
}

/// What is wrong with a picture's geometry, if anything.
fn faults(picture: &Picture) -> Vec<String> {
    let mut faults = Vec::new();
    let view = Area { x: 0, y: 0, width: picture.width, height: picture.height };
    let labels: Vec<&Label> = picture.labels().collect();
    for (index, label) in labels.iter().enumerate() {
        if !view.holds(label.area()) {
            faults.push(format!("`{}` is cut off: {:?}", label.text, label.area()));
        }
        for other in &labels[index + 1..] {
            if label.area().overlaps(other.area()) {
                faults.push(format!("`{}` overlaps `{}`", label.text, other.text));
            }
        }
    }
    let gates = picture.gates.iter().map(|gate| vec![gate.from, gate.to]);
    let lines = picture.segments.iter().map(|segment| segment.points.clone());
    for points in gates.chain(lines) {
        for pair in points.windows(2) {
            let line = Area {
                x: pair[0].0.min(pair[1].0),
                y: pair[0].1.min(pair[1].1),
                width: (pair[0].0 - pair[1].0).abs().max(1),
                height: (pair[0].1 - pair[1].1).abs().max(1),
            };
            for label in &labels {
                // A box hides the line that ends in it.
                let boxed = picture
                    .stations
                    .iter()
                    .any(|station| station.glyph == Glyph::Box && station.area.holds(label.area()));
                if !boxed && line.overlaps(label.area()) {
                    faults.push(format!("a line crosses `{}`", label.text));
                }
            }
        }
    }
    for (index, station) in picture.stations.iter().enumerate() {
        for other in &picture.stations[index + 1..] {
            if station.area.overlaps(other.area) {
                faults.push(format!("`{}` covers `{}`", station.title, other.title));
            }
        }
        for label in &labels {
            let own = station.labels.iter().any(|own| own == *label);
            if !own && station.area.overlaps(label.area()) {
                faults.push(format!("`{}` covers the text `{}`", station.title, label.text));
            }
        }
    }
    for bar in &picture.bars {
        for label in &bar.labels {
            if !bar.area.holds(label.area()) {
                faults.push(format!("`{}` leaves its ribbon", label.text));
            }
        }
    }
    faults
}

#[test]
fn no_story_hides_a_text() {
    for (name, (cluster, outcome)) in stories() {
        for layout in [Layout::Wide, Layout::Narrow] {
            let faults = faults(&draw(&cluster, &outcome, layout));
            assert!(faults.is_empty(), "{name} {layout:?}: {faults:#?}");
        }
    }
}

/// One step of a made-up path: on which machine, what, and where to.
type Move = (usize, usize, u8, bool);

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[a-z0-9-]{20,63}", "[mW]{40}", "[\u{4e00}-\u{4e20}]{1,12}"]
}

fn addresses(six: bool, n: u8) -> IpAddr {
    let text = if six {
        format!("2001:db8:ffff:eeee:dddd:cccc:bbbb:{n:x}")
    } else {
        format!("192.168.{}.{}", 100 + n % 100, 100 + n % 150)
    };
    text.parse().unwrap()
}

/// A path that no datapath need ever take, to try the geometry.
fn path(names: &[String], moves: &[Move], six: bool) -> Outcome {
    let machines = [
        Machine::Client(names[0].clone()),
        Machine::Node(names[1].clone()),
        Machine::Balancer(names[2].clone()),
        Machine::Node(names[3].clone()),
        Machine::Router,
    ];
    let rules = [
        Rule::DeviceIn,
        Rule::Dnat,
        Rule::Masquerade,
        Rule::NatOutgoing,
        Rule::Encapsulate,
        Rule::Decapsulate,
        Rule::IngressGate,
        Rule::EgressGate,
        Rule::GateSkipped,
        Rule::DeviceOut,
        Rule::BalancerConnect,
        Rule::NoRoute,
        Rule::RpFilter,
        Rule::NoListener,
        Rule::DeliverToPod,
        Rule::DeliverToHost,
        Rule::EndpointToHost,
        Rule::RouterForward,
    ];
    let mut path = fixture::Path::from(addresses(six, 1), addresses(six, 2));
    let pod = format!("pod/{}/{}", names[4], names[5]);
    path = path.step(&machines[0], Rule::Send, "");
    for (index, (machine, rule, n, allow)) in moves.iter().enumerate() {
        let rule = rules[rule % rules.len()];
        let last = index + 1 == moves.len();
        // Ends stand at the end.
        let rule = match rule {
            Rule::DeliverToHost | Rule::DeliverToPod if !last => Rule::DeviceOut,
            rule => rule,
        };
        let device = match rule {
            Rule::DeliverToPod | Rule::IngressGate | Rule::EgressGate => pod.as_str(),
            _ => "a-device-name15",
        };
        path = path.step(&machines[machine % machines.len()], rule, device);
        let allow = *allow || !last;
        path = match rule {
            Rule::Dnat => path.into(|p| p.destination = addresses(six, *n)),
            Rule::Masquerade | Rule::NatOutgoing | Rule::BalancerConnect => {
                path.into(|p| p.source = addresses(six, *n))
            }
            Rule::Encapsulate => path.into(|p| {
                p.outer = Some(Outer {
                    encapsulation: Encapsulation::Wireguard,
                    source: addresses(six, *n),
                    destination: addresses(six, n.wrapping_add(1)),
                });
            }),
            Rule::Decapsulate => path.into(|p| p.outer = None),
            Rule::IngressGate | Rule::EgressGate => {
                let direction = match rule {
                    Rule::IngressGate => Direction::Ingress,
                    _ => Direction::Egress,
                };
                let policy = ObjectRef::new("NetworkPolicy", &names[4], &names[5]);
                let by = match n % 3 {
                    0 if allow => By::NoPolicy,
                    1 => By::Isolation(vec![policy.clone(), policy]),
                    _ => By::Policy(policy),
                };
                path.gate(direction, &pod, allow, by)
            }
            _ => path,
        };
    }
    let end = path.steps.last().unwrap();
    let delivered = matches!(end.rule, Rule::DeliverToPod | Rule::DeliverToHost);
    if delivered {
        let reply = answer_of(&path.steps);
        return path.ends(None, reply);
    }
    let cause = Cause { kind: CauseKind::PolicyDenied, cite: None, message: String::new() };
    path.ends(Some(cause), Vec::new())
}

/// The way back over the machines that the request took, each rewrite undone.
fn answer_of(steps: &[Step]) -> Vec<Step> {
    let mut reply: Vec<Step> = steps
        .iter()
        .rev()
        .filter(|step| step.before != step.after || step.rule == Rule::DeviceIn)
        .map(|step| Step {
            rule: Rule::UnNat,
            before: step.after,
            after: step.before,
            gate: None,
            ..step.clone()
        })
        .collect();
    reply.extend(steps.first().map(|step| Step { rule: Rule::ReplyDelivered, ..step.clone() }));
    reply
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_overlaps_whatever_the_path(
        names in proptest::collection::vec(name(), 6),
        moves in proptest::collection::vec((0usize..5, 0usize..19, any::<u8>(), any::<bool>()), 1..14),
        six in any::<bool>(),
    ) {
        let cluster = Cluster::default();
        let outcome = path(&names, &moves, six);
        for layout in [Layout::Wide, Layout::Narrow] {
            let picture = draw(&cluster, &outcome, layout);
            let faults = faults(&picture);
            prop_assert!(faults.is_empty(), "{layout:?} {faults:#?}\n{}", told(&picture));
        }
    }
}
