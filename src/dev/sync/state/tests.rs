//! The rules about versions, one by one, without a socket.

use convex_sync_types::types::SerializedArgs;
use convex_sync_types::{Query, QueryId};

use super::*;
use crate::clock::UnixMillis;
use crate::dev::auth::identity_of;
use crate::dev::function::Thrown;

const SESSION: &str = "00000000-0000-0000-0000-000000000001";

fn at(milliseconds: i64) -> Now {
    Now { wall: UnixMillis(milliseconds), ..Now::read() }
}

fn time(nanoseconds: u64) -> Timestamp {
    Timestamp::try_from(nanoseconds).unwrap()
}

fn add(query_id: u32) -> QuerySetModification {
    QuerySetModification::Add(Query {
        query_id: QueryId::new(query_id),
        udf_path: "demo:list".parse().unwrap(),
        args: SerializedArgs::from_args(Vec::new()).unwrap(),
        journal: None,
        component_path: None,
    })
}

fn remove(query_id: u32) -> QuerySetModification {
    QuerySetModification::Remove { query_id: QueryId::new(query_id) }
}

fn value(text: &str) -> Answer {
    Answer::Value(RawValue::from_string(text.to_owned()).unwrap())
}

/// A state to which queries answer a fixed text; counts how often they ran.
struct Tried {
    state: SyncState,
    answer: String,
    runs: usize,
}

impl Tried {
    fn new() -> Self {
        Self { state: SyncState::new(), answer: "1".to_owned(), runs: 0 }
    }

    /// With these queries, answered at time 1.
    fn with(queries: &[u32]) -> Self {
        let mut tried = Self::new();
        tried.state.modify_query_set(0, 1, queries.iter().copied().map(add).collect()).unwrap();
        tried.step(1).unwrap();
        tried.runs = 0;
        tried
    }

    fn try_step(&mut self, timestamp: u64, now: Now) -> Result<Option<Transition>, Ending> {
        let (answer, runs) = (&self.answer, &mut self.runs);
        self.state.transition(time(timestamp), now, |_, _| {
            *runs += 1;
            value(answer)
        })
    }

    fn step(&mut self, timestamp: u64) -> Option<Transition> {
        self.try_step(timestamp, at(0)).unwrap()
    }

    /// What the next Transition says, and the version it ends at.
    fn said(&mut self, timestamp: u64) -> (Vec<String>, (u32, u32, u64)) {
        let Transition { end, modifications, .. } = self.step(timestamp).unwrap();
        let said = modifications.iter().map(|modification| format!("{modification:?}")).collect();
        (said, (end.query_set, end.identity, end.timestamp.into()))
    }
}

#[test]
fn a_transition_starts_where_the_last_one_ended() {
    let mut tried = Tried::new();
    let mut end = Version::START;
    for (step, timestamp) in [5, 5, 9].into_iter().enumerate() {
        let base = u32::try_from(step).unwrap();
        tried.state.modify_query_set(base, base + 1, vec![add(base)]).unwrap();
        let transition = tried.step(timestamp).unwrap();
        assert_eq!(transition.start, end);
        end = transition.end;
        assert_eq!(end, Version { query_set: base + 1, identity: 0, timestamp: time(timestamp) });
    }
}

#[test]
fn time_never_goes_back() {
    let mut tried = Tried::with(&[]);
    tried.state.answered();
    assert_eq!(tried.said(9).1, (1, 0, 9));
    tried.state.answered();
    assert_eq!(tried.said(8).1, (1, 0, 9));
}

#[test]
fn one_transition_takes_all_that_was_asked_for() {
    let mut tried = Tried::new();
    tried.state.modify_query_set(0, 1, vec![add(2)]).unwrap();
    tried.state.authenticate(0, None).unwrap();
    tried.state.modify_query_set(1, 7, vec![add(1)]).unwrap();
    tried.state.authenticate(1, None).unwrap();
    let (said, end) = tried.said(5);
    assert_eq!((said, end), (vec!["QueryUpdated(1)".into(), "QueryUpdated(2)".into()], (7, 2, 5)));
    assert_eq!(tried.runs, 2);
    assert!(!tried.state.is_due());
}

#[test]
fn another_base_of_the_query_set_is_fatal() {
    let mut tried = Tried::with(&[]);
    let Err(Ending::Fatal { error }) = tried.state.modify_query_set(0, 2, Vec::new()) else { panic!() };
    assert!(error.contains("BaseVersionMismatch"), "{error}");
}

#[test]
fn a_query_set_that_is_no_later_one_is_a_failure() {
    let mut tried = Tried::with(&[]);
    for new in [0, 1] {
        assert_eq!(tried.state.modify_query_set(1, new, Vec::new()), Err(Ending::Internal));
    }
    assert_eq!(tried.state.modify_query_set(1, u32::MAX, Vec::new()), Ok(()), "any later one is");
}

#[test]
fn another_base_of_the_identity_is_a_failure() {
    let mut tried = Tried::new();
    assert_eq!(tried.state.authenticate(1, None), Err(Ending::Internal));
    tried.state.authenticate(0, None).unwrap();
    assert_eq!(tried.state.authenticate(0, None), Err(Ending::Internal), "the last received one counts");
}

#[test]
fn queries_are_added_once_and_removed_when_there() {
    for modifications in [vec![add(1), add(1)], vec![remove(1)], vec![add(1), remove(1), remove(1)]] {
        let mut tried = Tried::new();
        tried.state.modify_query_set(0, 1, modifications).unwrap();
        assert_eq!(tried.try_step(1, at(0)).unwrap_err(), Ending::Internal);
    }
    let mut tried = Tried::with(&[1]);
    tried.state.modify_query_set(1, 2, vec![add(1)]).unwrap();
    assert_eq!(tried.try_step(1, at(0)).unwrap_err(), Ending::Internal);
}

#[test]
fn a_removed_query_is_told_and_not_run() {
    let mut tried = Tried::with(&[1, 2]);
    tried.state.modify_query_set(1, 2, vec![remove(1), add(3), remove(3)]).unwrap();
    assert_eq!(tried.said(1), (vec!["QueryRemoved(1)".into(), "QueryRemoved(3)".into()], (2, 0, 1)));
    assert_eq!(tried.runs, 0, "the other one is as current as it was");
}

#[test]
fn a_query_that_is_removed_and_added_again_is_told_anew() {
    let mut tried = Tried::with(&[1]);
    tried.state.modify_query_set(1, 2, vec![remove(1), add(1)]).unwrap();
    assert_eq!(tried.said(1).0, ["QueryUpdated(1)"]);
}

#[test]
fn another_identity_runs_all_queries_again() {
    let mut tried = Tried::with(&[1, 2]);
    tried.state.authenticate(0, None).unwrap();
    assert_eq!(tried.said(1), (Vec::new(), (1, 1, 1)), "but what comes out the same is not told");
    assert_eq!(tried.runs, 2);
}

#[test]
fn queries_see_the_identity_of_their_transition() {
    let mut state = SyncState::new();
    state.modify_query_set(0, 1, vec![add(1)]).unwrap();
    let asked_by = |state: &mut SyncState, timestamp| {
        let mut seen = None;
        state
            .transition(time(timestamp), at(0), |_, identity| {
                seen = identity.map(|identity| identity.display_name().to_owned());
                value("1")
            })
            .unwrap();
        seen
    };
    assert_eq!(asked_by(&mut state, 1), None);
    state.authenticate(0, Some(identity_of("ada", UnixMillis(9)))).unwrap();
    assert_eq!(asked_by(&mut state, 1).as_deref(), Some("ada"));
    state.authenticate(1, None).unwrap();
    assert_eq!(asked_by(&mut state, 1), None);
}

#[test]
fn data_that_changes_no_result_is_no_transition() {
    let mut tried = Tried::with(&[1]);
    tried.state.data_changed();
    assert!(tried.step(2).is_none());
    assert_eq!(tried.runs, 1);
    tried.answer = "2".to_owned();
    tried.state.data_changed();
    assert_eq!(tried.said(3), (vec!["QueryUpdated(1)".into()], (1, 0, 3)));
}

#[test]
fn data_is_nothing_to_a_socket_without_queries() {
    let mut tried = Tried::with(&[]);
    tried.state.data_changed();
    assert!(!tried.state.is_due());
}

#[test]
fn an_answer_is_followed_by_a_transition_though_it_says_nothing() {
    let mut tried = Tried::with(&[1]);
    tried.state.answered();
    tried.state.data_changed();
    assert_eq!(tried.said(1), (Vec::new(), (1, 0, 1)));
    assert_eq!(tried.runs, 0, "nothing was written");
}

#[test]
fn a_query_that_fails_alike_is_told_once() {
    let mut state = SyncState::new();
    state.modify_query_set(0, 1, vec![add(1)]).unwrap();
    let fail = |state: &mut SyncState, timestamp, id: &str| {
        let run = |_: &Call, _: Option<&Identity>| Answer::Failure(Thrown::MessageLength.into(), id.to_owned());
        state.transition(time(timestamp), at(0), run).unwrap()
    };
    let Some(Transition { modifications, .. }) = fail(&mut state, 1, "a") else { panic!() };
    let [Modification::Failed { error_message, .. }] = &modifications[..] else { panic!("{modifications:?}") };
    assert!(error_message.starts_with("[Request ID: a] Server Error\nUncaught Error: "), "{error_message}");
    state.data_changed();
    assert!(fail(&mut state, 2, "b").is_none(), "another request id is no other failure");
    state.data_changed();
    let text = serde_json::to_string(&Thrown::MessageLength.to_string()).unwrap();
    assert!(state.transition(time(3), at(0), |_, _| value(&text)).unwrap().is_some(), "a value is no failure");
}

#[test]
fn a_token_that_died_ends_the_socket_when_it_is_needed() {
    let expired = Ending::Authentication {
        error: "Convex token identity expired".to_owned(),
        base_version: 1,
        update_attempted: false,
    };
    let signed_in = || {
        let mut tried = Tried::new();
        tried.state.modify_query_set(0, 1, vec![add(1)]).unwrap();
        tried.state.authenticate(0, Some(identity_of("ada", UnixMillis(1_000)))).unwrap();
        tried.try_step(1, at(999)).unwrap();
        tried
    };
    let mut tried = signed_in();
    assert!(tried.state.caller(at(999)).unwrap().is_some());
    assert_eq!(tried.state.caller(at(1_000)).unwrap_err(), expired, "a call");
    tried.state.data_changed();
    assert!(tried.try_step(2, at(1_000)).unwrap().is_none(), "results that stay need nobody");
    tried.answer = "2".to_owned();
    tried.state.data_changed();
    assert_eq!(tried.try_step(3, at(1_000)).unwrap_err(), expired, "a push");
    let mut tried = signed_in();
    tried.state.modify_query_set(1, 2, Vec::new()).unwrap();
    assert_eq!(tried.try_step(1, at(1_000)).unwrap_err(), expired, "another query set");
}

#[test]
fn a_new_token_counts_from_when_it_was_received() {
    let mut tried = Tried::new();
    tried.state.authenticate(0, Some(identity_of("ada", UnixMillis(1_000)))).unwrap();
    tried.step(1).unwrap();
    tried.state.authenticate(1, Some(identity_of("ada", UnixMillis(2_000)))).unwrap();
    assert!(tried.state.caller(at(1_500)).unwrap().is_some(), "though no transition told of it");
    assert_eq!(tried.state.told_identity(), 1, "which is what failures name");
    assert!(tried.try_step(1, at(1_500)).unwrap().is_some());
}

#[test]
fn a_client_is_asked_its_clock_and_its_past() {
    let session = SESSION.parse().unwrap();
    let mut tried = Tried::new();
    assert!(tried.state.session().is_none());
    tried.state.connect(session, Some(1_500), Some(time(7)), time(7), at(1_000)).unwrap();
    assert_eq!(tried.state.session(), Some(session));
    tried.state.answered();
    assert_eq!(tried.step(7).unwrap().client_clock_skew, Some(500));
    let future = tried.state.connect(session, None, Some(time(8)), time(7), at(1_000));
    assert_eq!(future, Err(Ending::Internal), "it saw what never happened here");
}
