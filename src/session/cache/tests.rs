use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use tokio::sync::oneshot;

use super::{CacheKey, Format, ReadResult, SessionCache, Source};
use crate::{
    clock::{Now, UnixMillis},
    config,
    error::Rejection,
    permit::SecretHeld,
    secret::Secret,
    session::{Reading, Scope, SessionAnswer, SessionKey, SessionKeys, SessionToken},
};

const ROW: &str = r#"{"status":"success","value":{"session":{"userId":"u","expires":5000},"user":{}}}"#;
const NOTHING: &str = r#"{"status":"success","value":null}"#;

struct World {
    cache: Arc<SessionCache>,
    reads: Arc<AtomicUsize>,
    start: Now,
}

fn world(ttl: Duration) -> World {
    let now = Now::read();
    World {
        cache: Arc::new(SessionCache::new(&config::Cache { capacity: 100, ttl })),
        reads: Arc::default(),
        start: Now { wall: UnixMillis(1_000), steady: now.steady },
    }
}

fn session_key() -> SessionKey {
    SessionKeys::new(&Secret::new("s"), "http://d").key_of(&SessionToken::new("t"))
}

fn answer(body: &'static str) -> ReadResult {
    let json = HeaderValue::from_static("application/json");
    Ok(Arc::new(SessionAnswer::read(StatusCode::OK, &json, body.as_bytes(), false)))
}

impl World {
    fn later(&self, millis: u64) -> Now {
        let wall = UnixMillis(self.start.wall.0 + i64::try_from(millis).expect("small"));
        Now { wall, steady: self.start.steady + Duration::from_millis(millis) }
    }

    async fn read(&self, now: Now, result: ReadResult) -> (ReadResult, Source) {
        let reads = Arc::clone(&self.reads);
        self.cache
            .read(CacheKey::new(SecretHeld::by_the_proxy(), session_key(), Format::Encoded), now, move || async move {
                reads.fetch_add(1, SeqCst);
                result
            })
            .await
    }

    /// Begins a read whose answer is given through the returned sender.
    fn held_read(&self) -> (oneshot::Sender<ReadResult>, tokio::task::JoinHandle<(ReadResult, Source)>) {
        let (sender, receiver) = oneshot::channel();
        let (cache, reads, now) = (Arc::clone(&self.cache), Arc::clone(&self.reads), self.start);
        let task = tokio::spawn(async move {
            cache
                .read(
                    CacheKey::new(SecretHeld::by_the_proxy(), session_key(), Format::Encoded),
                    now,
                    move || async move {
                        reads.fetch_add(1, SeqCst);
                        receiver.await.unwrap_or(Err(Rejection::UpstreamUnreachable))
                    },
                )
                .await
        });
        (sender, task)
    }

    async fn wait_for_reads(&self, count: usize) {
        while self.reads.load(SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_row_is_kept_for_its_time_and_no_longer() {
    let world = world(Duration::from_secs(2));
    assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment);
    assert_eq!(world.read(world.later(1_999), answer(ROW)).await.1, Source::Memory);
    assert_eq!(world.read(world.later(2_000), answer(ROW)).await.1, Source::Deployment);
}

#[tokio::test]
async fn l7_nothing_is_given_past_the_sessions_end() {
    let world = world(Duration::from_secs(60));
    world.read(world.start, answer(ROW)).await.0.expect("a row");
    assert_eq!(world.read(world.later(3_999), answer(ROW)).await.1, Source::Memory);
    assert_eq!(world.read(world.later(4_000), answer(NOTHING)).await.1, Source::Deployment);
}

#[tokio::test]
async fn nulls_and_errors_are_never_kept() {
    let world = world(Duration::from_secs(60));
    for result in [answer(NOTHING), Err(Rejection::UpstreamTimeout), answer(r#"{"status":"error","errorMessage":"x"}"#)]
    {
        assert_eq!(world.read(world.start, result).await.1, Source::Deployment);
    }
    assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment);
}

#[tokio::test]
async fn l6_another_format_is_another_entry() {
    let world = world(Duration::from_secs(60));
    world.read(world.start, answer(ROW)).await.0.expect("a row");
    let other = CacheKey::new(SecretHeld::by_the_proxy(), session_key(), Format::Clean);
    assert_eq!(world.cache.read(other, world.start, || async { answer(ROW) }).await.1, Source::Deployment);
}

#[tokio::test]
async fn a_write_takes_the_entry_away_before_it_is_answered() {
    for scope in [Scope::Session(session_key()), Scope::User("u".to_owned()), Scope::Everything] {
        let world = world(Duration::from_secs(60));
        world.read(world.start, answer(ROW)).await.0.expect("a row");
        let write = world.cache.begin_write(vec![scope]);
        assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment, "during the write");
        assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment, "reads during it are not kept");
        drop(write);
        assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment, "after it");
        assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Memory);
    }
}

#[tokio::test]
async fn a_read_that_straddles_a_write_is_answered_and_not_kept() {
    let world = world(Duration::from_secs(60));
    let (give, task) = world.held_read();
    world.wait_for_reads(1).await;
    drop(world.cache.begin_write(vec![Scope::User("u".to_owned())]));
    give.send(answer(ROW)).expect("waiting");
    assert_eq!(task.await.expect("a task").1, Source::Deployment);
    assert_eq!(world.read(world.start, answer(ROW)).await.1, Source::Deployment);
}

#[tokio::test]
async fn identical_reads_make_one_call_and_survive_the_first_callers_leaving() {
    let world = world(Duration::from_secs(60));
    let (give, first) = world.held_read();
    world.wait_for_reads(1).await;
    let (_unused, second) = world.held_read();
    while world.cache.reads.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // The second is polled once before the first goes.
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    give.send(answer(ROW)).expect("still waited for");
    let (result, source) = second.await.expect("a task");
    assert!(result.is_ok());
    assert_eq!(source, Source::Joined);
    assert_eq!(world.reads.load(SeqCst), 1);
    assert!(world.cache.reads.lock().is_empty());
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_is_dropped() {
    let world = world(Duration::from_secs(60));
    let (give, task) = world.held_read();
    world.wait_for_reads(1).await;
    task.abort();
    assert!(task.await.is_err());
    assert!(give.is_closed());
    assert!(world.cache.reads.lock().is_empty());
}

#[tokio::test]
async fn a_reader_after_a_write_does_not_get_the_answer_from_before_it() {
    let world = world(Duration::ZERO);
    let (give, before) = world.held_read();
    world.wait_for_reads(1).await;
    drop(world.cache.begin_write(vec![Scope::Session(session_key())]));
    let (result, source) = world.read(world.start, answer(NOTHING)).await;
    assert_eq!(source, Source::Deployment);
    assert!(matches!(result.expect("an answer").reading(), Reading::Absent));
    give.send(answer(ROW)).expect("waiting");
    before.await.expect("a task").0.expect("the old row, for the one who asked before");
}
