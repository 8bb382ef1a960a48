//! What was measured, for a person and for a program.

use std::{fmt::Write as _, thread, time::Duration};

use serde::Serialize;

use super::{Case, pace::Pace};

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A signature by aws-lc-rs alone.
    Signature,
    /// A token that the minter signs anew.
    Token,
    /// A token that is signed anew, asked for over loopback HTTP.
    FreshOverHttp,
    /// A token that is given again, asked for over loopback HTTP.
    CachedOverHttp,
    /// The body of `createSession`, written for Convex.
    CodecIn,
    /// The value of `getSessionAndUser`, written for Auth.js.
    CodecOut,
}

/// One measurement's outcome.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was done.
    pub work: Work,
    /// How it was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<&'static str>,
    /// By how many threads at once; none over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Over how many connections at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// How often, by all together.
    pub per_second: f64,
    /// Processor time of one, in microseconds. None over HTTP: client and proxy share the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_micros: Option<f64>,
    /// From the request to the last byte of its answer, as the clients see it: all of them are one thread, and wait for it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// How often a tree of the same bytes was parsed and printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside_per_second: Option<f64>,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

/// All rows, and what they were measured on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: &'static str,
    processors: usize,
    seconds_each: f64,
    rows: Vec<Row>,
}

impl Work {
    /// The name in progress and table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature alone",
            Self::Token => "token, signed",
            Self::FreshOverHttp => "HTTP, token signed",
            Self::CachedOverHttp => "HTTP, token kept",
            Self::CodecIn => "codec, createSession in",
            Self::CodecOut => "codec, getSessionAndUser out",
        }
    }

    pub(super) fn is_over_http(self) -> bool {
        matches!(self, Self::FreshOverHttp | Self::CachedOverHttp)
    }
}

impl Row {
    pub(super) fn new(case: Case, pace: Pace) -> Self {
        let is_over_http = case.work.is_over_http();
        Self {
            work: case.work,
            algorithm: case.algorithm.map(super::Algorithm::name),
            threads: (!is_over_http).then_some(case.at_once),
            connections: is_over_http.then_some(case.at_once),
            per_second: pace.per_second,
            cpu_micros: pace.cpu_micros,
            latency: None,
            beside_per_second: None,
        }
    }
}

impl Latency {
    /// Of all answers; zero of none.
    pub(super) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |share: f64| {
            let rank = (took.len() as f64 * share).ceil() as usize;
            took.get(rank.max(1) - 1).or_else(|| took.last()).map_or(0.0, |took| took.as_micros() as f64 / 1e3)
        };
        Self { p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: at(1.0) }
    }
}

impl Report {
    pub(super) fn new(each: Duration, rows: Vec<Row>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            processors: thread::available_parallelism().map_or(1, usize::from),
            seconds_each: each.as_secs_f64(),
            rows,
        }
    }

    /// One JSON object, indented, with a line break at its end.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A table for a terminal.
    pub fn table(&self) -> String {
        let Self { version, processors, seconds_each, rows } = self;
        let plural = if *processors == 1 { "" } else { "s" };
        let mut text = format!(
            "convex-auth-proxy {version}, {processors} processor{plural}, {seconds_each} s each\n\n{:<30}{:<7}{:>9}{:>12}{:>9}\
             {:>9}{:>9}{:>9}{:>9}\n",
            "", "", "at once", "per second", "CPU us", "p50 ms", "p90", "p99", "p99.9"
        );
        for row in rows {
            let at_once = row.threads.or(row.connections).unwrap_or(1);
            let line = format!(
                "{:<30}{:<7}{at_once:>9}{:>12}{:>9}{}",
                row.work.as_str(),
                row.algorithm.unwrap_or_default(),
                grouped(row.per_second),
                row.cpu_micros.map(|micros| format!("{micros:.2}")).unwrap_or_default(),
                row.latency.map(|latency| latency.cells()).unwrap_or_default(),
            );
            let beside = row.beside_per_second.map(|beside| {
                format!("   {:.2} of the time that parsing and printing a tree takes", beside / row.per_second)
            });
            let _ = writeln!(text, "{}", (line + &beside.unwrap_or_default()).trim_end());
        }
        text.push_str("\nAt once: threads, or connections. Over HTTP all clients are one thread beside the proxy's: with many processors, or where a\ntoken costs little, it is the client that is full, and its times are waits for the client.\n");
        text
    }
}

impl Latency {
    fn cells(&self) -> String {
        let Self { p50_ms, p90_ms, p99_ms, p999_ms, max_ms: _ } = self;
        format!("{p50_ms:>9.3}{p90_ms:>9.3}{p99_ms:>9.3}{p999_ms:>9.3}")
    }
}

/// `1,234,567`.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, Report, Row, Work};

    fn report() -> Report {
        let row = Row {
            work: Work::Signature,
            algorithm: Some("RS256"),
            threads: Some(1),
            connections: None,
            per_second: 4_761.2,
            cpu_micros: Some(209.874),
            latency: None,
            beside_per_second: None,
        };
        let latency = Latency::of((1..=1_000).map(Duration::from_micros).collect());
        let http = Row {
            work: Work::CachedOverHttp,
            threads: None,
            connections: Some(16),
            per_second: 61_234.0,
            cpu_micros: None,
            latency: Some(latency),
            ..row
        };
        let codec = Row {
            work: Work::CodecOut,
            algorithm: None,
            per_second: 1_500_000.0,
            cpu_micros: Some(0.6667),
            beside_per_second: Some(500_000.0),
            ..row
        };
        Report { version: "1.2.3", processors: 2, seconds_each: 1.0, rows: vec![row, http, codec] }
    }

    #[test]
    fn a_person_reads_a_table() {
        insta::assert_snapshot!(report().table(), @r"
        convex-auth-proxy 1.2.3, 2 processors, 1 s each

                                               at once  per second   CPU us   p50 ms      p90      p99    p99.9
        signature alone               RS256          1       4,761   209.87
        HTTP, token kept              RS256         16      61,234             0.500    0.900    0.990    0.999
        codec, getSessionAndUser out                 1   1,500,000     0.67   0.33 of the time that parsing and printing a tree takes

        At once: threads, or connections. Over HTTP all clients are one thread beside the proxy's: with many processors, or where a
        token costs little, it is the client that is full, and its times are waits for the client.
        ");
    }

    #[test]
    fn a_program_reads_json() {
        insta::assert_snapshot!(report().json(), @r#"
        {
          "version": "1.2.3",
          "processors": 2,
          "secondsEach": 1.0,
          "rows": [
            {
              "work": "signature",
              "algorithm": "RS256",
              "threads": 1,
              "perSecond": 4761.2,
              "cpuMicros": 209.874
            },
            {
              "work": "cached-over-http",
              "algorithm": "RS256",
              "connections": 16,
              "perSecond": 61234.0,
              "latency": {
                "p50Ms": 0.5,
                "p90Ms": 0.9,
                "p99Ms": 0.99,
                "p999Ms": 0.999,
                "maxMs": 1.0
              }
            },
            {
              "work": "codec-out",
              "threads": 1,
              "perSecond": 1500000.0,
              "cpuMicros": 0.6667,
              "besidePerSecond": 500000.0
            }
          ]
        }
        "#);
    }

    #[test]
    fn percentiles_are_of_what_there_was() {
        let nothing = Latency::of(Vec::new());
        assert_eq!((nothing.p50_ms, nothing.max_ms), (0.0, 0.0));
        let one = Latency::of(vec![Duration::from_millis(3)]);
        assert_eq!((one.p50_ms, one.p999_ms, one.max_ms), (3.0, 3.0, 3.0));
        let many = Latency::of((1..=100).map(Duration::from_millis).collect());
        assert_eq!((many.p50_ms, many.p90_ms, many.p99_ms, many.max_ms), (50.0, 90.0, 99.0, 100.0));
    }
}
