//! Both sides of the model: what a client keeps to, and what a deployment enforces. Each asserts that the other does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// What one version is made of.
type State = (u32, u32, u64);

#[derive(Default)]
pub(super) struct Client {
    pub(super) seen: State,
    pub(super) query_set: u32,
    pub(super) identity: u32,
    /// Queries by number: whether they are the adapter's.
    pub(super) queries: BTreeMap<u32, bool>,
    /// What was last told of each.
    pub(super) results: BTreeMap<u32, String>,
    pub(super) next_query: u32,
    pub(super) next_request: u32,
    /// Calls without an answer: whether it must be a refusal, and whether it is an action.
    pub(super) open: BTreeMap<u32, (bool, bool)>,
    pub(super) pieces: Vec<String>,
    pub(super) outgoing: VecDeque<String>,
}

#[derive(Default)]
pub(super) struct Deployment {
    pub(super) query_set: u32,
    pub(super) identity: u32,
    pub(super) told: State,
    pub(super) now: u64,
    pub(super) queries: BTreeSet<u32>,
    pub(super) untold: Vec<Value>,
    pub(super) outgoing: VecDeque<String>,
    pub(super) refuses: bool,
    /// It has refused somebody and hears and says nothing more.
    pub(super) is_over: bool,
}

impl Client {
    /// As Convex's own client begins: who it is, all that it asks for, and the calls that are open.
    pub(super) fn connect(&mut self) {
        self.seen = (0, 0, 0);
        self.query_set = 0;
        self.pieces.clear();
        self.results.clear();
        self.outgoing.clear();
        self.identity = u32::from(self.identity > 0);
        self.say(&json!({
            "type": "Connect", "sessionId": "7f1e5a52-22d1-4bd1-8f0a-0123456789ab", "connectionCount": 0, "clientTs": 1,
        }));
        if self.identity > 0 {
            self.say(&json!({ "type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": "its-own" }));
        }
        let adds: Vec<Value> = self.queries.iter().map(|(query, is_refused)| add(*query, *is_refused)).collect();
        self.modify(&adds);
        for (request, (is_refused, is_action)) in self.open.clone() {
            self.say(&call(request, is_refused, is_action));
        }
    }

    pub(super) fn say(&mut self, message: &Value) {
        self.outgoing.push_back(message.to_string());
    }

    fn modify(&mut self, modifications: &[Value]) {
        self.say(&json!({
            "type": "ModifyQuerySet",
            "baseVersion": self.query_set,
            "newVersion": self.query_set + 1,
            "modifications": modifications,
        }));
        self.query_set += 1;
    }

    pub(super) fn add(&mut self, is_refused: bool) {
        let query = self.next_query;
        self.next_query += 1;
        self.queries.insert(query, is_refused);
        self.modify(&[add(query, is_refused)]);
    }

    pub(super) fn remove(&mut self, which: usize) {
        let Some((query, _)) = self.queries.iter().nth(which).map(|(query, is_refused)| (*query, *is_refused)) else {
            return;
        };
        self.queries.remove(&query);
        self.modify(&[json!({ "type": "Remove", "queryId": query })]);
    }

    pub(super) fn call(&mut self, is_refused: bool, is_action: bool) {
        let request = self.next_request;
        self.next_request += 1;
        self.open.insert(request, (is_refused, is_action));
        self.say(&call(request, is_refused, is_action));
    }

    pub(super) fn authenticate(&mut self, with_token: bool) {
        let base_version = self.identity;
        self.identity += 1;
        self.say(&if with_token {
            json!({ "type": "Authenticate", "baseVersion": base_version, "tokenType": "User", "value": "its-own" })
        } else {
            json!({ "type": "Authenticate", "baseVersion": base_version, "tokenType": "None" })
        });
    }

    pub(super) fn hear(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap();
        match message["type"].as_str().unwrap() {
            "Ping" => {}
            "TransitionChunk" => {
                assert_eq!(message["partNumber"], json!(self.pieces.len()), "pieces come in their order");
                self.pieces.push(message["chunk"].as_str().unwrap().to_owned());
                if json!(self.pieces.len()) == message["totalParts"] {
                    let whole: String = self.pieces.drain(..).collect();
                    self.transition(&serde_json::from_str(&whole).unwrap());
                }
            }
            kind => {
                assert!(self.pieces.is_empty(), "nothing stands between the pieces of a transition");
                match kind {
                    "Transition" => self.transition(&message),
                    "MutationResponse" | "ActionResponse" => self.response(kind, &message),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn transition(&mut self, message: &Value) {
        assert_eq!(state(&message["startVersion"]), self.seen, "a start that is not the previous end");
        let end = state(&message["endVersion"]);
        assert!(end >= self.seen && end.1 <= self.identity && end.0 <= self.query_set, "{end:?}");
        self.seen = end;
        for modification in message["modifications"].as_array().unwrap() {
            let query = u32::try_from(modification["queryId"].as_u64().unwrap()).unwrap();
            match modification["type"].as_str().unwrap() {
                "QueryRemoved" => drop(self.results.remove(&query)),
                kind => {
                    let before = self.results.insert(query, kind.to_owned());
                    assert!(kind != "QueryFailed" || before.is_none(), "a refusal is told once");
                }
            }
        }
    }

    fn response(&mut self, kind: &str, message: &Value) {
        let request = u32::try_from(message["requestId"].as_u64().unwrap()).unwrap();
        let (is_refused, is_action) = self.open.remove(&request).expect("a call is answered once");
        assert_eq!(message["success"], json!(!is_refused));
        assert_eq!(kind == "ActionResponse", is_action);
        assert!(message["logLines"].is_array());
    }
}

impl Deployment {
    pub(super) fn say(&mut self, message: &Value) {
        if !self.is_over {
            self.outgoing.push_back(message.to_string());
        }
    }

    pub(super) fn hear(&mut self, text: &str) {
        if self.is_over {
            return;
        }
        let message: Value = serde_json::from_str(text).unwrap();
        match message["type"].as_str().unwrap() {
            "Connect" => assert_eq!((self.identity, self.query_set), (0, 0), "first"),
            "Authenticate" => {
                assert_eq!(message["baseVersion"], json!(self.identity), "in its turn");
                let is_the_proxys = message["tokenType"] == "User" && message["value"] != "its-own";
                if self.refuses && is_the_proxys {
                    self.say(&json!({
                        "type": "AuthError", "error": "no", "baseVersion": self.told.1, "authUpdateAttempted": true,
                    }));
                    self.is_over = true;
                }
                self.identity += 1;
            }
            "ModifyQuerySet" => {
                assert_eq!(message["baseVersion"], json!(self.query_set), "in its turn");
                self.query_set = u32::try_from(message["newVersion"].as_u64().unwrap()).unwrap();
                for modification in message["modifications"].as_array().unwrap() {
                    let query = u32::try_from(modification["queryId"].as_u64().unwrap()).unwrap();
                    if modification["type"] == "Add" {
                        assert_eq!(modification["udfPath"], "demo:list", "nothing refused comes here");
                        assert!(self.queries.insert(query));
                        self.untold.push(json!({
                            "type": "QueryUpdated", "queryId": query, "value": "x".repeat(300), "logLines": [], "journal": null,
                        }));
                    } else {
                        assert!(self.queries.remove(&query), "nothing refused is taken back here");
                        self.untold.push(json!({ "type": "QueryRemoved", "queryId": query }));
                    }
                }
            }
            kind @ ("Mutation" | "Action") => {
                assert_eq!(message["udfPath"], "demo:send", "nothing refused comes here");
                self.say(&json!({
                    "type": format!("{kind}Response"), "requestId": message["requestId"], "success": true,
                    "result": null, "ts": "AAAAAAAAAAA=", "logLines": [],
                }));
            }
            other => panic!("{other}"),
        }
    }

    pub(super) fn tell(&mut self, pieces: usize, is_sorted: bool) {
        if self.is_over {
            return;
        }
        self.now += 1;
        let (start, end) = (self.told, (self.query_set, self.identity, self.now));
        self.told = end;
        let modifications = std::mem::take(&mut self.untold);
        let text = if is_sorted {
            json!({
                "clientClockSkew": null, "endVersion": version(end), "modifications": modifications, "serverTs": 1,
                "startVersion": version(start), "type": "Transition",
            })
        } else {
            json!({
                "type": "Transition", "startVersion": version(start), "endVersion": version(end),
                "modifications": modifications, "clientClockSkew": null, "serverTs": 1,
            })
        }
        .to_string();
        if pieces == 1 {
            self.outgoing.push_back(text);
            return;
        }
        let length = text.len().div_ceil(pieces);
        let parts: Vec<&[u8]> = text.as_bytes().chunks(length).collect();
        for (number, part) in parts.iter().enumerate() {
            let chunk = std::str::from_utf8(part).unwrap();
            let message = json!({
                "type": "TransitionChunk", "chunk": chunk, "partNumber": number, "totalParts": parts.len(),
                "transitionId": "t",
            });
            self.outgoing.push_back(message.to_string());
        }
    }
}

fn add(query: u32, is_refused: bool) -> Value {
    let path = if is_refused { "authAdapter:getUser" } else { "demo:list" };
    json!({ "type": "Add", "queryId": query, "udfPath": path, "args": [{}] })
}

fn call(request: u32, is_refused: bool, is_action: bool) -> Value {
    let kind = if is_action { "Action" } else { "Mutation" };
    let path = if is_refused { "authAdapter.js/.:deleteUser" } else { "demo:send" };
    json!({ "type": kind, "requestId": request, "udfPath": path, "args": [{}] })
}

fn version((query_set, identity, now): State) -> Value {
    json!({ "querySet": query_set, "identity": identity, "ts": STANDARD.encode(now.to_le_bytes()) })
}

fn state(version: &Value) -> State {
    let number = |name: &str| u32::try_from(version[name].as_u64().unwrap()).unwrap();
    let now = STANDARD.decode(version["ts"].as_str().unwrap()).unwrap();
    (number("querySet"), number("identity"), u64::from_le_bytes(now.try_into().unwrap()))
}
