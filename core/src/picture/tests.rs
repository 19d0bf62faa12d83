use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;

use super::fixture::{self, stories};
use super::*;
use crate::cluster::{Backend, BalancerId, ClientId, NodeId, Outside, PodId, ServiceId};
use crate::datapath::{
    Because, Cause, CauseKind, Device, Dnat, Fact, FrontendKind, FrontendRef, Gate, Listener,
    Machine, Masquerade, Masquerades, NoRoute, Out, Picked, Routed, Rule, Sent, Skipped, Step,
    Subject, Translator, Wrap,
};
use crate::decision::Ruling;
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
                let asked = match step.gate().unwrap().direction {
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
    let (mut cluster, outcome) = fixture::article();
    cluster.clients[0].name = "a < b & \"c\" > \u{1}".to_owned();
    let file = svg(&draw(&cluster, &outcome, Layout::Wide));
    assert!(file.contains("a &lt; b &amp; &quot;c&quot; &gt; ␁"));
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

/// A cluster of made-up names.
fn named(names: &[String]) -> Cluster {
    let text = "
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Node
metadata: {name: b}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: d}
spec: {containers: [{name: main}]}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: e}
spec: {clients: [{name: f, ip: 192.0.2.1}], loadBalancers: [{name: g, ip: 192.0.2.2}]}
";
    let mut cluster = crate::read(text).cluster;
    cluster.clients[0].name.clone_from(&names[0]);
    cluster.nodes[0].name.clone_from(&names[1]);
    cluster.balancers[0].name.clone_from(&names[2]);
    cluster.nodes[1].name.clone_from(&names[3]);
    cluster.pods[0].namespace.clone_from(&names[4]);
    cluster.pods[0].name.clone_from(&names[5]);
    cluster
}

/// A path that no datapath need ever take, to try the geometry.
fn path(names: &[String], moves: &[Move], six: bool) -> Outcome {
    let machines = [
        Machine::Client(Outside::Named(ClientId(0))),
        Machine::Node(NodeId(0)),
        Machine::Balancer(BalancerId(0)),
        Machine::Node(NodeId(1)),
        Machine::Router,
    ];
    let (ip, port, pod, node) = (addresses(six, 3), 80, Some(PodId(0)), Some(NodeId(0)));
    let frontend =
        FrontendRef { service: ServiceId(0), port: 0, kind: FrontendKind::LoadBalancerIp };
    let dnat = Dnat {
        frontend,
        endpoint: Backend { ip, port, pod, node },
        chosen: 0,
        of: 1,
        local: false,
        marked: false,
        hairpin: false,
        unread: false,
        from: None,
        forwarded: false,
    };
    let masquerade =
        |why| Fact::Masquerade(Masquerade { why, out: Device::Ethernet, fixed: false });
    let picked = Picked { node: NodeId(0), others: 0 };
    let gate = |direction, n: u8, allow| {
        let policy = ObjectRef::new("NetworkPolicy", &names[4], &names[5]);
        let by = match n % 3 {
            0 if allow => By::NoPolicy,
            1 => By::Isolation(vec![policy.clone(), policy]),
            _ => By::Policy(policy),
        };
        let ruling = Ruling { allow, by, cite: None };
        Fact::Gate(Gate { who: Subject::Pod(PodId(0)), direction, ruling })
    };
    let facts = |n: u8, allow: bool| {
        [
            Fact::DeviceIn,
            Fact::Dnat(dnat),
            masquerade(Masquerades::Marked),
            masquerade(Masquerades::NatOutgoing),
            Fact::Encapsulate(Wrap::Return(NodeId(1))),
            Fact::Decapsulate,
            gate(Direction::Ingress, n, allow),
            gate(Direction::Egress, n, allow),
            Fact::GateSkipped(Skipped::OwnProcess),
            Fact::DeviceOut(Out::Gateway),
            Fact::BalancerConnect(picked),
            Fact::NoRoute(NoRoute::Unknown),
            Fact::RpFilter { back: Device::Ethernet },
            Fact::NoListener(None),
            Fact::DeliverToPod { own: false },
            Fact::DeliverToHost(Listener::Kubelet),
            Fact::EndpointToHost,
            Fact::RouterForward(Routed::Route { to: ip.into(), via: NodeId(0), others: 2 }),
        ]
    };
    let mut path = fixture::Path::from(addresses(six, 1), addresses(six, 2));
    path = path.step(machines[0], Fact::Send(Sent::Outside), None);
    for (index, (machine, fact, n, allow)) in moves.iter().enumerate() {
        let last = index + 1 == moves.len();
        let facts = facts(*n, *allow || !last);
        let fact = facts[fact % facts.len()].clone();
        // Ends stand at the end.
        let fact = match fact {
            Fact::DeliverToHost(_) | Fact::DeliverToPod { .. } if !last => {
                Fact::DeviceOut(Out::Gateway)
            }
            fact => fact,
        };
        let device = match fact {
            Fact::DeliverToPod { .. } | Fact::Gate(_) => Device::Pod(PodId(0)),
            _ => Device::Tunnel(Encapsulation::Wireguard),
        };
        let rule = fact.rule();
        path = path.step(machines[machine % machines.len()], fact, Some(device));
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
            _ => path,
        };
    }
    let end = path.steps.last().unwrap();
    let delivered = matches!(end.rule(), Rule::DeliverToPod | Rule::DeliverToHost);
    if delivered {
        let reply = answer_of(&path.steps);
        return path.ends(None, reply);
    }
    let because = Because::Step { reply: false, at: path.steps.len() - 1 };
    let cause = Cause { kind: CauseKind::PolicyDenied, cite: None, because, unheard: false };
    path.ends(Some(cause), Vec::new())
}

/// The way back over the machines that the request took, each rewrite undone.
fn answer_of(steps: &[Step]) -> Vec<Step> {
    let mut reply: Vec<Step> = steps
        .iter()
        .rev()
        .filter(|step| step.before != step.after || step.rule() == Rule::DeviceIn)
        .map(|step| Step {
            fact: Fact::UnNat(Translator::Conntrack),
            before: step.after,
            after: step.before,
            ..step.clone()
        })
        .collect();
    let delivered = Fact::ReplyDelivered { refusal: false };
    reply.extend(steps.first().map(|step| Step { fact: delivered, ..step.clone() }));
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
        let cluster = named(&names);
        let outcome = path(&names, &moves, six);
        for layout in [Layout::Wide, Layout::Narrow] {
            let picture = draw(&cluster, &outcome, layout);
            let faults = faults(&picture);
            prop_assert!(faults.is_empty(), "{layout:?} {faults:#?}\n{}", told(&picture));
        }
    }
}
