//! What this machine can do: signatures, tokens and answers by the second, and the codec beside a tree of values.
//!
//! ```text
//!  plan ─► raw      signatures by aws-lc-rs alone, the reference
//!          tokens   the minter around it
//!          http     a whole proxy on loopback, in front of an embedded deployment
//!          codec    the adapter's codec beside serde_json's `Value`
//!       ─► report   a table, or JSON
//! ```
//!
//! Not for: comparing with other programs; `benches/compare` does. The one invariant: nothing is timed before its result was checked.

mod codec;
mod http;
mod pace;
mod raw;
mod report;
mod samples;
mod tokens;

use std::time::Duration;

pub use self::{
    raw::RawKey,
    report::{Latency, Report, Row, Work},
    samples::Samples,
    tokens::{check_token, minter, session},
};
use crate::keys::{Algorithm, KeyProblem};

/// What is measured, and for how long each.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The kinds of work, in the order of the report.
    pub works: Vec<Work>,
    /// For whatever signs.
    pub algorithms: Vec<Algorithm>,
    /// Numbers of threads, for what needs no network.
    pub threads: Vec<usize>,
    /// Connections at once, for what does.
    pub connections: usize,
    /// The length of one measurement.
    pub each: Duration,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Case {
    work: Work,
    algorithm: Option<Algorithm>,
    /// Or connections.
    at_once: usize,
    each: Duration,
}

/// A measurement cannot be made, or its result was wrong.
#[derive(Debug, thiserror::Error)]
pub enum BenchProblem {
    /// A key cannot be made, or aws-lc does not take it.
    #[error(transparent)]
    Key(#[from] KeyProblem),
    /// The proxy on loopback cannot be started.
    #[error("the proxy to be measured cannot be started: {0}")]
    Start(String),
    /// A connection to it broke.
    #[error("a connection to the proxy that is measured broke: {0}")]
    Connection(String),
    /// What came out is not what must come out.
    #[error("{0} came out wrong, so nothing is reported")]
    Wrong(&'static str),
}

impl Plan {
    /// How many measurements there are.
    pub fn len(&self) -> usize {
        self.cases().count()
    }

    /// Whether there is nothing to measure.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Measures one thing after the other, for about `each` and a tenth of it to warm up. `begin` hears what comes next.
    ///
    /// Must be called outside of a runtime.
    ///
    /// # Errors
    ///
    /// [`BenchProblem`]: the first that comes up.
    pub fn run(&self, mut begin: impl FnMut(&str)) -> Result<Report, BenchProblem> {
        let mut rows = Vec::new();
        for case in self.cases() {
            begin(&case.name());
            rows.push(match case.work {
                Work::Signature => raw::measure(case)?,
                Work::Token => tokens::measure(case)?,
                Work::FreshOverHttp | Work::CachedOverHttp => http::measure(case)?,
                Work::CodecIn | Work::CodecOut => codec::measure(case)?,
            });
        }
        Ok(Report::new(self.each, rows))
    }

    fn cases(&self) -> impl Iterator<Item = Case> {
        self.works.iter().flat_map(move |work| {
            let algorithms: Vec<Option<Algorithm>> = match work {
                Work::CodecIn | Work::CodecOut => vec![None],
                Work::Signature | Work::Token | Work::FreshOverHttp | Work::CachedOverHttp => {
                    self.algorithms.iter().copied().map(Some).collect()
                }
            };
            let at_once = if work.is_over_http() { vec![self.connections] } else { self.threads.clone() };
            algorithms.into_iter().flat_map(move |algorithm| {
                at_once.clone().into_iter().map(move |at_once| Case {
                    work: *work,
                    algorithm,
                    at_once,
                    each: self.each,
                })
            })
        })
    }
}

impl Case {
    fn name(&self) -> String {
        let algorithm = self.algorithm.map(|algorithm| format!(" {algorithm}")).unwrap_or_default();
        format!("{}{algorithm}, {} at once", self.work.as_str(), self.at_once)
    }

    /// Codecs have none, and are not asked.
    fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Rs256)
    }
}
