//! The command line: arguments in, text out. All answers come from the library.

use std::collections::HashSet;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use hopwise::analysis::{Problems, check, findings, matrix, problems};
use hopwise::decision::evaluate;
use hopwise::escape;
use hopwise::report::json::{Checked, Place};
use hopwise::report::text::Look;
use hopwise::report::{finding, grid, json, markdown, mermaid, svg, text};
use hopwise::scenario::readings;
use hopwise::{Flow, Reading, Severity, Span, trace};

#[path = "hopwise/sources.rs"]
mod sources;

use sources::{Files, Sources};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where a Kubernetes packet goes, what rewrites it on the way, and which policy decides.
///
/// FILE is a scenario: Kubernetes and Calico objects as YAML, and a Scenario document for the rest.
/// `-` is standard input, and a folder is its .yaml, .yml and .json files. Files without a Scenario
/// are context: their objects are there for every Scenario given. Each Scenario is taken in turn.
#[derive(Debug, Parser)]
#[command(name = "hopwise", version, after_help = EXIT_STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 fine, 1 an expectation failed or --deny hit, 2 the input can't be used.
Colours only on a terminal, and never with NO_COLOR set.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow flows hop by hop: those given, or else the scenario's own
    Trace {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A flow, as in `pod/bar/web -> nodePort/node1:31602`; may be repeated
        #[arg(long, value_name = "FROM -> TO")]
        flow: Vec<String>,
        /// A file with a flow on each line; `-` is standard input
        #[arg(long, value_name = "FLOWS")]
        flows: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: PathFormat,
        /// With the rules as iptables-save, ipvsadm or ip route print them, and how to see them
        #[arg(long)]
        rules: bool,
    },
    /// Ask the policies alone, on the addresses as given, with no network between
    Evaluate {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A flow, as in `pod/bar/web -> pod/foo/db:5432`; may be repeated
        #[arg(long, value_name = "FROM -> TO")]
        flow: Vec<String>,
        /// A file with a flow on each line; `-` is standard input
        #[arg(long, value_name = "FLOWS")]
        flows: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: AnswerFormat,
    },
    /// Who may reach whom, by the policies alone
    Matrix {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: GridFormat,
        /// With the ports
        #[arg(long)]
        ports: bool,
    },
    /// What in the text probably does something else than it seems to
    Findings {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
        format: AnswerFormat,
        /// Fail if there is one as bad as this, or worse
        #[arg(long, value_enum)]
        deny: Option<Deny>,
    },
    /// Trace every flow that has an `expect`, and fail if one differs, or if there is none
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: CheckFormat,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PathFormat {
    /// As a person reads it
    #[default]
    Text,
    /// One object a line
    Json,
    /// A sequence diagram
    Mermaid,
    /// A section with a table
    Markdown,
    /// The picture
    Svg,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum AnswerFormat {
    /// One object a line
    #[default]
    Json,
    /// As a person reads it
    Text,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CheckFormat {
    /// As a person reads it
    #[default]
    Text,
    /// One object a line, and in the last one how many there were
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    Error,
    Warning,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum GridFormat {
    /// As a person reads it
    #[default]
    Text,
    /// One object
    Json,
    /// A line for each pair, or with --ports for each port
    Csv,
    /// A table
    Markdown,
}

/// Why the work stopped before its end.
enum Stop {
    /// The messages are for standard error; the status is 2.
    Input(Vec<String>),
    /// Standard output is gone.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<String> for Stop {
    fn from(error: String) -> Self {
        Self::Input(vec![error])
    }
}

/// An expectation failed.
const DIFFERS: u8 = 1;
/// The input can't be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        // It repeats what it can't use.
        let shown = std::env::args_os().map(|it| escape::line(&it.to_string_lossy()));
        Arguments::try_parse_from(shown).err().unwrap_or(error).exit()
    });
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run(arguments.command, &mut out).and_then(|status| {
        out.flush()?;
        Ok(status)
    });
    match done {
        Ok(status) => ExitCode::from(status),
        // Whoever reads has read enough.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Output(error)) => {
            complain(&[format!("error: can't write: {error}")]);
            ExitCode::from(UNUSABLE)
        }
        Err(Stop::Input(messages)) => {
            complain(&messages);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(command: Command, out: &mut impl Write) -> Result<u8, Stop> {
    match command {
        Command::Trace { files, flow, flows, format, rules } => {
            let given = given(&files, &flow, flows.as_ref())?;
            paths(&files, given.as_deref(), format, rules, out)
        }
        Command::Evaluate { files, flow, flows, format } => {
            let given = given(&files, &flow, flows.as_ref())?;
            each_world(&files, |world| {
                let cluster = &world.reading.cluster;
                let Some(flows) = world.flows(given.as_deref()) else { return Ok(UNUSABLE) };
                if matches!(format, AnswerFormat::Text) {
                    world.head(out)?;
                }
                for flow in &flows {
                    let answer = evaluate(cluster, flow);
                    let told = match format {
                        AnswerFormat::Json => json::evaluation_line(cluster, &answer) + "\n",
                        AnswerFormat::Text => {
                            let look = Look { colour: colour(), rules: false };
                            text::evaluation(cluster, &answer, look)
                        }
                    };
                    out.write_all(told.as_bytes())?;
                }
                Ok(0)
            })
            .map(|run| run.status)
        }
        Command::Matrix { files, format, ports } => each_world(&files, |world| {
            let matrix = matrix(&world.reading.cluster);
            match format {
                GridFormat::Text => {
                    world.head(out)?;
                    write_all(out, grid::text(&matrix, ports))?;
                }
                GridFormat::Json => writeln!(out, "{}", json::matrix_line(&matrix))?,
                GridFormat::Csv => {
                    world.alone("a table")?;
                    write_all(out, grid::csv(&matrix, ports))?;
                }
                GridFormat::Markdown => {
                    world.alone("a table")?;
                    write_all(out, grid::markdown(&matrix, ports))?;
                }
            }
            Ok(0)
        })
        .map(|run| run.status),
        Command::Findings { files, format, deny } => {
            let bad = match deny {
                Some(Deny::Error) => Some(Severity::Error),
                Some(Deny::Warning) => Some(Severity::Warning),
                None => None,
            };
            // Worlds share objects.
            let mut told = HashSet::new();
            each_world(&files, |world| {
                let mut status = 0;
                for one in &findings(&world.sources.text, &world.reading.cluster) {
                    let place = one.cite.span.map(|span| world.sources.place(span));
                    let said = finding::text(one, place.as_deref());
                    if !told.insert(said.clone()) {
                        continue;
                    }
                    match format {
                        AnswerFormat::Json => writeln!(out, "{}", finding::json_line(one))?,
                        AnswerFormat::Text => out.write_all(said.as_bytes())?,
                    }
                    if bad.is_some_and(|bad| one.severity >= bad) {
                        status = DIFFERS;
                    }
                }
                Ok(status)
            })
            .map(|run| run.status)
        }
        Command::Check { files, format } => expectations(&files, format, out),
    }
}

/// The flows' ways, in each world.
fn paths(
    files: &[PathBuf],
    given: Option<&[Flow]>,
    format: PathFormat,
    rules: bool,
    out: &mut impl Write,
) -> Result<u8, Stop> {
    let mut first = true;
    let run = each_world(files, |world| {
        let cluster = &world.reading.cluster;
        let Some(flows) = world.flows(given) else { return Ok(UNUSABLE) };
        if matches!(format, PathFormat::Svg) {
            world.alone("a picture")?;
            let traces: Vec<_> = flows.iter().map(|f| trace(cluster, f)).collect();
            out.write_all(svg::sheet(cluster, &traces).as_bytes())?;
            return Ok(0);
        }
        for (i, flow) in flows.iter().enumerate() {
            let trace = trace(cluster, flow);
            if !std::mem::take(&mut first) && !matches!(format, PathFormat::Json) {
                writeln!(out)?;
            }
            match format {
                PathFormat::Json => writeln!(out, "{}", json::trace_line(cluster, &trace))?,
                PathFormat::Text | PathFormat::Svg => {
                    if i == 0 {
                        world.head(out)?;
                    }
                    let look = Look { colour: colour(), rules };
                    out.write_all(text::path(cluster, &trace, look).as_bytes())?;
                }
                PathFormat::Mermaid => {
                    out.write_all(mermaid::path(cluster, &trace).as_bytes())?;
                }
                PathFormat::Markdown => {
                    out.write_all(markdown::path(cluster, &trace).as_bytes())?;
                }
            }
        }
        Ok(0)
    })?;
    if run.scenarios > 1 {
        let (scenarios, files) = (run.scenarios, run.files);
        let looked_at = [counted(scenarios, "Scenario"), counted(files, "file")];
        complain(&[looked_at.join(" in ")]);
    }
    Ok(run.status)
}

/// Whether everything is as the Scenarios expect it.
fn expectations(files: &[PathBuf], format: CheckFormat, out: &mut impl Write) -> Result<u8, Stop> {
    let (mut expectations, mut failed) = (0, 0);
    let run = each_world(files, |world| {
        let (sources, scenario) = (world.sources, &world.reading.scenario);
        let Some(own) = scenario.span else { return Ok(0) };
        let checks = check(world.reading);
        let expected = problems(world.reading).expected;
        if checks.is_empty() && expected.is_empty() {
            let place = sources.place(own);
            complain(&[format!("{place}: note: this Scenario expects nothing")]);
        }
        if matches!(format, CheckFormat::Text) {
            world.head(out)?;
        }
        let place = |span: Option<Span>| {
            let (file, line) = sources.line(span.unwrap_or(own));
            Place { file, line, scenario: &scenario.name }
        };
        let mut tell = |passed: bool, span: Option<Span>, json: String, text: String| {
            expectations += 1;
            failed += usize::from(!passed);
            match format {
                CheckFormat::Json => writeln!(out, "{json}"),
                CheckFormat::Text if passed => writeln!(out, "ok    {}", escape::line(&text)),
                CheckFormat::Text => {
                    let place = sources.place(span.unwrap_or(own));
                    writeln!(out, "FAIL  {}  ({place})", escape::line(&text))
                }
            }
        };
        for check in &checks {
            let (name, span) = (&check.flow.name, check.flow.span);
            let text = if check.passed() {
                format!("{name}: {}", check.got())
            } else {
                format!("{name}: expected {}, got {}", check.expected(), check.got())
            };
            tell(check.passed(), span, json::check_line(place(span), check), text)?;
        }
        for (expected, found) in expected {
            let text = match found {
                Some(found) => format!("problem: {}", found.message),
                None => format!("problem: expected `{}`, got none", expected.part),
            };
            let json = json::problem_line(place(expected.span), expected, found);
            tell(found.is_some(), expected.span, json, text)?;
        }
        Ok(0)
    })?;
    let Run { files, scenarios, status } = run;
    let looked_at = format!("{}, {}", counted(scenarios, "Scenario"), counted(files, "file"));
    let told = if failed > 0 {
        format!("{failed} of {} failed ({looked_at})", counted(expectations, "expectation"))
    } else {
        let hold = if expectations == 1 { "holds" } else { "hold" };
        format!("{} {hold} ({looked_at})", counted(expectations, "expectation"))
    };
    match format {
        CheckFormat::Json => {
            let checked = Checked { files, scenarios, expectations, failed };
            writeln!(out, "{}", json::checked_line(checked))?;
        }
        CheckFormat::Text if expectations > 0 => writeln!(out, "{told}")?,
        CheckFormat::Text => {}
    }
    if expectations == 0 {
        let message = format!("error: nothing to check: no flow has an `expect` ({looked_at})");
        return Err(message.into());
    }
    Ok(status.max(if failed > 0 { DIFFERS } else { 0 }))
}

/// `2 files`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn write_all(out: &mut impl Write, mut pieces: impl Iterator<Item = String>) -> io::Result<()> {
    pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))
}

/// A Scenario with everything that it is about; all there is, if there is none.
struct World<'a> {
    sources: &'a Sources,
    reading: &'a Reading,
    /// Whether it is one of several.
    several: bool,
}

impl World<'_> {
    /// Says which of several it is.
    fn head(&self, out: &mut impl Write) -> io::Result<()> {
        let scenario = &self.reading.scenario;
        match scenario.span {
            Some(span) if self.several => {
                let place = self.sources.place(span);
                writeln!(out, "Scenario {} ({place})", escape::line(&scenario.name))
            }
            _ => Ok(()),
        }
    }

    /// Of several, no more than one can be told as one document.
    fn alone(&self, document: &str) -> Result<(), Stop> {
        if self.several {
            let message = format!("error: {document} shows one Scenario, and there are several");
            return Err(message.into());
        }
        Ok(())
    }

    /// The flows that were asked for, or else the Scenario's own. If there are none, it says so.
    fn flows(&self, given: Option<&[Flow]>) -> Option<Vec<Flow>> {
        let own = || self.reading.scenario.flows.iter().map(|flow| flow.flow.clone()).collect();
        let flows: Vec<Flow> = given.map_or_else(own, <[Flow]>::to_vec);
        if flows.is_empty() && given.is_none() {
            let broken = self.reading.problems.iter().any(|it| it.severity == Severity::Error);
            let why = if broken {
                "what could propose one may be among what has errors: mend those first, or"
            } else {
                "the scenario has none, and nothing in it proposes one;"
            };
            complain(&[format!("error: no flow to trace: {why} write --flow 'FROM -> TO'")]);
            return None;
        }
        Some(flows)
    }
}

/// What a run looked at.
struct Run {
    files: usize,
    scenarios: usize,
    /// The worst of all.
    status: u8,
}

/// Reads the files and answers for each world in them, in turn. Every problem is said, once; the
/// status is 2 if one is an error, unless the Scenario expects it. What could be read is evaluated
/// all the same, as the API server would keep it.
fn each_world(
    paths: &[PathBuf],
    mut answer: impl FnMut(&World<'_>) -> Result<u8, Stop>,
) -> Result<Run, Stop> {
    let files = Files::read(paths).map_err(Stop::Input)?;
    complain(&files.notes);
    let mut run = Run { files: files.count(), scenarios: 0, status: 0 };
    let mut said = HashSet::new();
    let mut last = None;
    let worlds = files.worlds();
    let several_files = worlds.len() > 1;
    for sources in worlds {
        let readings = readings(&sources.text);
        let several = several_files || readings.len() > 1;
        for reading in readings {
            let reading: &Reading = last.insert(reading);
            run.scenarios += usize::from(reading.scenario.span.is_some());
            let (messages, status) = complaints(&sources, reading);
            for message in messages {
                if said.insert(message.clone()) {
                    complain(&message);
                }
            }
            let world = World { sources: &sources, reading, several };
            run.status = run.status.max(status).max(answer(&world)?);
        }
    }
    // To free a large cluster piece by piece takes time, and the process ends.
    std::mem::forget(last);
    Ok(run)
}

/// What is wrong with a text, each in its lines, and the status that it leads to.
fn complaints(sources: &Sources, reading: &Reading) -> (Vec<Vec<String>>, u8) {
    let Problems { expected, unexpected } = problems(reading);
    let mut status = 0;
    let mut messages = Vec::new();
    for found in expected.iter().filter_map(|(_, found)| *found) {
        let place = sources.place(found.span);
        messages.push(vec![format!("{place}: note: as expected: {}", found.message)]);
    }
    for problem in unexpected {
        let severity = match problem.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => {
                status = UNUSABLE;
                "error"
            }
        };
        let place = sources.place(problem.span);
        let mut message = vec![format!("{place}: {severity}: {}", problem.message)];
        if problem.severity == Severity::Error {
            message.extend(sources.caret(problem.span).into_iter().flatten());
        }
        messages.push(message);
    }
    (messages, status)
}

/// The flows that were asked for, if any were.
fn given(
    files: &[PathBuf],
    given: &[String],
    list: Option<&PathBuf>,
) -> Result<Option<Vec<Flow>>, Stop> {
    let mut flows = Vec::new();
    let mut errors = Vec::new();
    let mut add = |place: &str, text: &str| match text.parse() {
        Ok(flow) => flows.push(flow),
        Err(error) => errors.push(format!("{place}error: {error}")),
    };
    for flow in given {
        add("--flow: ", flow);
    }
    if let Some(list) = list {
        let stdin = |path: &PathBuf| path.as_os_str() == "-";
        if stdin(list) && files.iter().any(stdin) {
            let message = "error: FILE and --flows can't both be standard input";
            return Err(message.to_owned().into());
        }
        for (i, line) in sources::lines(list)?.iter().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                add(&format!("{}:{}:1: ", list.display(), i + 1), line);
            }
        }
    }
    if !errors.is_empty() {
        return Err(Stop::Input(errors));
    }
    Ok((!given.is_empty() || list.is_some()).then_some(flows))
}

fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && io::stdout().is_terminal()
}

/// Standard error is for people: where it is gone, nobody is there to tell.
fn complain(messages: &[String]) {
    let mut err = BufWriter::new(io::stderr().lock());
    for message in messages {
        let _ = writeln!(err, "{}", escape::line(message));
    }
}
