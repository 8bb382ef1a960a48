//! What an operator sees: metrics and logs. Both name routes, reasons and functions, and never a value that a caller sent.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::RwLock;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// The counters of one proxy, apart from those of any other in this process.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// By listener, route and outcome; the usual ones come first. One that is there twice counts the same.
    requests: RwLock<Vec<([&'static str; 3], Counter)>>,
    session_reads: [Counter; 3],
    tokens: [Counter; 2],
    signing_seconds: Histogram,
    upstream_seconds: Histogram,
    sockets: Arc<AtomicUsize>,
}

/// One open connection, counted until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

/// One open sync socket, counted until it is dropped.
#[derive(Debug)]
pub struct OpenSocket {
    _gauge: OpenConnection,
    count: Arc<AtomicUsize>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Fresh counters, all zero.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_S)
            .map(PrometheusBuilder::build_recorder)
            .unwrap_or_else(|_| PrometheusBuilder::new().build_recorder());
        describe(&recorder);
        let handle = recorder.handle();
        let counter = |name: &'static str, label: &'static str, value: &'static str| {
            recorder.register_counter(&key(name, &[(label, value)]), &METADATA)
        };
        let session_reads = ["hit", "coalesced", "miss"].map(|result| counter(SESSION_READS, "result", result));
        let tokens = ["signed", "reused"].map(|outcome| counter(TOKENS, "outcome", outcome));
        let signing_seconds = recorder.register_histogram(&key(SIGNING_SECONDS, &[]), &METADATA);
        let upstream_seconds = recorder.register_histogram(&key(UPSTREAM_SECONDS, &[]), &METADATA);
        Self {
            handle,
            requests: RwLock::default(),
            session_reads,
            tokens,
            signing_seconds,
            upstream_seconds,
            sockets: Arc::default(),
            recorder,
        }
    }

    /// Counts a request that was answered.
    pub fn request(&self, listener: &'static str, route: &'static str, outcome: &'static str) {
        let labels = [listener, route, outcome];
        // Looking a counter up by its labels costs as much as deciding on a small request.
        if let Some((_, counter)) = self.requests.read().iter().find(|(known, _)| *known == labels) {
            return counter.increment(1);
        }
        let named = [("listener", listener), ("route", route), ("outcome", outcome)];
        let counter = self.recorder.register_counter(&key(REQUESTS, &named), &METADATA);
        counter.increment(1);
        self.requests.write().push((labels, counter));
    }

    /// Counts a refusal or a failure by its code.
    pub fn refusal(&self, reason: &'static str) {
        self.recorder.register_counter(&key(REFUSALS, &[("reason", reason)]), &METADATA).increment(1);
    }

    /// Counts a connection for which there was no place.
    pub fn connection_refused(&self, listener: &'static str) {
        self.recorder.register_counter(&key(CONNECTIONS_REFUSED, &[("listener", listener)]), &METADATA).increment(1);
    }

    /// Counts an open connection.
    pub fn connection_opened(&self, listener: &'static str) -> OpenConnection {
        let gauge = self.recorder.register_gauge(&key(CONNECTIONS, &[("listener", listener)]), &METADATA);
        gauge.increment(1.0);
        OpenConnection(gauge)
    }

    /// Counts a session read that was answered from memory.
    pub fn session_hit(&self) {
        let [hit, _, _] = &self.session_reads;
        hit.increment(1);
    }

    /// Counts a session read that waited for another.
    pub fn session_coalesced(&self) {
        let [_, coalesced, _] = &self.session_reads;
        coalesced.increment(1);
    }

    /// Counts a session read that went to the deployment.
    pub fn session_miss(&self) {
        let [_, _, miss] = &self.session_reads;
        miss.increment(1);
    }

    /// Counts a token that was signed, and how long that took.
    pub fn token_signed(&self, took: Duration) {
        let [signed, _] = &self.tokens;
        signed.increment(1);
        self.signing_seconds.record(took.as_secs_f64());
    }

    /// Counts a token that was given again.
    pub fn token_reused(&self) {
        let [_, reused] = &self.tokens;
        reused.increment(1);
    }

    /// Counts an open sync socket.
    pub fn socket_opened(&self, by_cookie: bool) -> OpenSocket {
        let identity = if by_cookie { "cookie" } else { "none" };
        self.recorder.register_counter(&key(SOCKETS_OPENED, &[("identity", identity)]), &METADATA).increment(1);
        let gauge = self.recorder.register_gauge(&key(SOCKETS, &[]), &METADATA);
        gauge.increment(1.0);
        self.sockets.fetch_add(1, Relaxed);
        OpenSocket { _gauge: OpenConnection(gauge), count: Arc::clone(&self.sockets) }
    }

    /// How many sync sockets are open.
    pub fn sockets(&self) -> usize {
        self.sockets.load(Relaxed)
    }

    /// Counts a sync socket that has ended, by who ended it, or by why the proxy did.
    pub fn socket_ended(&self, end: &'static str) {
        self.recorder.register_counter(&key(SOCKETS_ENDED, &[("end", end)]), &METADATA).increment(1);
    }

    /// Counts what happened to the identity of an open socket.
    pub fn socket_identity(&self, event: &'static str) {
        self.recorder.register_counter(&key(SOCKET_IDENTITIES, &[("event", event)]), &METADATA).increment(1);
    }

    /// Records how long the deployment took to the head of its answer.
    pub fn upstream(&self, took: Duration) {
        self.upstream_seconds.record(took.as_secs_f64());
    }

    /// Sets how many sessions are kept, and whether the deployment answers.
    pub fn observe(&self, sessions_kept: u64, deployment_answers: bool) {
        self.recorder.register_gauge(&key(SESSIONS_KEPT, &[]), &METADATA).set(sessions_kept as f64);
        let up = if deployment_answers { 1.0 } else { 0.0 };
        self.recorder.register_gauge(&key(DEPLOYMENT_UP, &[]), &METADATA).set(up);
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded samples into their buckets; to be called every few seconds, else they pile up.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }
}

const REQUESTS: &str = "convex_auth_proxy_requests_total";
const REFUSALS: &str = "convex_auth_proxy_refusals_total";
const CONNECTIONS: &str = "convex_auth_proxy_connections";
const CONNECTIONS_REFUSED: &str = "convex_auth_proxy_connections_refused_total";
const SOCKETS: &str = "convex_auth_proxy_sync_sockets";
const SOCKETS_OPENED: &str = "convex_auth_proxy_sync_sockets_opened_total";
const SOCKETS_ENDED: &str = "convex_auth_proxy_sync_sockets_ended_total";
const SOCKET_IDENTITIES: &str = "convex_auth_proxy_sync_identities_total";
const SESSION_READS: &str = "convex_auth_proxy_session_reads_total";
const SESSIONS_KEPT: &str = "convex_auth_proxy_sessions_kept";
const TOKENS: &str = "convex_auth_proxy_tokens_total";
const SIGNING_SECONDS: &str = "convex_auth_proxy_signing_seconds";
const UPSTREAM_SECONDS: &str = "convex_auth_proxy_upstream_seconds";
const DEPLOYMENT_UP: &str = "convex_auth_proxy_deployment_up";

/// From a signature of Ed25519 to an action that takes minutes.
const BUCKETS_S: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 100.0];

static METADATA: Metadata<'static> = Metadata::new("convex_auth_proxy", Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(name, labels)
}

fn describe(recorder: &PrometheusRecorder) {
    let text = SharedString::const_str;
    for (name, help) in [
        (REQUESTS, "Requests by listener, route and outcome."),
        (REFUSALS, "Requests that were not served, by reason: the code in the answer."),
        (CONNECTIONS_REFUSED, "Connections turned away for want of a place."),
        (
            SESSION_READS,
            "Session reads: from memory (hit), joined to one under way (coalesced), from the deployment (miss).",
        ),
        (TOKENS, "Tokens given, by whether they were signed or reused."),
        (SOCKETS_OPENED, "Sync sockets opened, by whether the client's cookie says who it is."),
        (SOCKETS_ENDED, "Sync sockets that ended, by who ended them or by why the proxy did."),
        (
            SOCKET_IDENTITIES,
            "Identities of open sync sockets: shown again (renewed), ended with their session (ended), not readable in time \
             (unknown), not taken by the deployment (refused), perhaps not (unconfirmed), ended there (lost).",
        ),
    ] {
        recorder.describe_counter(name.into(), None, text(help));
    }
    recorder.describe_gauge(CONNECTIONS.into(), None, text("Open connections."));
    recorder.describe_gauge(SOCKETS.into(), None, text("Open sync sockets."));
    recorder.describe_gauge(SESSIONS_KEPT.into(), None, text("Sessions in memory, about."));
    recorder.describe_gauge(
        DEPLOYMENT_UP.into(),
        None,
        text("Whether the deployment answered when it was last asked."),
    );
    recorder.describe_histogram(SIGNING_SECONDS.into(), Some(Unit::Seconds), text("Time to sign one token."));
    recorder.describe_histogram(
        UPSTREAM_SECONDS.into(),
        Some(Unit::Seconds),
        text("Time to the head of the deployment's answer."),
    );
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// A subscriber that writes log lines to `writer` by `log.*`. What speaks through the `log` crate (Pingora) is not heard.
pub fn subscriber<Writer>(log: &Log, writer: Writer) -> Arc<dyn tracing::Subscriber + Send + Sync>
where
    Writer: for<'line> tracing_subscriber::fmt::MakeWriter<'line> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match log.format {
        LogFormat::Json => {
            Arc::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
        LogFormat::Text => Arc::new(lines.finish()),
    }
}

/// Begins to log to standard error. A second call in one process changes nothing.
pub fn log_to_standard_error(log: &Log) {
    let _ = tracing::subscriber::set_global_default(subscriber(log, io::stderr));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Metrics;

    #[test]
    fn the_text_for_prometheus_has_every_kind() {
        let metrics = Metrics::new();
        metrics.request("public", "query", "answered");
        metrics.refusal("AdapterForbidden");
        metrics.session_hit();
        metrics.token_signed(Duration::from_micros(200));
        metrics.upstream(Duration::from_millis(3));
        metrics.observe(2, true);
        drop(metrics.connection_opened("public"));
        metrics.fold();
        let text = metrics.render();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty() && !line.contains("_bucket"))
            .collect();
        let mut kept = kept;
        kept.sort_unstable();
        insta::assert_snapshot!(kept.join("\n"), @r#"
        convex_auth_proxy_connections{listener="public"} 0
        convex_auth_proxy_deployment_up 1
        convex_auth_proxy_refusals_total{reason="AdapterForbidden"} 1
        convex_auth_proxy_requests_total{listener="public",route="query",outcome="answered"} 1
        convex_auth_proxy_session_reads_total{result="coalesced"} 0
        convex_auth_proxy_session_reads_total{result="hit"} 1
        convex_auth_proxy_session_reads_total{result="miss"} 0
        convex_auth_proxy_sessions_kept 2
        convex_auth_proxy_signing_seconds_count 1
        convex_auth_proxy_signing_seconds_sum 0.0002
        convex_auth_proxy_tokens_total{outcome="reused"} 0
        convex_auth_proxy_tokens_total{outcome="signed"} 1
        convex_auth_proxy_upstream_seconds_count 1
        convex_auth_proxy_upstream_seconds_sum 0.003
        "#);
    }
}
