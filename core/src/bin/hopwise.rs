//! The command line: arguments in, text out. All answers come from the library.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use hopwise::analysis::{check, findings, matrix};
use hopwise::decision::evaluate;
use hopwise::escape;
use hopwise::report::text::Look;
use hopwise::report::{finding, grid, json, markdown, mermaid, svg, text};
use hopwise::{Flow, Reading, Severity, read, trace};

#[path = "hopwise/sources.rs"]
mod sources;

use sources::Sources;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where a Kubernetes packet goes, what rewrites it on the way, and which policy decides.
///
/// FILE is a scenario: Kubernetes and Calico objects as YAML, and one Scenario document for the
/// rest. `-` is standard input, a folder is its .yaml, .yml and .json files, and several files are
/// one stream.
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
    /// Trace every flow that has an `expect`, and fail if one differs
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
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
            let (_, reading, status) = open(&files)?;
            let flows = wanted(&files, &flow, flows.as_ref(), reading)?;
            let cluster = &reading.cluster;
            if matches!(format, PathFormat::Svg) {
                let traces: Vec<_> = flows.iter().map(|f| trace(cluster, f)).collect();
                out.write_all(svg::sheet(cluster, &traces).as_bytes())?;
                return Ok(status);
            }
            for (i, flow) in flows.iter().enumerate() {
                let trace = trace(cluster, flow);
                if i > 0 && !matches!(format, PathFormat::Json) {
                    writeln!(out)?;
                }
                match format {
                    PathFormat::Json => writeln!(out, "{}", json::trace_line(cluster, &trace))?,
                    PathFormat::Text | PathFormat::Svg => {
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
            Ok(status)
        }
        Command::Evaluate { files, flow, flows, format } => {
            let (_, reading, status) = open(&files)?;
            let cluster = &reading.cluster;
            for flow in &wanted(&files, &flow, flows.as_ref(), reading)? {
                let answer = evaluate(cluster, flow);
                let told = match format {
                    AnswerFormat::Json => json::evaluation_line(cluster, &answer) + "\n",
                    AnswerFormat::Text => {
                        text::evaluation(cluster, &answer, Look { colour: colour(), rules: false })
                    }
                };
                out.write_all(told.as_bytes())?;
            }
            Ok(status)
        }
        Command::Matrix { files, format, ports } => {
            let (_, reading, status) = open(&files)?;
            let matrix = matrix(&reading.cluster);
            match format {
                GridFormat::Text => write_all(out, grid::text(&matrix, ports))?,
                GridFormat::Json => writeln!(out, "{}", json::matrix_line(&matrix))?,
                GridFormat::Csv => write_all(out, grid::csv(&matrix, ports))?,
                GridFormat::Markdown => write_all(out, grid::markdown(&matrix, ports))?,
            }
            Ok(status)
        }
        Command::Findings { files, format, deny } => {
            let (sources, reading, status) = open(&files)?;
            let found = findings(&sources.text, &reading.cluster);
            for one in &found {
                match format {
                    AnswerFormat::Json => writeln!(out, "{}", finding::json_line(one))?,
                    AnswerFormat::Text => {
                        let place = one.cite.span.map(|span| sources.place(span));
                        out.write_all(finding::text(one, place.as_deref()).as_bytes())?;
                    }
                }
            }
            let bad = match deny {
                Some(Deny::Error) => Severity::Error,
                Some(Deny::Warning) => Severity::Warning,
                None => return Ok(status),
            };
            let denied = found.iter().any(|finding| finding.severity >= bad);
            Ok(if status == 0 && denied { DIFFERS } else { status })
        }
        Command::Check { files } => expectations(&files, out),
    }
}

/// Whether every flow with an `expect` meets it.
fn expectations(files: &[PathBuf], out: &mut impl Write) -> Result<u8, Stop> {
    let (sources, reading, status) = open(files)?;
    let checks = check(reading);
    if checks.is_empty() {
        let message = "error: nothing to check: no flow has an `expect`".to_owned();
        return Err(Stop::Input(vec![message]));
    }
    for check in &checks {
        let name = escape::line(&check.flow.name);
        if check.passed() {
            writeln!(out, "ok    {name}: {}", check.got())?;
        } else {
            let place = check.flow.span.map(|span| sources.place(span));
            let place = place.unwrap_or_default();
            let (expected, got) = (check.expected(), check.got());
            writeln!(out, "FAIL  {name}: expected {expected}, got {got}  ({place})")?;
        }
    }
    let failed = checks.iter().filter(|check| !check.passed()).count();
    if failed > 0 {
        writeln!(out, "{failed} of {} expectations failed", checks.len())?;
    }
    Ok(if status == 0 && failed > 0 { DIFFERS } else { status })
}

fn write_all(out: &mut impl Write, mut pieces: impl Iterator<Item = String>) -> io::Result<()> {
    pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))
}

/// Reads the files and says every problem; the status is 2 if one is an error. What could be read
/// is evaluated all the same, as the API server would keep it.
///
/// What was read lives as long as the process: to free a large cluster piece by piece takes time.
fn open(files: &[PathBuf]) -> Result<(Sources, &'static Reading, u8), Stop> {
    let sources = Sources::read(files).map_err(Stop::Input)?;
    let reading: &Reading = Box::leak(Box::new(read(&sources.text)));
    let mut messages = Vec::new();
    let mut status = 0;
    for problem in &reading.problems {
        let severity = match problem.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => {
                status = UNUSABLE;
                "error"
            }
        };
        let place = sources.place(problem.span);
        messages.push(format!("{place}: {severity}: {}", problem.message));
        if problem.severity == Severity::Error {
            messages.extend(sources.caret(problem.span).into_iter().flatten());
        }
    }
    complain(&messages);
    Ok((sources, reading, status))
}

/// The flows that were asked for, or else the scenario's own.
fn wanted(
    files: &[PathBuf],
    given: &[String],
    list: Option<&PathBuf>,
    reading: &Reading,
) -> Result<Vec<Flow>, Stop> {
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
    if given.is_empty() && list.is_none() {
        flows = reading.scenario.flows.iter().map(|flow| flow.flow.clone()).collect();
        if flows.is_empty() {
            let message = "error: no flow to trace: the scenario has none, and nothing in it \
                 proposes one; write --flow 'FROM -> TO'";
            return Err(message.to_owned().into());
        }
    }
    Ok(flows)
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
