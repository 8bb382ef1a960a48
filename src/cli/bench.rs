//! `bench`: what this machine can do, as a table or as JSON.

use std::{process::ExitCode, thread, time::Duration};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{algorithm, complain, print};
use crate::{
    bench::{Plan, Work},
    keys::Algorithm,
};

#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// RS256, EdDSA or ES256; may be given more than once. All three when left out.
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    alg: Vec<Algorithm>,
    /// What to measure; may be given more than once. Everything when left out.
    #[arg(long, value_name = "WORK")]
    only: Vec<Group>,
    /// How many threads, for what needs no network; may be given more than once. One, and one for each processor, when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Vec<u16>,
    /// How many connections at once, for HTTP.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    connections: u16,
    /// How long each measurement takes, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// JSON instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Signatures by aws-lc-rs alone.
    Signatures,
    /// Tokens from the minter.
    Tokens,
    /// Tokens over loopback HTTP, signed and kept.
    Http,
    /// The adapter's codec beside a tree of values.
    Codec,
}

impl Group {
    fn works(self) -> &'static [Work] {
        match self {
            Self::Signatures => &[Work::Signature],
            Self::Tokens => &[Work::Token],
            Self::Http => &[Work::FreshOverHttp, Work::CachedOverHttp],
            Self::Codec => &[Work::CodecIn, Work::CodecOut],
        }
    }
}

pub(super) fn run(arguments: &BenchArguments) -> ExitCode {
    // For libraries that take the process's provider; our own TLS names it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Client, proxy and deployment are one process: several descriptors for each connection.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let plan = plan(arguments);
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::new(u64::try_from(plan.len()).unwrap_or(u64::MAX)).with_style(style());
    let mut is_first = true;
    let report = plan.run(|what| {
        if !std::mem::take(&mut is_first) {
            bar.inc(1);
        }
        bar.set_message(what.to_owned());
        bar.tick();
    });
    bar.finish_and_clear();
    match report {
        Ok(report) => print(&if arguments.json { report.json() } else { report.table() }),
        Err(problem) => complain(&problem),
    }
}

fn plan(arguments: &BenchArguments) -> Plan {
    let BenchArguments { alg, only, threads, connections, seconds, json: _ } = arguments;
    let all = [Group::Signatures, Group::Tokens, Group::Http, Group::Codec];
    let groups = all.into_iter().filter(|group| only.is_empty() || only.contains(group));
    let algorithms = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
    Plan {
        works: groups.flat_map(Group::works).copied().collect(),
        algorithms: algorithms.into_iter().filter(|algorithm| alg.is_empty() || alg.contains(algorithm)).collect(),
        threads: if threads.is_empty() { usual_threads() } else { threads.iter().copied().map(usize::from).collect() },
        connections: usize::from(*connections),
        each: Duration::from_secs_f64(*seconds),
    }
}

fn usual_threads() -> Vec<usize> {
    match thread::available_parallelism().map_or(1, usize::from) {
        1 => vec![1],
        all => vec![1, all],
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=600.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds from 0.01 to 600".to_owned())
}
