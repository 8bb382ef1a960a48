//! The deployment over its wire: a server on a free port, `reqwest` in front, a tiny issuer behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::Full;
use serde_json::{Value as Json, json};

use super::*;
use crate::clock::UnixMillis;

pub(super) const SECRET: &str = "adapter-secret";
const HOUR_SECONDS: i64 = 3_600;

/// A running deployment and its issuer.
pub(super) struct Running {
    pub(super) deployment: Deployment,
    pub(super) address: String,
    pub(super) client: reqwest::Client,
    pub(super) issuer: Issuer,
    pub(super) shutdown: CancellationToken,
    pub(super) served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(super) async fn start() -> Self {
        Self::start_with("authAdapter", SyncOptions::default()).await
    }

    async fn start_with_module(module: &str) -> Self {
        Self::start_with(module, SyncOptions::default()).await
    }

    pub(super) async fn start_with(module: &str, sync: SyncOptions) -> Self {
        let issuer = Issuer::start().await;
        let deployment = Deployment::new(DeploymentOptions {
            adapter_secret: Secret::new(SECRET),
            module: module.parse().unwrap(),
            issuer: issuer.url.clone(),
            application_id: "convex".into(),
            record_requests: true,
            sync,
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(deployment.clone().serve(listener, shutdown.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { deployment, address, client, issuer, shutdown, served }
    }

    fn post(&self, route: &str, body: &Json) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}{route}", self.address));
        request.header("content-type", "application/json").body(body.to_string())
    }

    pub(super) async fn call(&self, route: &str, path: &str, args: Json) -> Json {
        let (status, body) = read(self.post(route, &json!({"path": path, "args": args}))).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Calls an adapter function with the secret and gives its value.
    async fn adapter(&self, route: &str, function: &str, mut args: Json) -> Json {
        args["secret"] = SECRET.into();
        let answer = self.call(route, &format!("authAdapter:{function}"), args).await;
        assert_eq!(answer["status"], "success", "{function}: {answer}");
        answer["value"].clone()
    }

    async fn query(&self, function: &str, args: Json) -> Json {
        self.adapter("/api/query", function, args).await
    }

    async fn mutation(&self, function: &str, args: Json) -> Json {
        self.adapter("/api/mutation", function, args).await
    }

    /// The `errorMessage` of a call, without its line with the request id.
    async fn complaint(&self, route: &str, path: &str, args: Json) -> String {
        let answer = self.call(route, path, args).await;
        assert_eq!(answer["status"], "error", "{answer}");
        let message = answer["errorMessage"].as_str().unwrap();
        let (first, rest) = message.split_once('\n').unwrap();
        let id = first.strip_prefix("[Request ID: ").unwrap().strip_suffix("] Server Error").unwrap();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        rest.to_owned()
    }

    async fn whoami(&self, token: &str) -> (u16, Json) {
        read(self.post("/api/query", &json!({"path": "demo:whoami", "args": {}})).bearer_auth(token)).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Json) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
}

/// Publishes a key set by discovery, and counts the fetches.
pub(super) struct Issuer {
    pub(super) url: String,
    jwks: Arc<Mutex<Json>>,
    pub(super) metadata: Arc<Mutex<Json>>,
    cache_control: Arc<Mutex<&'static str>>,
    fetches: Arc<AtomicU64>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self {
            jwks: Arc::new(Mutex::new(json!({"keys": []}))),
            metadata: Arc::new(Mutex::new(json!({
                "issuer": url,
                "jwks_uri": format!("{url}/.well-known/jwks.json"),
                "authorization_endpoint": format!("{url}/oauth/authorize"),
            }))),
            cache_control: Arc::new(Mutex::new("public, max-age=15")),
            fetches: Arc::default(),
            url,
        };
        let (jwks, metadata) = (Arc::clone(&issuer.jwks), Arc::clone(&issuer.metadata));
        let (cache_control, fetches) = (Arc::clone(&issuer.cache_control), Arc::clone(&issuer.fetches));
        let service = service_fn(move |request: ::http::Request<hyper::body::Incoming>| {
            fetches.fetch_add(1, Ordering::Relaxed);
            let document = match request.uri().path() {
                "/.well-known/openid-configuration" => metadata.lock().unwrap().clone(),
                "/.well-known/jwks.json" => jwks.lock().unwrap().clone(),
                _ => Json::Null,
            };
            let status = if document.is_null() { 404 } else { 200 };
            let response = ::http::Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .header("cache-control", *cache_control.lock().unwrap())
                .body(Full::new(Bytes::from(document.to_string())));
            async move { response }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        issuer
    }

    pub(super) fn publish(&self, keys: &[&TestKey]) {
        *self.jwks.lock().unwrap() = json!({"keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>()});
    }

    pub(super) fn claims(&self) -> Json {
        let now = UnixMillis::now().seconds();
        json!({"iss": self.url, "aud": "convex", "sub": "user-1", "iat": now, "exp": now + HOUR_SECONDS})
    }
}

/// A signing key of its own making, so that the tests share nothing with the code that verifies.
pub(super) struct TestKey {
    header: Json,
    jwk: Json,
    pair: TestPair,
}

enum TestPair {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl TestPair {
    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            }
        }
    }
}

impl TestKey {
    pub(super) fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())});
        Self { header: json!({"alg": "EdDSA"}), jwk, pair: TestPair::Ed25519(pair) }
    }

    fn es256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        Self { header: json!({"alg": "ES256"}), jwk, pair: TestPair::Es256(pair) }
    }

    fn rs256() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
        let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
        let jwk = json!({"kty": "RSA", "n": modulus, "e": exponent, "use": "sig"});
        Self { header: json!({"alg": "RS256"}), jwk, pair: TestPair::Rs256(pair) }
    }

    fn with_kid(mut self, kid: &str) -> Self {
        self.header["kid"] = kid.into();
        self.jwk["kid"] = kid.into();
        self
    }

    pub(super) fn token(&self, claims: &Json) -> String {
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(&self.header), part(claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes())))
    }
}

fn with(mut claims: Json, name: &str, value: Json) -> Json {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_sign_in_goes_through_the_nineteen_functions() {
    let running = Running::start().await;
    let user = json!({"user": {"email": "a@b.c", "name": "A", "emailVerified": 1_700_000_000_000_u64}});
    let id = running.mutation("createUser", user).await;
    let id = id.as_str().unwrap();
    let stored = running.query("getUser", json!({"id": id})).await;
    assert_eq!(
        (&stored["_id"], &stored["email"], &stored["emailVerified"]),
        (&json!(id), &json!("a@b.c"), &json!(1_700_000_000_000.0))
    );
    assert!(stored["_creationTime"].is_f64());
    assert_eq!(running.query("getUserByEmail", json!({"email": "a@b.c"})).await, stored);
    assert_eq!(running.query("getUserByEmail", json!({"email": "A@b.c"})).await, Json::Null);

    let account = json!({"account": {"userId": id, "type": "oidc", "provider": "p", "providerAccountId": "1"}});
    let linked = running.mutation("linkAccount", account).await;
    let key = json!({"provider": "p", "providerAccountId": "1"});
    assert_eq!(running.query("getAccount", key.clone()).await, linked);
    assert_eq!(running.query("getUserByAccount", key.clone()).await, stored);

    let session = json!({"session": {"userId": id, "expires": 5, "sessionToken": "t"}});
    assert!(running.mutation("createSession", session).await.is_string());
    let both = running.query("getSessionAndUser", json!({"sessionToken": "t"})).await;
    assert_eq!((&both["user"], &both["session"]["expires"]), (&stored, &json!(5.0)));
    let update = json!({"session": {"expires": 6, "sessionToken": "t"}});
    assert_eq!(running.mutation("updateSession", update).await, Json::Null);
    let none = json!({"session": {"expires": 6, "sessionToken": "none"}});
    assert_eq!(running.mutation("updateSession", none).await, Json::Null);
    let both = running.query("getSessionAndUser", json!({"sessionToken": "t"})).await;
    assert_eq!(both["session"]["expires"], json!(6.0));

    assert_eq!(running.mutation("updateUser", json!({"user": {"id": id, "name": "B"}})).await, Json::Null);
    let renamed = running.query("getUser", json!({"id": id})).await;
    assert_eq!((&renamed["name"], &renamed["email"]), (&json!("B"), &json!("a@b.c")));

    let token = json!({"verificationToken": {"identifier": "a@b.c", "token": "v", "expires": 7}});
    running.mutation("createVerificationToken", token).await;
    let key_of_token = json!({"identifier": "a@b.c", "token": "v"});
    assert_eq!(running.mutation("useVerificationToken", key_of_token.clone()).await["expires"], json!(7.0));
    assert_eq!(running.mutation("useVerificationToken", key_of_token).await, Json::Null);

    let passkey = json!({"authenticator": {
        "credentialID": "c", "userId": id, "providerAccountId": "1", "credentialPublicKey": "k", "counter": 0,
        "credentialDeviceType": "d", "credentialBackedUp": false,
    }});
    running.mutation("createAuthenticator", passkey).await;
    let counted = running.mutation("updateAuthenticatorCounter", json!({"credentialID": "c", "newCounter": 3})).await;
    assert_eq!(counted["counter"], json!(3.0));
    assert_eq!(running.query("getAuthenticator", json!({"credentialID": "c"})).await, counted);
    assert_eq!(running.query("listAuthenticatorsByUserId", json!({"userId": id})).await, json!([counted]));

    assert_eq!(running.mutation("unlinkAccount", key.clone()).await, linked);
    assert_eq!(running.mutation("unlinkAccount", key.clone()).await, Json::Null);
    assert_eq!(running.mutation("deleteSession", json!({"sessionToken": "none"})).await, Json::Null);
    assert_eq!(running.mutation("deleteUser", json!({"id": id})).await, renamed);
    assert_eq!(running.mutation("deleteUser", json!({"id": id})).await, Json::Null);
    assert_eq!(running.query("getSessionAndUser", json!({"sessionToken": "t"})).await, Json::Null);
    assert_eq!(running.mutation("deleteSession", json!({"sessionToken": "t"})).await, Json::Null, "went with the user");
    assert_eq!(running.query("getAuthenticator", json!({"credentialID": "c"})).await, counted, "a fault that is kept");

    let calls = running.deployment.calls();
    assert_eq!(calls.keys().filter(|path| path.starts_with("authAdapter:")).count(), 19, "{calls:?}");
    assert_eq!(calls["authAdapter:getSessionAndUser"], 3);
}

#[tokio::test]
async fn functions_complain_in_convex_words() {
    let running = Running::start().await;
    let (query, mutation) = ("/api/query", "/api/mutation");
    insta::assert_snapshot!(running.complaint(query, "authAdapter:getUserByEmail", json!({"email": "a", "secret": "x"})).await, @"Uncaught Error: Adapter API called without correct secret value");
    insta::assert_snapshot!(running.complaint(query, "authAdapter:nope", json!({})).await, @"Could not find public function for 'authAdapter:nope'. Did you forget to run `npx convex dev` or `npx convex deploy`?");
    insta::assert_snapshot!(running.complaint(query, "authAdapter", json!({})).await, @"Could not find public function for 'authAdapter'. Did you forget to run `npx convex dev` or `npx convex deploy`?");
    insta::assert_snapshot!(running.complaint(query, "authAdapter:createUser", json!({})).await, @"Trying to execute authAdapter.js:createUser as Query, but it is defined as Mutation.");
    insta::assert_snapshot!(running.complaint(mutation, "demo:send", json!({"body": "", })).await, @"Uncaught Error: A message has 1 to 1000 characters");
    insta::assert_snapshot!(running.complaint(mutation, "demo:send", json!(null)).await, @"ArgumentValidationError: Expected to receive an object as the function's argument. Instead received: null");
    insta::assert_snapshot!(running.complaint(mutation, "demo:send", json!([{"body": "a"}, 1])).await, @r#"ArgumentValidationError: Expected to receive a single object as the function's argument. Instead received 2 arguments: [{body: "a"}, 1.0]"#);
    insta::assert_snapshot!(running.complaint(mutation, "demo:send", json!({"$body": "a"})).await, @"Invalid arguments for demo.js:send: Field name $body starts with '$', which is reserved.");
    let counter = json!({"credentialID": "c", "newCounter": 3, "secret": SECRET});
    insta::assert_snapshot!(running.complaint(mutation, "authAdapter:updateAuthenticatorCounter", counter).await, @"Uncaught Error: Authenticator not found for credentialID: c");
    insta::assert_snapshot!(running.complaint(query, "authAdapter:getUser", json!({"id": "x", "secret": SECRET})).await, @r#"
    ArgumentValidationError: Value does not match validator.
    Path: .id
    Value: "x"
    Validator: v.id("users")
    "#);
}

#[tokio::test]
async fn an_error_message_ends_as_the_backend_ends_it() {
    let running = Running::start().await;
    let unknown = running.complaint("/api/query", "a:b", json!({})).await;
    assert!(unknown.ends_with("deploy`?\n") && !unknown.ends_with("\n\n"));
    let arguments = running.complaint("/api/query", "demo:whoami", json!({"a": 1})).await;
    assert!(arguments.ends_with("Validator: v.object({})\n\n"), "{arguments:?}");
}

#[tokio::test]
async fn a_session_token_that_is_there_twice_breaks_every_read_of_it() {
    let running = Running::start().await;
    let user = running.mutation("createUser", json!({"user": {"email": "a@b.c"}})).await;
    for expires in [5, 6] {
        let session = json!({"session": {"userId": user, "expires": expires, "sessionToken": "t"}});
        running.mutation("createSession", session).await;
    }
    let args = json!({"sessionToken": "t", "secret": SECRET});
    for (route, function) in [("/api/query", "getSessionAndUser"), ("/api/mutation", "deleteSession")] {
        let complaint = running.complaint(route, &format!("authAdapter:{function}"), args.clone()).await;
        let start = "Uncaught Error: unique() query returned more than one result from table sessions:\n [";
        assert!(complaint.starts_with(start), "{complaint}");
    }
}

#[tokio::test]
async fn every_spelling_of_a_module_reaches_it_and_no_other_does() {
    let running = Running::start_with_module("auth/adapter").await;
    let args = json!({"email": "a", "secret": SECRET});
    for path in ["auth/adapter:getUserByEmail", "auth/adapter.js:getUserByEmail", "auth//adapter/.:getUserByEmail"] {
        assert_eq!(running.call("/api/query", path, args.clone()).await["status"], "success", "{path}");
    }
    for path in ["adapter:getUserByEmail", "authAdapter:getUserByEmail", "Auth/adapter:getUserByEmail"] {
        let complaint = running.complaint("/api/query", path, args.clone()).await;
        assert!(complaint.starts_with("Could not find public function"), "{path}");
    }
    assert_eq!(running.deployment.calls(), [("auth/adapter:getUserByEmail".to_owned(), 3)].into());
    let told = read(running.client.get(format!("{}/_dev/calls", running.address))).await;
    assert_eq!(told, (200, json!({"auth/adapter:getUserByEmail": 3})));
}

#[tokio::test]
async fn a_mutation_that_fails_changes_nothing_not_even_the_time() {
    let running = Running::start().await;
    let changes = running.deployment.engine().changes();
    let before = *changes.borrow();
    running.complaint("/api/mutation", "demo:send", json!({"body": "x".repeat(1_001)})).await;
    running.mutation("deleteSession", json!({"sessionToken": "none"})).await;
    assert!(!changes.has_changed().unwrap());
    running.call("/api/mutation", "demo:send", json!({"body": "x".repeat(1_000)})).await;
    assert!(changes.has_changed().unwrap());
    assert!(*changes.borrow() > before);
}

#[tokio::test]
async fn who_is_signed_in_is_known_by_the_row_and_sees_own_accounts() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let signed_in = async |route: &str, path: &str, args: Json, subject: &Json| {
        let token = key.token(&with(running.issuer.claims(), "sub", subject.clone()));
        let (_, answer) = read(running.post(route, &json!({"path": path, "args": args})).bearer_auth(token)).await;
        answer["value"].clone()
    };
    let grace = running.mutation("createUser", json!({"user": {"email": "grace@example.com", "name": "Grace"}})).await;
    let alan = running.mutation("createUser", json!({"user": {"email": "alan@example.com"}})).await;
    for (user, provider, kind) in [(&grace, "mail", "email"), (&alan, "other", "oidc"), (&grace, "local", "oidc")] {
        let account = json!({"userId": user, "type": kind, "provider": provider, "providerAccountId": "1"});
        running.mutation("linkAccount", json!({"account": account})).await;
    }
    let accounts = signed_in("/api/query", "demo:accounts", json!({}), &grace).await;
    assert_eq!(accounts, json!([{"provider": "mail", "type": "email"}, {"provider": "local", "type": "oidc"}]));
    assert_eq!(running.call("/api/query", "demo:accounts", json!({})).await["value"], json!([]));
    for subject in [&grace, &alan, &json!("nobody we know")] {
        signed_in("/api/mutation", "demo:send", json!({"body": "hello"}), subject).await;
    }
    let listed = running.call("/api/query", "demo:list", json!({})).await["value"].clone();
    let authors: Vec<_> = listed.as_array().unwrap().iter().map(|message| message["author"].clone()).collect();
    assert_eq!(authors, ["Grace", "alan", "nobody we know"]);
}

#[tokio::test]
async fn messages_are_listed_the_newest_last_and_signed() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    for number in 0..101 {
        running.call("/api/mutation", "demo:send", json!({"body": number.to_string()})).await;
    }
    let body = json!({"path": "demo:send", "args": {"body": "signed"}});
    let token = key.token(&with(running.issuer.claims(), "name", json!("Ada")));
    assert_eq!(read(running.post("/api/mutation", &body).bearer_auth(token)).await.0, 200);
    let listed = running.call("/api/query", "demo:list", json!({})).await["value"].clone();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 100);
    let last = [&listed[98], &listed[99]].map(|message| (message["author"].clone(), message["body"].clone()));
    assert_eq!(last, [(json!("anonymous"), json!("100")), (json!("Ada"), json!("signed"))]);
    assert_eq!(running.call("/api/action", "demo:ping", json!({})).await["value"], "pong");
}

#[tokio::test]
async fn a_text_is_repeated_up_to_sixteen_mebibytes() {
    let running = Running::start().await;
    let repeat = |text: &str, times: Json| json!({"text": text, "times": times});
    assert_eq!(running.call("/api/query", "demo:repeat", repeat("ab", json!(2.9))).await["value"], "abab");
    assert_eq!(running.call("/api/query", "demo:repeat", repeat("", json!(1e300))).await["value"], "");
    let largest = running.call("/api/query", "demo:repeat", repeat("ab", json!(8 * 1024 * 1024))).await;
    assert_eq!(largest["value"].as_str().unwrap().len(), 16 * 1024 * 1024);
    for times in [json!(8 * 1024 * 1024 + 1), json!(1e300), json!(-1), json!({"$float": "AAAAAAAA+H8="})] {
        let complaint = running.complaint("/api/query", "demo:repeat", repeat("ab", times)).await;
        assert_eq!(complaint, "Uncaught Error: A repeated text has at most 16 MiB\n");
    }
}

#[tokio::test]
async fn formats_are_read_after_the_function_ran() {
    let running = Running::start().await;
    running
        .mutation("createUser", json!({"user": {"email": "a@b.c", "emailVerified": {"$float": "AAAAAAAA8H8="}}}))
        .await;
    let by_email = |format: Json| {
        let args = json!({"email": "a@b.c", "secret": SECRET});
        json!({"path": "authAdapter:getUserByEmail", "args": [args], "format": format})
    };
    for (format, value) in [
        (json!("convex_encoded_json"), json!({"$float": "AAAAAAAA8H8="})),
        (json!("convex_json"), json!({"$float": "AAAAAAAA8H8="})),
        (json!("export_json"), json!({"$float": "AAAAAAAA8H8="})),
        (json!("json"), json!("Infinity")),
        (json!("convex_clean_json"), json!("Infinity")),
        (json!(null), json!("Infinity")),
    ] {
        let (_, answer) = read(running.post("/api/query", &by_email(format.clone()))).await;
        assert_eq!(answer["value"]["emailVerified"], value, "{format}");
    }
    let old = running.post("/api/query", &by_email(json!(null))).header("convex-client", "npm-1.4.0");
    assert_eq!(read(old).await.1["value"]["emailVerified"], json!({"$float": "AAAAAAAA8H8="}));

    let send = json!({"path": "demo:send", "args": {"body": "kept"}, "format": "xml"});
    let (status, answer) = read(running.post("/api/mutation", &send)).await;
    let refusal = json!({"code": "BadFormat", "message": "format param must be one of [`json`]. Got xml"});
    assert_eq!((status, answer), (400, refusal));
    assert_eq!(running.call("/api/query", "demo:list", json!({})).await["value"][0]["body"], "kept");
}

#[tokio::test]
async fn numbers_print_as_floats() {
    let running = Running::start().await;
    running.mutation("createUser", json!({"user": {"email": "a@b.c", "emailVerified": 1}})).await;
    let args = json!({"email": "a@b.c", "secret": SECRET});
    let request = running.post("/api/query", &json!({"path": "authAdapter:getUserByEmail", "args": args}));
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(r#"{"status":"success","value":{"_creationTime":"#), "{text}");
    assert!(text.contains(r#""emailVerified":1.0"#) && !text.contains("logLines"), "{text}");
}

#[tokio::test]
async fn requests_that_are_no_calls_are_refused_as_the_backend_refuses_them() {
    let running = Running::start().await;
    let call = json!({"path": "demo:whoami", "args": {}});
    let code = async |request: reqwest::RequestBuilder| {
        let (status, body) = read(request).await;
        assert!(body["message"].is_string(), "{body}");
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let raw = |body: &'static str| running.post("/api/query", &Json::Null).body(body);
    assert_eq!(
        code(running.client.post(format!("{}/api/query", running.address)).body("{}")).await,
        refused(400, "BadJsonBody")
    );
    assert_eq!(code(raw("{")).await, refused(400, "BadJsonBody"));
    assert_eq!(code(raw(r#"{"path":"demo:whoami"}"#)).await, refused(400, "BadJsonBody"));
    assert_eq!(
        code(raw(r#"{"path":"demo:whoami","path":"demo:whoami","args":{}}"#)).await,
        refused(400, "BadJsonBody")
    );
    assert_eq!(code(raw(r#"["demo:whoami",{}]"#)).await, refused(400, "BadJsonBody"));
    assert_eq!(read(raw(r#"["demo:whoami",{},null]"#)).await.0, 200);
    assert_eq!(code(raw(r#"{"path":"./demo:whoami","args":{}}"#)).await, refused(400, "BadConvexFunctionIdentifier"));
    assert_eq!(
        code(running.post("/api/query", &call).header("convex-client", "npm")).await,
        refused(400, "InvalidClientVersion")
    );
    assert_eq!(
        code(running.post("/api/query", &call).header("convex-client", "npm-0.19.1")).await,
        refused(400, "ClientVersionUnsupported")
    );
    assert_eq!(
        code(running.post("/api/query", &call).header("authorization", "Basic abcdef")).await,
        refused(400, "InvalidAdminKey")
    );
    assert_eq!(
        code(running.post("/api/query", &call).header("authorization", "Convex key")).await,
        refused(401, "BadAdminKey")
    );
    assert_eq!(code(running.post("/api/query?admin%4bey=key", &call)).await, refused(401, "BadAdminKey"));
    assert_eq!(
        code(running.client.get(format!("{}/api/query?path=demo:whoami", running.address))).await,
        refused(400, "BadQueryArgs")
    );
    let large = format!(r#"{{"path":"demo:whoami","args":{{"a":"{}"}}}}"#, "x".repeat(16 * 1024 * 1024 + 2_000));
    assert_eq!(code(running.post("/api/query", &call).body(large)).await, refused(400, "BadJsonBody"));
    assert!(running.deployment.calls().values().sum::<u64>() == 1, "only the list of fields ran");
}

#[tokio::test]
async fn the_first_authorization_header_counts() {
    let running = Running::start().await;
    let call = json!({"path": "demo:whoami", "args": {}});
    let request =
        running.post("/api/query", &call).header("authorization", "Convex key").header("authorization", "Bearer x");
    assert_eq!(read(request).await.1["code"], "BadAdminKey");
}

#[tokio::test]
async fn other_routes_and_methods_are_404_and_405_without_a_body() {
    let running = Running::start().await;
    for target in [
        "/api//sync",
        "/api/1.48.0/sync/",
        "/api/function",
        "/api/run/demo/whoami",
        "/api/query/",
        "//api/query",
        "/http/x",
    ] {
        let response = running.post(target, &json!({})).send().await.unwrap();
        assert_eq!(response.status(), 404, "{target}");
        assert_eq!(response.text().await.unwrap(), "", "{target}");
    }
    let response = running.client.get(format!("{}/api/mutation", running.address)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(read(running.client.get(format!("{}/version", running.address))).await, (200, json!("unknown")));
}

#[tokio::test]
async fn every_origin_may_read_with_credentials() {
    let running = Running::start().await;
    let preflight = running
        .client
        .request(Method::OPTIONS, format!("{}/api/query", running.address))
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "convex-client");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
    assert_eq!(response.headers()["access-control-allow-headers"], "convex-client");
    let call = running.post("/api/query", &json!({"path": "demo:whoami", "args": {}})).header("origin", "null");
    assert_eq!(call.send().await.unwrap().headers()["access-control-allow-origin"], "null");
}

#[tokio::test]
async fn a_query_runs_at_a_timestamp_of_the_past_only() {
    let running = Running::start().await;
    let (_, answer) = read(running.post("/api/query_ts", &json!({}))).await;
    let ts = answer["ts"].as_str().unwrap();
    let nanoseconds = u64::from_le_bytes(STANDARD.decode(ts).unwrap().try_into().unwrap());
    let now = u64::try_from(UnixMillis::now().0).unwrap() * 1_000_000;
    assert!(nanoseconds <= now && now - nanoseconds < 60_000_000_000, "{nanoseconds}");
    let at = |ts: &str| running.post("/api/query_at_ts", &json!({"path": "demo:whoami", "args": {}, "ts": ts}));
    assert_eq!(read(at(ts)).await, (200, json!({"status": "success", "value": null})));
    for bad in ["", "AAAA", "//////////8="] {
        let (status, body) = read(at(bad)).await;
        assert_eq!((status, &body["code"]), (500, &json!("InternalServerError")), "{bad}");
    }
    running.call("/api/mutation", "demo:send", json!({"body": "a"})).await;
    let (_, later) = read(running.post("/api/query_ts", &json!({}))).await;
    assert_ne!(later["ts"], ts);
}

#[tokio::test]
async fn a_batch_answers_every_query_unless_one_does_not_parse() {
    let running = Running::start().await;
    let batch = |queries: Json| running.post("/api/query_batch", &json!({"queries": queries}));
    let whoami = json!({"path": "demo:whoami", "args": {}});
    let (status, answer) = read(batch(json!([whoami, {"path": "a:b", "args": {}}, ["demo:list", {}, null]]))).await;
    assert_eq!(status, 200);
    let statuses: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, ["success", "error", "success"]);
    let (status, answer) = read(batch(json!([whoami, {"path": "./a:b", "args": {}}]))).await;
    assert_eq!((status, &answer["code"]), (400, &json!("BadConvexFunctionIdentifier")));
    assert_eq!(read(batch(json!([]))).await.1, json!({"results": []}));
}

#[tokio::test]
async fn tokens_of_all_three_kinds_make_an_identity() {
    for key in [TestKey::rs256(), TestKey::ed25519(), TestKey::es256(), TestKey::ed25519().with_kid("k")] {
        let running = Running::start().await;
        running.issuer.publish(&[&key]);
        let claims = with(with(running.issuer.claims(), "email", json!("a@b.c")), "picture", json!("http://p"));
        let (status, answer) = running.whoami(&key.token(&claims)).await;
        let url = &running.issuer.url;
        let identity = json!({
            "tokenIdentifier": format!("{url}|user-1"), "issuer": url, "subject": "user-1", "email": "a@b.c", "pictureUrl": "http://p",
        });
        assert_eq!((status, &answer["value"]), (200, &identity), "{}", key.header);
    }
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_401() {
    let running = Running::start().await;
    let (key, other) = (TestKey::ed25519(), TestKey::ed25519());
    running.issuer.publish(&[&key]);
    let claims = running.issuer.claims();
    let now = UnixMillis::now().seconds();
    let good = key.token(&claims);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let payload = good.split('.').nth(1).unwrap();
    let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    for (token, code) in [
        ("nonsense".to_owned(), "InvalidAuthHeader"),
        (head.to_owned(), "InvalidAuthHeader"),
        (key.token(&json!({"aud": "convex"})), "InvalidAuthHeader"),
        (key.token(&with(claims.clone(), "iss", json!("http://another"))), "NoAuthProvider"),
        (key.token(&with(claims.clone(), "aud", json!("another"))), "NoAuthProvider"),
        (key.token(&with(claims.clone(), "aud", json!(["convex", "another"]))), "Unauthenticated"),
        (key.token(&with(claims.clone(), "exp", json!(now - 1))), "Unauthenticated"),
        (key.token(&with(claims.clone(), "iat", json!(null))), "Unauthenticated"),
        (other.token(&claims), "Unauthenticated"),
        (unsigned, "Unauthenticated"),
        (format!("{head}.{}", signature.replace(|_| true, "A")), "Unauthenticated"),
    ] {
        let (status, answer) = running.whoami(&token).await;
        assert_eq!((status, &answer["code"]), (401, &json!(code)), "{token}");
    }
    assert_eq!(running.whoami(&good).await.0, 200);
    assert!(running.deployment.calls().values().all(|count| *count == 1));
}

#[tokio::test]
async fn keys_are_kept_for_their_age_and_not_a_moment_less() {
    let running = Running::start().await;
    let (old, new) = (TestKey::ed25519().with_kid("old"), TestKey::ed25519().with_kid("new"));
    running.issuer.publish(&[&old]);
    let claims = running.issuer.claims();
    let verifier = &running.deployment.0.verifier;
    let start = Now::read();
    let verify = async |key: &TestKey, seconds: u64| {
        let now = Now { steady: start.steady + Duration::from_secs(seconds), ..start };
        let credential = auth::Credential::Bearer(Secret::new(key.token(&claims)));
        verifier.identify(&credential, now).await.is_ok()
    };
    assert!(verify(&old, 0).await);
    running.issuer.publish(&[&new]);
    assert!(verify(&old, 14).await);
    assert!(!verify(&new, 14).await, "an unknown kid is no reason to look again");
    assert_eq!(running.issuer.fetches.load(Ordering::Relaxed), 2);
    assert!(verify(&new, 15).await);
    assert!(!verify(&old, 16).await);
    *running.issuer.cache_control.lock().unwrap() = "no-store";
    assert!(verify(&new, 31).await && verify(&new, 31).await);
    assert_eq!(running.issuer.fetches.load(Ordering::Relaxed), 8);
}

#[tokio::test]
async fn discovery_that_fails_says_whose_fault_it_is() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    let token = key.token(&running.issuer.claims());
    let metadata = running.issuer.metadata.lock().unwrap().clone();
    for (changed, status) in [
        (Json::Null, 404),
        (with(metadata.clone(), "issuer", json!("http://another")), 400),
        (with(metadata.clone(), "issuer", json!(format!("{}/", running.issuer.url))), 400),
        (with(metadata.clone(), "authorization_endpoint", json!(null)), 400),
        (with(metadata.clone(), "jwks_uri", json!("http://127.0.0.1:1/jwks.json")), 503),
    ] {
        *running.issuer.metadata.lock().unwrap() = changed.clone();
        let (given, answer) = running.whoami(&token).await;
        assert_eq!((given, &answer["code"]), (status, &json!("AuthProviderDiscoveryFailed")), "{changed}");
    }
    *running.issuer.metadata.lock().unwrap() = metadata;
    let broken = json!({"kty": "OKP", "crv": "Ed25519"});
    *running.issuer.jwks.lock().unwrap() = json!({"keys": [broken, {"kty": "unknown"}, key.jwk]});
    assert_eq!(running.whoami(&token).await.0, 200, "keys that cannot be read are passed over");
}

#[tokio::test]
async fn requests_are_remembered_when_asked_for_and_never_printed() {
    let running = Running::start().await;
    let call = json!({"path": "demo:whoami", "args": {"canary": 1}});
    running.post("/api/query?a=1", &call).header("x-canary", "canary").send().await.unwrap();
    let seen = running.deployment.requests();
    let last = seen.last().unwrap();
    assert_eq!((last.method.as_str(), last.target.as_str()), ("POST", "/api/query?a=1"));
    assert_eq!(last.headers["x-canary"], "canary");
    assert_eq!(last.body, call.to_string());
    for _ in 0..300 {
        running.call("/api/query", "demo:whoami", json!({})).await;
    }
    assert_eq!(running.deployment.requests().len(), 256);
}

#[tokio::test]
async fn debug_output_holds_no_secret_no_token_and_no_address() {
    let running = Running::start().await;
    let user = running.mutation("createUser", json!({"user": {"email": "canary@b.c"}})).await;
    let session = json!({"session": {"userId": user, "expires": 5, "sessionToken": "canary"}});
    running.mutation("createSession", session).await;
    running.post("/api/query", &json!({"canary": 1})).header("x-canary", "canary").send().await.unwrap();
    let printed = format!("{:?} {:?}", running.deployment, running.deployment.requests());
    assert!(printed.contains("Rows(1)") && printed.contains("SeenRequest"), "{printed}");
    assert!(!printed.contains("canary") && !printed.contains(SECRET), "{printed}");
}

#[tokio::test]
async fn a_token_that_many_use_at_once_has_one_winner() {
    let running = Running::start().await;
    let token = json!({"verificationToken": {"identifier": "a@b.c", "token": "v", "expires": 7}});
    running.mutation("createVerificationToken", token).await;
    let key = json!({"identifier": "a@b.c", "token": "v"});
    let uses = (0..8).map(|_| running.mutation("useVerificationToken", key.clone()));
    let winners = futures_util::future::join_all(uses).await.into_iter().filter(|row| !row.is_null()).count();
    assert_eq!(winners, 1);
}

#[test]
fn the_oldest_messages_go_when_a_thousand_are_kept() {
    let now = Now::read();
    let ids = IdSource::new([0; 32]);
    let engine = Engine::new(&"authAdapter".parse().unwrap(), Secret::new(SECRET), ids, now);
    let (send, list) = (call::parse_path("demo:send").unwrap(), call::parse_path("demo:list").unwrap());
    let raw = |text: String| serde_json::value::RawValue::from_string(text).unwrap();
    for number in 0..1_005 {
        engine.run_mutation(&send, &raw(json!({"body": number.to_string()}).to_string()), None, now).unwrap();
    }
    let value::Value::Array(listed) = engine.run_query(&list, &raw("{}".into()), None).unwrap() else { panic!() };
    assert_eq!(listed[99].as_object().unwrap().text("body"), "1004");
    assert_eq!(engine.snapshot().count(store::Table::Messages), 1_000);
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_listener() {
    let running = Running::start().await;
    running.call("/api/query", "demo:whoami", json!({})).await;
    running.shutdown.cancel();
    running.served.await.unwrap().unwrap();
    assert!(running.client.get(format!("{}/version", running.address)).send().await.is_err());
}
