//! Queries that were refused: the client is told in the first transition that knows of their query set, as the deployment would tell it.
//!
//! The deployment never hears of such a query. Its number lives here until the client takes it back.

use super::close::CloseCause;
use crate::error::Rejection;

/// The refused queries of one client. Takes no memory while there are none.
#[derive(Debug, Default)]
pub struct RefusedQueries {
    /// Numbers of those that the client has not taken back.
    live: Vec<u32>,
    /// What the client is to be told, in the order of the query sets' versions.
    untold: Vec<Untold>,
}

#[derive(Debug)]
struct Untold {
    query_set: u32,
    query_id: u32,
    /// Why it failed; nothing when it was taken back.
    refusal: Option<Rejection>,
}

/// Refused queries at most that a client may keep (our choice: an app asks for a handful).
const LIVE_AT_MOST: usize = 1_024;

impl RefusedQueries {
    /// Notes that a query of that version of the query set was refused.
    ///
    /// # Errors
    ///
    /// - [`CloseCause::BadVersion`]: a query of that number lives already.
    /// - [`CloseCause::TooLarge`]: more than 1,024 live.
    pub fn add(&mut self, query_set: u32, query_id: u32, refusal: Rejection) -> Result<(), CloseCause> {
        if self.live.contains(&query_id) {
            return Err(CloseCause::BadVersion);
        }
        if self.live.len() == LIVE_AT_MOST || self.untold.len() >= 2 * LIVE_AT_MOST {
            return Err(CloseCause::TooLarge);
        }
        self.live.push(query_id);
        self.untold.push(Untold { query_set, query_id, refusal: Some(refusal) });
        Ok(())
    }

    /// Takes a query back. `false` when it was none of the refused.
    pub fn remove(&mut self, query_set: u32, query_id: u32) -> bool {
        let Some(place) = self.live.iter().position(|live| *live == query_id) else { return false };
        self.live.swap_remove(place);
        // One that was not told of yet is told of once, as what it is now.
        self.untold.retain(|untold| untold.query_id != query_id);
        self.untold.push(Untold { query_set, query_id, refusal: None });
        true
    }

    /// Whether a query of that number was refused and lives.
    pub fn contains(&self, query_id: u32) -> bool {
        self.live.contains(&query_id)
    }

    /// Whether a transition to that query set has something to tell.
    pub fn has_news(&self, query_set: u32) -> bool {
        self.untold.iter().any(|untold| untold.query_set <= query_set)
    }

    /// What a transition to that query set is to tell, as members of `modifications` with a comma behind each but the last. Told once.
    pub fn tell(&mut self, query_set: u32) -> Vec<u8> {
        let mut text = Vec::new();
        self.untold.retain(|untold| {
            if untold.query_set > query_set {
                return true;
            }
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(untold.modification().as_bytes());
            false
        });
        if self.untold.is_empty() && self.live.is_empty() {
            *self = Self::default();
        }
        text
    }
}

impl Untold {
    fn modification(&self) -> String {
        let Self { query_set: _, query_id, refusal } = self;
        match refusal {
            Some(refusal) => serde_json::json!({
                "type": "QueryFailed",
                "queryId": query_id,
                "errorMessage": sentence(*refusal),
                "logLines": [],
                "journal": null,
            }),
            None => serde_json::json!({ "type": "QueryRemoved", "queryId": query_id }),
        }
        .to_string()
    }
}

/// How a refusal is told: its code, for programs, and its sentence. No `errorData` beside it: that would make it an error of the app's, and
/// the Rust client would keep a mutation waiting that fails with one.
pub fn sentence(refusal: Rejection) -> String {
    format!("{}: {refusal}", refusal.code())
}

#[cfg(test)]
mod tests {
    use super::{CloseCause, RefusedQueries, Rejection};

    fn told(refused: &mut RefusedQueries, query_set: u32) -> String {
        String::from_utf8(refused.tell(query_set)).expect("text")
    }

    #[test]
    fn rule_17_a_refused_query_is_told_of_in_the_first_transition_that_knows_it() {
        let mut refused = RefusedQueries::default();
        refused.add(2, 7, Rejection::BadFunctionPath).expect("room");
        assert!(!refused.has_news(1) && refused.has_news(2));
        assert_eq!(told(&mut refused, 1), "");
        insta::assert_snapshot!(told(&mut refused, 3), @r#"{"type":"QueryFailed","queryId":7,"errorMessage":"InvalidFunctionPath: The function path is not valid: `module:function` is expected.","logLines":[],"journal":null}"#);
        assert_eq!(told(&mut refused, 4), "", "once");
        assert!(refused.contains(7));
        assert!(refused.remove(5, 7));
        assert!(!refused.remove(6, 7));
        assert_eq!(told(&mut refused, 5), r#"{"type":"QueryRemoved","queryId":7}"#);
    }

    #[test]
    fn one_that_is_taken_back_before_it_was_told_of_is_told_of_once() {
        let mut refused = RefusedQueries::default();
        refused.add(1, 7, Rejection::BadFunctionPath).expect("room");
        refused.remove(2, 7);
        assert_eq!(told(&mut refused, 1), "");
        assert_eq!(told(&mut refused, 2), r#"{"type":"QueryRemoved","queryId":7}"#);
    }

    #[test]
    fn a_number_lives_once_and_there_is_an_end_to_them() {
        let mut refused = RefusedQueries::default();
        refused.add(1, 7, Rejection::BadFunctionPath).expect("room");
        assert_eq!(refused.add(2, 7, Rejection::BadFunctionPath), Err(CloseCause::BadVersion));
        let all: Result<Vec<()>, CloseCause> =
            (100..2_000).map(|query_id| refused.add(2, query_id, Rejection::BadFunctionPath)).collect();
        assert_eq!(all, Err(CloseCause::TooLarge));
    }
}
