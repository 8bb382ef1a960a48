//! The conversation against a model of both its sides: a client that keeps the rules of Convex's own, and a deployment that enforces its.
//!
//! Actions come in any order, and so do deliveries: each of the four ways holds messages back for as long as it likes. The laws are asserted
//! where they could be broken: a start version that is not the previous end, a call that is answered twice, a query that reaches the
//! deployment although it was refused, an `Authenticate` out of its turn.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Conversation, Extent, Heard, Outputs, Turn};
use crate::{
    classify::Listener,
    clock::UnixMillis,
    keys::{Algorithm, SigningKey},
    secret::Secret,
    session::{LiveSession, Profile, SessionKeys, SessionToken},
    sync::{
        close::CloseCause,
        inbox::{Inbox, Received},
        input::Input,
        laws::Judging,
        passage::{Arrived, Passage},
    },
    token::{Freshness, Minted, Minter, MinterSettings},
};

/// What may happen next.
#[derive(Debug, Clone)]
enum Action {
    /// The client asks for a query; the adapter's are refused.
    Add { is_refused: bool },
    /// The client takes the query back that it asked for so long ago.
    Remove { which: usize },
    /// The client calls a function; the adapter's are refused.
    Call { is_refused: bool, is_action: bool },
    /// The client says who it is.
    Authenticate { with_token: bool },
    /// The proxy has a further token for the cookie.
    Renew,
    /// The cookie's session has ended.
    Forget,
    /// The client's next message arrives at the proxy.
    ToProxy,
    /// The proxy's next message arrives at the deployment.
    ToDeployment,
    /// The deployment tells of its state: whole, or in so many pieces; with its members in one order or in another.
    Tell { pieces: usize, is_sorted: bool },
    /// The deployment says that it is there.
    Ping,
    /// The deployment's next message arrives at the proxy; long ones may arrive in two parts.
    FromDeployment { in_parts: bool },
    /// From now on the deployment refuses what the proxy says of the client.
    Refuse,
    /// All connections are lost; the client comes back with everything.
    Reconnect { with_cookie: bool },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => any::<bool>().prop_map(|is_refused| Action::Add { is_refused }),
        1 => (0..6_usize).prop_map(|which| Action::Remove { which }),
        2 => any::<(bool, bool)>().prop_map(|(is_refused, is_action)| Action::Call { is_refused, is_action }),
        1 => any::<bool>().prop_map(|with_token| Action::Authenticate { with_token }),
        1 => Just(Action::Renew),
        1 => Just(Action::Forget),
        6 => Just(Action::ToProxy),
        6 => Just(Action::ToDeployment),
        3 => (1..4_usize, any::<bool>()).prop_map(|(pieces, is_sorted)| Action::Tell { pieces, is_sorted }),
        1 => Just(Action::Ping),
        6 => any::<bool>().prop_map(|in_parts| Action::FromDeployment { in_parts }),
        1 => Just(Action::Refuse),
        1 => any::<bool>().prop_map(|with_cookie| Action::Reconnect { with_cookie }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn rules_14_to_20_a_client_never_sees_a_version_that_does_not_follow(
        with_cookie in any::<bool>(),
        actions in prop::collection::vec(action(), 0..120),
    ) {
        let mut world = World::new(with_cookie);
        for action in actions {
            world.act(&action);
        }
        world.settle();
    }
}

/// What one version is made of.
type State = (u32, u32, u64);

#[derive(Default)]
struct Client {
    seen: State,
    query_set: u32,
    identity: u32,
    /// Queries by number: whether they are the adapter's.
    queries: BTreeMap<u32, bool>,
    /// What was last told of each.
    results: BTreeMap<u32, String>,
    next_query: u32,
    next_request: u32,
    /// Calls without an answer: whether it must be a refusal, and whether it is an action.
    open: BTreeMap<u32, (bool, bool)>,
    pieces: Vec<String>,
    outgoing: VecDeque<String>,
}

#[derive(Default)]
struct Deployment {
    query_set: u32,
    identity: u32,
    told: State,
    now: u64,
    queries: BTreeSet<u32>,
    untold: Vec<Value>,
    outgoing: VecDeque<String>,
    refuses: bool,
    /// It has refused somebody and hears and says nothing more.
    is_over: bool,
}

struct World {
    client: Client,
    deployment: Deployment,
    conversation: Conversation,
    inbox: Inbox,
    passage: Passage,
    to_deployment: VecDeque<String>,
    replies: Vec<u8>,
    down: Vec<u8>,
    judge: Judging,
    minter: Minter,
}

impl World {
    fn new(with_cookie: bool) -> Self {
        let minter = minter();
        let mut world = Self {
            client: Client::default(),
            deployment: Deployment::default(),
            conversation: Conversation::new(with_cookie.then(|| token(&minter))),
            inbox: Inbox::new(),
            passage: Passage::new(),
            to_deployment: VecDeque::new(),
            replies: Vec::new(),
            down: Vec::new(),
            judge: Judging::new(),
            minter,
        };
        world.client.connect();
        world
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Add { is_refused } => self.client.add(*is_refused),
            Action::Remove { which } => self.client.remove(*which),
            Action::Call { is_refused, is_action } => self.client.call(*is_refused, *is_action),
            Action::Authenticate { with_token } => self.client.authenticate(*with_token),
            Action::Renew => {
                let token = token(&self.minter);
                self.up(|conversation, up| conversation.renew(&token, up));
            }
            Action::Forget => self.up(|conversation, up| conversation.forget_cookie(up)),
            Action::ToProxy => self.hear_client(),
            Action::ToDeployment => {
                if let Some(text) = self.to_deployment.pop_front() {
                    self.deployment.hear(&text);
                }
            }
            Action::Tell { pieces, is_sorted } => self.deployment.tell(*pieces, *is_sorted),
            Action::Ping => self.deployment.say(&json!({ "type": "Ping" })),
            Action::Refuse => self.deployment.refuses = true,
            Action::FromDeployment { in_parts } => self.hear_deployment(*in_parts),
            Action::Reconnect { with_cookie } => self.reconnect(*with_cookie),
        }
    }

    /// Lets everything arrive, and looks at what is left.
    fn settle(&mut self) {
        // A refusal may begin a connection anew: then there is more to arrive.
        for _ in 0..4 {
            self.deployment.tell(1, false);
            while !(self.client.outgoing.is_empty()
                && self.to_deployment.is_empty()
                && self.deployment.outgoing.is_empty())
            {
                self.hear_client();
                self.act(&Action::ToDeployment);
                self.hear_deployment(false);
            }
        }
        let Client { seen, query_set, identity, queries, results, open, pieces, .. } = &self.client;
        assert_eq!((seen.0, seen.1), (*query_set, *identity), "all that the client said was told of");
        assert!(open.is_empty() && pieces.is_empty(), "every call was answered: {open:?}");
        let told: BTreeSet<u32> = results.keys().copied().collect();
        assert_eq!(told, queries.keys().copied().collect(), "every query has a result, and no other");
        for (query, is_refused) in queries {
            assert_eq!(results[query] == "QueryFailed", *is_refused);
        }
    }

    fn up(&mut self, act: impl FnOnce(&mut Conversation, &mut Vec<u8>)) {
        let mut up = Vec::new();
        act(&mut self.conversation, &mut up);
        self.send_up(up);
    }

    fn send_up(&mut self, mut up: Vec<u8>) {
        let mut input = Input::new(&mut up);
        while let Some(received) = self.inbox.next(&mut input, &self.judge.intake, Listener::Public).unwrap() {
            let Received::Text(text) = received else { panic!("only messages go up") };
            self.to_deployment.push_back(text.as_str().to_owned());
        }
    }

    fn hear_client(&mut self) {
        let Some(text) = self.client.outgoing.pop_front() else { return };
        let mut up = Vec::new();
        let mut out = Outputs { up: &mut up, down: &mut self.replies };
        let turn = self.conversation.client_says(&text, &self.judge, &mut out).unwrap();
        if let Turn::Shows { base_version, token } = turn {
            self.conversation.authenticate(base_version, token.as_deref(), &mut up).unwrap();
        }
        self.send_up(up);
        self.interject();
        self.send_down();
    }

    fn hear_deployment(&mut self, in_parts: bool) {
        let Some(text) = self.deployment.outgoing.pop_front() else { return };
        let bytes = text.as_bytes();
        let cut = if in_parts && bytes.len() > 400 { 400 } else { bytes.len() };
        let extent = if cut < bytes.len() { Extent::Beginning(bytes.len() as u64) } else { Extent::Whole };
        let mut heard = self.conversation.deployment_says(&bytes[..cut], extent, &self.judge, &mut self.down);
        if heard == Ok(Heard::Gather) {
            heard = self.conversation.deployment_says(bytes, Extent::Whole, &self.judge, &mut self.down);
            assert_ne!(heard, Ok(Heard::Gather));
        } else if heard == Ok(Heard::Done) && extent != Extent::Whole {
            self.down.extend_from_slice(&bytes[cut..]);
            self.conversation.rest(&bytes[cut..], true).unwrap();
        }
        match heard {
            Ok(_) if heard == Ok(Heard::Refused) => return self.start_over(),
            Ok(_) => {}
            // The client is sent away, and comes back as nobody.
            Err(CloseCause::TokenRefused | CloseCause::IdentityLost) => return self.reconnect(false),
            Err(cause) => panic!("{cause:?}"),
        }
        self.interject();
        self.send_down();
    }

    /// The same client, on another connection of the proxy's.
    fn start_over(&mut self) {
        self.to_deployment.clear();
        self.deployment = Deployment { now: self.deployment.now, ..Deployment::default() };
        self.up(Conversation::start_over);
    }

    fn interject(&mut self) {
        if self.conversation.may_interject() {
            self.down.append(&mut self.replies);
        }
    }

    fn send_down(&mut self) {
        let mut down = std::mem::take(&mut self.down);
        let mut input = Input::new(&mut down);
        while let Some(arrived) = self.passage.next(&mut input, &self.judge.intake, Listener::Public).unwrap() {
            match arrived {
                Arrived::Whole(message) => self.client.hear(std::str::from_utf8(message.bytes()).unwrap()),
                Arrived::Beginning { beginning, .. } => {
                    self.passage.gather(&beginning, &self.judge.intake, Listener::Public).unwrap();
                }
                Arrived::Rest { .. } | Arrived::Control(_) => panic!("gathered messages only"),
            }
        }
    }

    fn reconnect(&mut self, with_cookie: bool) {
        self.conversation = Conversation::new(with_cookie.then(|| token(&self.minter)));
        self.to_deployment.clear();
        self.replies.clear();
        self.deployment = Deployment { now: self.deployment.now, ..Deployment::default() };
        self.client.connect();
    }
}

impl Client {
    /// As Convex's own client begins: who it is, all that it asks for, and the calls that are open.
    fn connect(&mut self) {
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

    fn say(&mut self, message: &Value) {
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

    fn add(&mut self, is_refused: bool) {
        let query = self.next_query;
        self.next_query += 1;
        self.queries.insert(query, is_refused);
        self.modify(&[add(query, is_refused)]);
    }

    fn remove(&mut self, which: usize) {
        let Some((query, _)) = self.queries.iter().nth(which).map(|(query, is_refused)| (*query, *is_refused)) else {
            return;
        };
        self.queries.remove(&query);
        self.modify(&[json!({ "type": "Remove", "queryId": query })]);
    }

    fn call(&mut self, is_refused: bool, is_action: bool) {
        let request = self.next_request;
        self.next_request += 1;
        self.open.insert(request, (is_refused, is_action));
        self.say(&call(request, is_refused, is_action));
    }

    fn authenticate(&mut self, with_token: bool) {
        let base_version = self.identity;
        self.identity += 1;
        self.say(&if with_token {
            json!({ "type": "Authenticate", "baseVersion": base_version, "tokenType": "User", "value": "its-own" })
        } else {
            json!({ "type": "Authenticate", "baseVersion": base_version, "tokenType": "None" })
        });
    }

    fn hear(&mut self, text: &str) {
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
    fn say(&mut self, message: &Value) {
        if !self.is_over {
            self.outgoing.push_back(message.to_string());
        }
    }

    fn hear(&mut self, text: &str) {
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

    fn tell(&mut self, pieces: usize, is_sorted: bool) {
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
    use base64::{Engine, engine::general_purpose::STANDARD};
    json!({ "querySet": query_set, "identity": identity, "ts": STANDARD.encode(now.to_le_bytes()) })
}

fn state(version: &Value) -> State {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let number = |name: &str| u32::try_from(version[name].as_u64().unwrap()).unwrap();
    let now = STANDARD.decode(version["ts"].as_str().unwrap()).unwrap();
    (number("querySet"), number("identity"), u64::from_le_bytes(now.try_into().unwrap()))
}

fn minter() -> Minter {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap());
    Minter::new(MinterSettings {
        key: KEY.clone(),
        kid: None,
        issuer: "https://happy-otter-123.convex.site".to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(60),
        claims: Vec::new(),
        adapter_secret: &Secret::new("right"),
        capacity: 10,
    })
}

fn token(minter: &Minter) -> Arc<Minted> {
    let session = SessionToken::new("session");
    let session = LiveSession {
        key: SessionKeys::new(&Secret::new("right"), "http://d").key_of(&session),
        token: session,
        user_id: "user".to_owned(),
        expires: UnixMillis(1_000_000),
        profile: Profile::default(),
    };
    minter.for_session(&session, Freshness::Forced, UnixMillis(0)).unwrap().0
}
