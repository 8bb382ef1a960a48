//! What it costs to read a session from memory, to read it anew, to join another's read, and to make it untrue by a write.
//!
//! The bar: a read among 100,000 sessions costs at most 1.3 times one among 100.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use convex_auth_proxy::{
    classify::{Envelope, Lane, Listener},
    clock::{Now, UnixMillis},
    config::{Adapter, Cache, Nulls, OnPublic},
    permit::{Permitted, SecretHeld},
    secret::Secret,
    session::{
        CacheKey, Format, ReadResult, Reading, Scope, SessionAnswer, SessionCache, SessionKey, SessionKeys,
        SessionToken, Source,
    },
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BODY: &str = r#"{"status":"success","value":{"session":{"userId":"jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k","expires":4102444800000},"user":{"email":"ada@example.org","name":"Ada Lovelace"}}}"#;
/// Steps through all numbers below a size that has no factor in common with it, without an order that a processor would guess.
const STRIDE: usize = 7_919;

struct Kept {
    cache: Arc<SessionCache>,
    proof: SecretHeld,
    sessions: Vec<SessionKey>,
    fetched: AtomicUsize,
    now: Now,
}

impl Kept {
    /// So many sessions, each read once. A million takes a while where nothing is optimised, and is a thousand there.
    fn new(sessions: usize) -> Self {
        let sessions = if cfg!(debug_assertions) { sessions.min(1_000) } else { sessions };
        let settings = Cache { capacity: 2_000_000, ttl: Duration::from_secs(24 * 3_600) };
        let keys = SessionKeys::new(&Secret::new("secret"), "https://happy-otter-123.convex.cloud");
        let kept = Self {
            cache: Arc::new(SessionCache::new(&settings)),
            proof: proof(),
            sessions: (0..sessions)
                .map(|number| keys.key_of(&SessionToken::new(format!("session-{number}"))))
                .collect(),
            fetched: AtomicUsize::new(0),
            now: Now::read(),
        };
        for session in &kept.sessions {
            assert_eq!(kept.read(session), Source::Deployment, "the first read of each");
        }
        assert!(kept.sessions.iter().all(|session| kept.read(session) == Source::Memory));
        kept
    }

    fn read(&self, session: &SessionKey) -> Source {
        let key = CacheKey::new(self.proof, *session, Format::Encoded);
        let read = self.cache.read(key, self.now, || {
            self.fetched.fetch_add(1, Relaxed);
            std::future::ready(answer())
        });
        let (result, source) = read.now_or_never().expect("nothing to wait for");
        let _ = black_box(result);
        source
    }
}

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache/hit");
    for sessions in [100, 10_000, 100_000, 1_000_000] {
        let kept = Kept::new(sessions);
        for threads in [1, 2] {
            group.throughput(Throughput::Elements(threads));
            group.bench_function(BenchmarkId::new(format!("{threads} thread(s)"), sessions), |bencher| {
                bencher.iter_custom(|times| {
                    thread::scope(|scope| {
                        let begun = Instant::now();
                        for number in 0..threads {
                            let kept = &kept;
                            scope.spawn(move || read_many(kept, times, usize::try_from(number).unwrap_or_default()));
                        }
                        begun
                    })
                    .elapsed()
                });
            });
        }
    }
    group.finish();
}

fn read_many(kept: &Kept, times: u64, start: usize) {
    let mut place = start;
    for _ in 0..times {
        place = (place + STRIDE) % kept.sessions.len();
        black_box(kept.sessions.get(place).map(|session| kept.read(session)));
    }
}

fn miss(criterion: &mut Criterion) {
    let kept = Kept::new(1_000);
    // Another moment, past what is kept, each time: the deployment's part is nothing here.
    let (mut turn, later) = (0, Duration::from_secs(48 * 3_600));
    criterion.bench_function("cache/miss", |bencher| {
        bencher.iter(|| {
            turn = (turn + STRIDE) % kept.sessions.len();
            let session = kept.sessions.get(turn).expect("in bounds");
            let key = CacheKey::new(kept.proof, *session, Format::Encoded);
            let now = Now { wall: UnixMillis(kept.now.wall.0), steady: kept.now.steady + later };
            let read = kept.cache.read_anew(key, now, || std::future::ready(answer()));
            let (_, source) = read.now_or_never().expect("nothing to wait for");
            assert_eq!(source, Source::Deployment);
        });
    });
}

fn coalesced(criterion: &mut Criterion) {
    let kept = Kept::new(1);
    let session = *kept.sessions.first().expect("one");
    let key = || CacheKey::new(kept.proof, session, Format::Encoded);
    // One read is under way for as long as this lasts, and all others wait for it.
    let mut first = Box::pin(kept.cache.read_anew(key(), kept.now, std::future::pending::<ReadResult>));
    assert!(first.as_mut().now_or_never().is_none());
    criterion.bench_function("cache/coalesced", |bencher| {
        bencher.iter(|| {
            let joined = kept.cache.read_anew(key(), kept.now, || -> std::future::Ready<ReadResult> {
                panic!("a second read was begun");
            });
            assert!(black_box(joined.now_or_never()).is_none());
        });
    });
}

fn invalidation(criterion: &mut Criterion) {
    let kept = Kept::new(1);
    let session = *kept.sessions.first().expect("one");
    drop(kept.cache.begin_write(vec![Scope::Session(session)]));
    assert_eq!(kept.read(&session), Source::Deployment, "a write makes it untrue");
    let mut group = criterion.benchmark_group("cache/invalidation");
    for (name, scope) in [("session", Scope::Session(session)), ("user", Scope::User("jx7d2m4k8v1n5q9s".to_owned()))] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| drop(black_box(kept.cache.begin_write(vec![scope.clone()]))));
        });
    }
    group.finish();
}

fn answer() -> ReadResult {
    let json = HeaderValue::from_static("application/json");
    let answer = SessionAnswer::read(StatusCode::OK, &json, BODY.as_bytes(), false);
    assert!(matches!(answer.reading(), Reading::Row));
    Ok(Arc::new(answer))
}

/// Whoever reads must have shown the secret.
fn proof() -> SecretHeld {
    let policy = Adapter {
        module: "authAdapter".parse().expect("a module"),
        secret: Secret::new("secret"),
        on_public: OnPublic::RequireSecret,
        tokens: Vec::new(),
        nulls: Nulls::Drop,
    };
    let body = br#"{"path":"authAdapter:getSessionAndUser","args":[{"sessionToken":"t","secret":"secret"}]}"#;
    let Ok(Envelope::One(call)) = Envelope::read(Lane::Query, body) else { panic!("a call") };
    Permitted::decide(call, Listener::Public, &policy).expect("permitted").adapter().expect("the adapter's").proof
}

criterion_group! {
    name = benches;
    // There are many, and what takes a microsecond is done often enough in two seconds.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = hit, miss, coalesced, invalidation
}
criterion_main!(benches);
