//! The conversation against a model of both its sides: a client that keeps the rules of Convex's own, and a deployment that enforces its.
//!
//! Actions come in any order, and so do deliveries: each of the four ways holds messages back for as long as it likes. The laws are asserted
//! where they could be broken: a start version that is not the previous end, a call that is answered twice, a query that reaches the
//! deployment although it was refused, an `Authenticate` out of its turn.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

mod peers;

use proptest::prelude::*;
use serde_json::json;

use self::peers::{Client, Deployment};
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
