//! What an operator meets: defaults, precedence, messages, and that no secret is in any of them.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use insta::assert_snapshot;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    mirror::{self, Secrecy, Shape},
    *,
};

/// The private key of RFC 8410 section 10.3, and its public half as a set.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
\
    -----END PRIVATE KEY-----
";
const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"}]}"#;

/// What `serve` cannot do without.
const REQUIRED: [(&str, &str); 4] = [
    ("CONVEX_URL", "https://happy-otter-123.convex.cloud"),
    ("CONVEX_AUTH_ADAPTER_SECRET", "open sesame"),
    ("CONVEX_AUTH_PRIVATE_KEY", PEM),
    ("JWKS", JWKS),
];

/// `serve` with what it needs, and these in place of or beside it.
fn serve_with(pairs: &[(&str, &str)]) -> Sources {
    let is_kept = |(name, _): &(&str, &str)| pairs.iter().all(|(given, _)| given != name);
    let kept: Vec<_> = REQUIRED.into_iter().filter(is_kept).collect();
    Sources::from_pairs(Mode::Serve, &[&kept, pairs].concat())
}

fn serve(pairs: &[(&str, &str)]) -> Config {
    load(&serve_with(pairs)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(pairs: &[(&str, &str)]) -> Problems {
    load(&serve_with(pairs)).expect_err("a problem")
}

/// A directory with a `config.toml`, and the sources of a `serve` that finds it.
fn with_file(text: &str, pairs: &[(&str, &str)]) -> (TempDir, Sources) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("config.toml"), text).expect("a file");
    let sources = Sources { directory: Some(directory.path().to_owned()), ..serve_with(pairs) };
    (directory, sources)
}

/// The messages about a file, with its directory cut off.
fn told(text: &str, pairs: &[(&str, &str)]) -> String {
    let (directory, sources) = with_file(text, pairs);
    let problems = load(&sources).expect_err("a problem").to_string();
    problems.replace(&format!("{}/", directory.path().display()), "./")
}

fn names(problems: &Problems) -> Vec<&str> {
    problems.iter().map(Problem::name).collect()
}

#[test]
fn a_deployment_a_secret_and_a_key_suffice_for_serve() {
    let config = serve(&[]);
    assert_eq!(config.upstream.url.as_str(), "https://happy-otter-123.convex.cloud/");
    assert_eq!(config.upstream.site_url.expect("a site").as_str(), "https://happy-otter-123.convex.site/");
    assert_eq!(config.token.issuer, "https://happy-otter-123.convex.site");
    assert_eq!(config.adapter.secret.expose(), "open sesame");
    assert_eq!(config.adapter.module.as_str(), "authAdapter.js");
    assert_eq!(config.listen.adapter, Some(ListenAddress::Tcp("127.0.0.1:8081".parse().expect("an address"))));
    assert_eq!(config.session.cookies.len(), 4);
    assert!(config.session.origins.is_empty());
    assert_eq!(config.token.lifetime, Duration::from_secs(3_600));
    assert_eq!((config.cache.capacity, config.cache.ttl), (100_000, Duration::from_secs(2)));
    assert_eq!(config.limits.body_bytes, 16 * 1024 * 1024 + 2_000);
    assert_eq!(config.limits.answer_bytes, 16 * 1024 * 1024 + 64 * 1024);
    assert_eq!(config.limits.buffered_bytes, 256 * 1024 * 1024);
    assert_eq!(config.limits.header_bytes, 32 * 1024);
}

#[test]
fn dev_needs_nothing() {
    let config = load(&Sources::from_pairs(Mode::Dev, &[])).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.upstream.url.as_str(), "http://127.0.0.1:3210/");
    assert_eq!(config.token.issuer, "http://127.0.0.1:8080");
    assert_eq!(config.token.key.algorithm(), crate::keys::Algorithm::Rs256);
    assert_eq!(config.session.origins, ["http://localhost:3000"]);
    assert_eq!(config.adapter.secret.expose().len(), 43);
    let other = load(&Sources::from_pairs(Mode::Dev, &[("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", "EdDSA")]));
    let other = other.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(other.token.key.algorithm(), crate::keys::Algorithm::EdDsa);
    assert_ne!(config.adapter.secret.expose(), other.adapter.secret.expose(), "a fresh secret each time");
}

#[test]
fn the_issuer_of_dev_follows_the_public_listener() {
    let pairs = [
        ("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "127.0.0.1:9090"),
        ("CONVEX_AUTH_PROXY__LISTEN__BASE_PATH", "/convex"),
        ("CONVEX_AUTH_PRIVATE_KEY", PEM),
    ];
    let config = load(&Sources::from_pairs(Mode::Dev, &pairs)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.token.issuer, "http://127.0.0.1:9090/convex");
    assert_eq!(config.with_issuer("http://127.0.0.1:1".to_owned()).token.issuer, "http://127.0.0.1:1");
}

#[test]
fn later_sources_win() {
    let (_directory, sources) =
        with_file("[cache]\ncapacity = 5\nttl = '5s'\n[upstream]\nurl = 'https://file.convex.cloud'", &[]);
    let config = load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.cache.capacity, config.cache.ttl), (5, Duration::from_secs(5)), "the file over the defaults");
    assert_eq!(config.upstream.url.as_str(), "https://happy-otter-123.convex.cloud/", "the guide's name over the file");

    let prefixed = [("CONVEX_AUTH_PROXY__upstream__Url", "https://prefix.convex.cloud")];
    assert_eq!(
        serve(&prefixed).upstream.url.as_str(),
        "https://prefix.convex.cloud/",
        "the prefix over the guide's name"
    );
}

#[test]
fn a_higher_source_wins_whichever_spelling_it_has() {
    let secrets = tempfile::tempdir().expect("a directory");
    let path = secrets.path().join("secret");
    fs::write(&path, "from a file\r\n").expect("a file");
    let path = path.to_str().expect("a path");

    let by_file = serve(&[("CONVEX_AUTH_PROXY__ADAPTER__SECRET_FILE", path)]);
    assert_eq!(by_file.adapter.secret.expose(), "from a file");
    let (_directory, sources) = with_file(&format!("[adapter]\nsecret_file = '{path}'"), &[]);
    assert_eq!(load(&sources).expect("a configuration").adapter.secret.expose(), "open sesame");
}

#[test]
fn a_list_is_an_array_or_has_commas() {
    let expected = ["https://a.example", "https://b.example"];
    for text in
        ["origins = ['https://a.example', 'https://B.example:443']", "origins = 'https://a.example, https://b.example'"]
    {
        let (_directory, sources) = with_file(&format!("[session]\n{text}"), &[]);
        assert_eq!(load(&sources).unwrap_or_else(|problems| panic!("{problems}")).session.origins, expected);
    }
    let pairs = [("CONVEX_AUTH_PROXY__SESSION__ORIGINS", "https://a.example,https://b.example")];
    assert_eq!(serve(&pairs).session.origins, expected);
}

#[test]
fn a_number_may_be_written_as_a_text() {
    for text in ["capacity = 1_000", "capacity = '1_000'", "capacity = 0x3e8"] {
        let (_directory, sources) = with_file(&format!("[cache]\n{text}"), &[]);
        assert_eq!(load(&sources).unwrap_or_else(|problems| panic!("{problems}")).cache.capacity, 1_000, "{text}");
    }
}

#[test]
fn nothing_turns_the_adapter_and_admin_listeners_off() {
    let config = serve(&[("CONVEX_AUTH_PROXY__LISTEN__ADAPTER", ""), ("CONVEX_AUTH_PROXY__LISTEN__ADMIN", "")]);
    assert_eq!((config.listen.adapter, config.listen.admin), (None, None));
}

#[test]
fn an_adapter_listener_that_others_reach_may_have_tokens() {
    let pairs = [
        ("CONVEX_AUTH_PROXY__LISTEN__ADAPTER", "0.0.0.0:8081"),
        ("CONVEX_AUTH_PROXY__ADAPTER__TOKENS", "0123456789abcdef,fedcba9876543210"),
    ];
    assert_eq!(serve(&pairs).adapter.tokens.len(), 2);
}

#[test]
fn an_issuer_of_its_own_needs_neither_site_nor_set() {
    let pairs = [
        ("CONVEX_URL", "http://127.0.0.1:3210"),
        ("CONVEX_AUTH_ADAPTER_SECRET", "open sesame"),
        ("CONVEX_AUTH_PRIVATE_KEY", PEM),
        ("CONVEX_AUTH_PROXY__TOKEN__ISSUER", "https://Auth.example/"),
    ];
    let config = load(&Sources::from_pairs(Mode::Serve, &pairs)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.token.issuer, "https://Auth.example/");
    assert_eq!(config.upstream.site_url, None);
}

#[test]
fn names_that_only_look_like_ours_do_not_count() {
    // Kubernetes gives the first two to every pod beside a service of this name.
    serve(&[
        ("CONVEX_AUTH_PROXY_SERVICE_HOST", "10.0.0.1"),
        ("CONVEX_AUTH_PROXY_PORT", "tcp://10.0.0.1:80"),
        ("convex_auth_proxy__listen__public", "nonsense"),
        ("PATH", "/bin"),
    ]);
}

#[test]
fn a_file_that_was_named_must_exist_and_one_that_was_not_need_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let sources = Sources { directory: Some(directory.path().to_owned()), ..serve_with(&[]) };
    assert!(load(&sources).is_ok());
    let missing = Sources { file: Some(PathBuf::from("/nowhere/config.toml")), ..serve_with(&[]) };
    assert_snapshot!(load(&missing).expect_err("a problem"), @"
    /nowhere/config.toml
      reason: the file cannot be read: No such file or directory (os error 2)
      write:  the path of a text file that this user may read
    ");
}

#[test]
fn the_commented_manual_changes_nothing() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    for mode in [Mode::Serve, Mode::Dev] {
        let without = Sources { mode, ..serve_with(&[]) };
        let with = Sources { file: Some(PathBuf::from(manual)), ..without.clone() };
        let [without, with] =
            [without, with].map(|sources| load(&sources).unwrap_or_else(|problems| panic!("{problems}")));
        assert_eq!(format!("{with:#?}"), format!("{without:#?}"));
    }
}

/// Names of `config.toml`, as `section.name`, and whether each of them is in force or commented out.
fn keys_of_the_manual() -> BTreeMap<String, bool> {
    let mut section = "";
    let mut keys = BTreeMap::new();
    for line in include_str!("../../config.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        }
        let (text, is_in_force) = line.strip_prefix("# ").map_or((line, true), |text| (text, false));
        let Some((name, _)) = text.split_once(" = ") else { continue };
        if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            assert_eq!(keys.insert(format!("{section}.{name}"), is_in_force), None, "{section}.{name} is there twice");
        }
    }
    keys
}

#[test]
fn the_commented_manual_has_every_key_and_no_other() {
    let expected: BTreeMap<_, _> = mirror::all().map(|key| (key.path(), key.default.is_some())).collect();
    assert_eq!(keys_of_the_manual(), expected);
}

#[test]
fn every_key_of_the_manual_is_explained() {
    let mut previous = "";
    for line in include_str!("../../config.toml").lines() {
        let text = line.strip_prefix("# ").unwrap_or(line);
        let is_key = text.split_once(" = ").is_some_and(|(name, _)| mirror::all().any(|key| key.name == name));
        assert!(!is_key || previous.starts_with("# "), "{line} has no explanation above it");
        previous = line;
    }
}

#[test]
fn every_key_is_read_and_every_example_is_accepted() {
    for key in mirror::all() {
        let name = key.environment_name();
        let problems = refused(&[(&name, "\u{1}")]);
        assert!(names(&problems).iter().any(|name| name.starts_with(&key.path())), "{}: {problems}", key.path());
        // The key decides what these two may be.
        let follows_the_key = ["token.algorithm", "token.kid"].contains(&key.path().as_str());
        if key.secrecy == Secrecy::Open && !follows_the_key {
            serve(&[(&name, key.example_text())]);
        }
    }
}

#[test]
fn what_is_missing_is_told_at_once() {
    let problems = load(&Sources::from_pairs(Mode::Serve, &[])).expect_err("a problem");
    assert_snapshot!(problems, @r#"
    adapter.secret (not given)
      wanted: the secret that the deployment has, in one line
      reason: it is required and was not given
      write:  CONVEX_AUTH_ADAPTER_SECRET=<the value that the deployment has> in the environment, or secret = "<the value that the deployment has>" under [adapter] of config.toml

    upstream.url (not given)
      wanted: an http or https URL with a host and perhaps a port, nothing after it
      reason: it is required and was not given
      write:  CONVEX_URL=https://happy-otter-123.convex.cloud in the environment, or url = "https://happy-otter-123.convex.cloud" under [upstream] of config.toml

    token.private_key (not given)
      wanted: a private key as PKCS#8 PEM
      reason: it is required and was not given
      write:  CONVEX_AUTH_PRIVATE_KEY=<what `convex-auth-proxy keygen` prints> in the environment, or private_key = "<what `convex-auth-proxy keygen` prints>" under [token] of config.toml
    "#);
}

#[test]
fn a_site_and_a_set_that_cannot_be_derived_are_asked_for() {
    let problems = refused(&[("CONVEX_AUTH_PROXY__UPSTREAM__URL", "http://127.0.0.1:3210")]);
    assert_snapshot!(problems, @r#"
    upstream.site_url (not given)
      wanted: an http or https URL with a host and perhaps a port, nothing after it
      reason: it follows from upstream.url only when that host ends in .convex.cloud
      write:  CONVEX_SITE_URL=https://happy-otter-123.convex.site in the environment, or site_url = "https://happy-otter-123.convex.site" under [upstream] of config.toml
    "#);
    let problems = load(&Sources::from_pairs(Mode::Serve, &REQUIRED[..3])).expect_err("a problem");
    assert_snapshot!(problems, @r#"
    token.jwks (not given)
      wanted: the JSON Web Key Set that the deployment publishes, this key in it
      reason: the issuer is the deployment, which publishes this set itself, and a token that does not match it is refused
      write:  JWKS=<the value that the deployment has> in the environment, or jwks = "<the value that the deployment has>" under [token] of config.toml
    "#);
}

#[test]
fn messages_about_the_environment() {
    let problems = refused(&[
        ("CONVEX_AUTH_PROXY__LISTEN__PUBLC", "127.0.0.1:1"),
        ("CONVEX_AUTH_PROXY__NONSENSE", "1"),
        ("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "localhost:8080"),
        ("CONVEX_AUTH_PROXY__LISTEN__ADAPTER", "0.0.0.0:8082"),
        ("CONVEX_AUTH_PROXY__TOKEN__LIFETIME", "3600"),
        ("CONVEX_AUTH_PROXY__SESSION__ORIGINS", "https://app.example.com,http://localhost:3000/"),
        ("CONVEX_AUTH_PROXY__LIMITS__HEADER_BYTES", "100_000"),
        ("CONVEX_AUTH_PROXY__LOG__LEVEL", "inof"),
    ]);
    assert_snapshot!(problems, @r#"
    CONVEX_AUTH_PROXY__LISTEN__PUBLC (environment)
      reason: no key has this name
      write:  did you mean CONVEX_AUTH_PROXY__LISTEN__PUBLIC?

    CONVEX_AUTH_PROXY__NONSENSE (environment)
      reason: no key has this name
      write:  nothing; config.toml, the manual, has every name

    listen.public = "localhost:8080" (environment: CONVEX_AUTH_PROXY__LISTEN__PUBLIC)
      wanted: an IP address and a port
      reason: a host name is not an address
      write:  CONVEX_AUTH_PROXY__LISTEN__PUBLIC=127.0.0.1:8080

    listen.admin = "127.0.0.1:8082" (default)
      wanted: an IP address and a port, or nothing to turn it off
      reason: listen.adapter wants the same port of the same address
      write:  another port

    listen.adapter = "0.0.0.0:8082" (environment: CONVEX_AUTH_PROXY__LISTEN__ADAPTER)
      wanted: an IP address and a port, unix:/absolute/path, or nothing to turn it off
      reason: other machines reach this address, and without adapter.tokens whoever does may act as the app's server
      write:  adapter.tokens, with a long random text per caller (the app's server sends it as its Bearer token), or a loopback address here

    token.lifetime = "3600" (environment: CONVEX_AUTH_PROXY__TOKEN__LIFETIME)
      wanted: a duration in whole seconds with its unit, from 10s to 24h
      reason: it has no unit
      write:  CONVEX_AUTH_PROXY__TOKEN__LIFETIME=3600s

    session.origins = "http://localhost:3000/" (environment: CONVEX_AUTH_PROXY__SESSION__ORIGINS)
      wanted: origins such as https://app.example.com, without a path
      reason: an origin has no path: remove the path
      write:  http://localhost:3000 in its place

    limits.header_bytes = "100_000" (environment: CONVEX_AUTH_PROXY__LIMITS__HEADER_BYTES)
      wanted: a whole number of bytes, from 1_024 to 65_536
      reason: it is above 65536
      write:  CONVEX_AUTH_PROXY__LIMITS__HEADER_BYTES=32_768

    log.level = "inof" (environment: CONVEX_AUTH_PROXY__LOG__LEVEL)
      wanted: a level such as info, or a filter such as info,hyper=warn
      reason: a word alone must be a level: off, error, warn, info, debug or trace
      write:  CONVEX_AUTH_PROXY__LOG__LEVEL=info
    "#);
}

#[test]
fn messages_about_a_file() {
    let file = r#"
public = "127.0.0.1:8080"
log = "info"
[lisen]
public = "127.0.0.1:8080"
[listen]
base_path = "/convex/"
hosts = ["proxy.internal", "http://other:8081"]
[adapter]
module = "auth:adapter"
secret = "one"
secret_file = "/two"
tokens = ["short"]
on_public = true
[session]
origins = ["*", "null"]
cookies = []
[cache]
capacity = 0
ttl = 2
colour.depth = 3
[token]
client_tokens = "chek"
"#;
    assert_snapshot!(told(file, &[]), @r#"
    public (./config.toml, line 2)
      reason: no key has this name
      write:  did you mean listen.public?

    log (./config.toml, line 3)
      reason: a section is a table of keys, not a value
      write:  [section] on a line of its own, and its keys below

    [lisen] (./config.toml, line 4)
      reason: no section has this name
      write:  did you mean [listen]?

    adapter.secret_file (./config.toml, line 12)
      wanted: the path of a file that holds adapter.secret
      reason: adapter.secret is given in the same place, and only one of the two can count
      write:  this one or adapter.secret, not both

    cache.colour (./config.toml, line 21)
      reason: no key has this name
      write:  nothing; config.toml, the manual, has every name

    listen.base_path = "/convex/" (./config.toml, line 7)
      wanted: nothing, or a path such as /convex, no slash at the end
      reason: it ends in a slash
      write:  base_path = "/convex" under [listen]

    listen.hosts = "http://other:8081" (./config.toml, line 8)
      wanted: host names without scheme and port
      reason: it is not a host name alone
      write:  other in its place

    adapter.module = "auth:adapter" (./config.toml, line 10)
      wanted: the path of a Convex module, such as authAdapter or auth/adapter
      reason: Convex has no such module path: names of letters, digits and '_', joined by single slashes
      write:  module = "authAdapter" under [adapter]

    adapter.on_public (./config.toml, line 14)
      wanted: require-secret or deny
      reason: it is true or false, which is another kind of value
      write:  on_public = "require-secret" under [adapter]

    adapter.tokens, item 1 (./config.toml, line 13)
      wanted: tokens of at least 16 visible ASCII characters each
      reason: it is shorter than 16 characters and could be guessed
      write:  tokens = ["<a long random text>"] under [adapter]

    token.client_tokens = "chek" (./config.toml, line 23)
      wanted: check, pass or refuse
      reason: it is none of these
      write:  client_tokens = "check" under [token]

    session.cookies = [] (./config.toml, line 17)
      wanted: names of cookies, at least one
      reason: it is empty
      write:  cookies = ["__Secure-authjs.session-token", "authjs.session-token", "__Secure-next-auth.session-token", "next-auth.session-token"] under [session]

    session.origins = "*" (./config.toml, line 16)
      wanted: origins such as https://app.example.com, without a path
      reason: a browser's cookies are authority only for origins that are named one by one
      write:  each origin of the app, such as https://app.example.com

    session.origins = "null" (./config.toml, line 16)
      wanted: origins such as https://app.example.com, without a path
      reason: every sandboxed page and every file sends null, so it names nobody
      write:  the origin that the app is served from, such as https://app.example.com

    cache.capacity = 0 (./config.toml, line 19)
      wanted: a whole number, at least 1
      reason: it is below 1
      write:  capacity = 100_000 under [cache]

    cache.ttl = 2 (./config.toml, line 20)
      wanted: a duration with its unit, 0s to keep nothing, at most 24h
      reason: it is a number without quotes, which is another kind of value
      write:  ttl = "2s" under [cache]
    "#);
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line_and_column() {
    assert_snapshot!(told("[adapter]\nsecret = \"canary\nmodule = 'x'\n", &[]), @r#"
    ./config.toml
      reason: the file is not TOML: line 2, column 17: invalid basic string, expected `"`
      write:  key = "value" lines under [section] lines, every text in quotes
    "#);
}

#[test]
fn a_secret_is_in_no_message_and_no_debug_output() {
    const CANARY: &str = "canary\u{1}7f3a";
    for key in mirror::all().filter(|key| key.secrecy == Secrecy::Secret) {
        let problems = refused(&[(&key.environment_name(), CANARY)]);
        let shown = format!("{problems}\n{problems:?}");
        assert!(!shown.contains("canary"), "{shown}");
        let literal = match key.shape {
            Shape::List => "['canary', 'canary']",
            Shape::Text | Shape::Whole => "['canary']",
        };
        let (_directory, sources) = with_file(&format!("[{}]\n{} = {literal}", key.section, key.name), &[]);
        let sources = Sources { environment: Vec::new(), ..sources };
        let shown = load(&sources).expect_err("a problem").to_string();
        assert!(shown.contains(&key.path()) && !shown.contains("canary"), "{shown}");
    }
    let shown =
        format!("{:?} {:?}", serve_with(&[]), serve(&[("CONVEX_AUTH_PROXY__ADAPTER__TOKENS", "canary-0123456789")]));
    assert!(!shown.contains("sesame") && !shown.contains("MC4CAQ") && !shown.contains("canary"), "{shown}");
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    for url in ["https://me:canary@a.convex.cloud", "https//me:canary@a.convex.cloud"] {
        let problems = refused(&[("CONVEX_AUTH_PROXY__UPSTREAM__URL", url)]);
        assert_eq!(names(&problems), ["upstream.url"]);
        assert!(!format!("{problems} {problems:?}").contains("canary"), "{problems}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_where_it_was_given() {
    assert_eq!(names(&refused(&[("CONVEX_AUTH_PRIVATE_KEY", "nonsense")])), ["token.private_key"]);
    assert_eq!(names(&refused(&[("JWKS", "nonsense")])), ["token.jwks"]);
    assert_eq!(names(&refused(&[("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", "HS256")])), ["token.algorithm"]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key.pem");
    fs::write(&path, "nonsense").expect("a file");
    let pairs = [("CONVEX_AUTH_PROXY__TOKEN__PRIVATE_KEY_FILE", path.to_str().expect("a path"))];
    assert_eq!(names(&refused(&pairs)), ["token.private_key_file"]);
}

#[test]
fn a_bad_key_hides_no_problem_of_its_set_and_name() {
    let private = JWKS.replace(r#""x":"#, r#""d":"AAAA","x":"#);
    for jwks in ["nonsense", r#"{"keys":{}}"#, r#"{"keys":[{"kty":"OKP","kid":""}]}"#, &private] {
        let pairs = [
            ("CONVEX_AUTH_PRIVATE_KEY", "nonsense"),
            ("JWKS", jwks),
            ("CONVEX_AUTH_PROXY__TOKEN__KID", &"k".repeat(257)),
            ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", "HS256"),
        ];
        let mut told = refused(&pairs).iter().map(|problem| problem.name().to_owned()).collect::<Vec<_>>();
        told.sort_unstable();
        assert_eq!(told, ["token.algorithm", "token.jwks", "token.kid", "token.private_key"], "{jwks}");
    }
}

#[test]
fn a_problem_of_the_set_is_told_once() {
    assert_snapshot!(refused(&[("JWKS", r#"{"keys":[{"kty":"OKP","kid":""}]}"#)]), @"
    token.jwks (environment: JWKS)
      wanted: the JSON Web Key Set that the deployment publishes, this key in it
      reason: it has a key whose `kid` is not 1 to 256 characters without control characters; correct or remove that `kid`
      write:  JWKS=<the value that the deployment has>
    ");
}

#[test]
fn a_value_that_is_not_text_is_told_once() {
    for (name, key) in [
        ("CONVEX_URL", "upstream.url"),
        ("CONVEX_SITE_URL", "upstream.site_url"),
        ("CONVEX_AUTH_ADAPTER_SECRET", "adapter.secret"),
        ("CONVEX_AUTH_PRIVATE_KEY", "token.private_key"),
        ("JWKS", "token.jwks"),
        ("CONVEX_AUTH_PROXY__CACHE__CAPACITY", "cache.capacity"),
        ("CONVEX_AUTH_PROXY__SESSION__ORIGINS", "session.origins"),
        ("CONVEX_AUTH_PROXY__ADAPTER__SECRET_FILE", "adapter.secret_file"),
    ] {
        let problems = refused(&[(name, "https://\u{fffd}")]);
        assert_eq!(names(&problems), [key], "{problems}");
        assert!(problems.to_string().contains("not UTF-8 text"), "{problems}");
        assert!(problems.to_string().contains(&format!("(environment: {name})")), "{problems}");
    }
}

#[test]
fn a_value_that_may_be_a_secret_is_told_as_such() {
    let problems = refused(&[
        ("CONVEX_AUTH_ADAPTER_SECRET", "open sesame"),
        ("CONVEX_AUTH_PROXY__LISTEN__BASE_PATH", "open sesame"),
        ("CONVEX_AUTH_PROXY__LISTEN__HOSTS", "proxy:1,open SESAME:2"),
        ("CONVEX_AUTH_PROXY__OPEN SESAME", "1"),
    ]);
    assert_snapshot!(problems, @r#"
    CONVEX_AUTH_PROXY__…: a name that is not shown, since it may be a secret (environment)
      reason: no key has this name
      write:  nothing; config.toml, the manual, has every name

    listen.base_path: a value that is not shown, since it may be a secret (environment: CONVEX_AUTH_PROXY__LISTEN__BASE_PATH)
      wanted: nothing, or a path such as /convex, no slash at the end
      reason: it does not start with a slash
      write:  CONVEX_AUTH_PROXY__LISTEN__BASE_PATH=/convex

    listen.hosts: a value that is not shown, since it may be a secret (environment: CONVEX_AUTH_PROXY__LISTEN__HOSTS)
      wanted: host names without scheme and port
      reason: it is not a host name alone
      write:  CONVEX_AUTH_PROXY__LISTEN__HOSTS=proxy.internal

    listen.hosts: a value that is not shown, since it may be a secret (environment: CONVEX_AUTH_PROXY__LISTEN__HOSTS)
      wanted: host names without scheme and port
      reason: it is not a host name alone
      write:  CONVEX_AUTH_PROXY__LISTEN__HOSTS=proxy.internal
    "#);
}

#[test]
fn a_secret_of_any_source_is_known_even_where_it_does_not_count() {
    const SECRET: &str = "dull words";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    fs::write(&path, SECRET).expect("a file");
    let path = path.to_str().expect("a path");
    for file in [
        format!("adapter.secret = '{SECRET}'"),
        format!("adapter.tokens = [1, '{SECRET}']"),
        format!("adapter.secret = {{ value = '{SECRET}' }}"),
        format!("adapter.secret_file = '{path}'"),
        format!("token.private_key_file = '{path}'"),
        format!("token.private_key = '{SECRET}'\nlisten = {SECRET}"),
    ] {
        let (_directory, sources) = with_file(&file, &[("CONVEX_URL", SECRET), ("CONVEX_AUTH_PROXY__DULL WORDS", "")]);
        let problems = load(&sources).expect_err("a problem");
        let told = format!("{problems}\n{problems:?}").to_lowercase();
        assert!(!told.contains("dull wor") && told.contains("may be a secret"), "{file}: {told}");
    }
}

/// Whether any eight characters of a secret are told, in whatever case.
fn leaks(told: &str, secret: &str) -> bool {
    let (told, secret) = (told.to_lowercase(), secret.to_lowercase());
    secret.as_bytes().windows(8).any(|piece| told.contains(std::str::from_utf8(piece).expect("ASCII")))
}

/// A secret as people make them: base64, base64url or hexadecimal, of 16 characters or more.
fn random_text() -> impl Strategy<Value = String> {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
    (prop::collection::vec(any::<u8>(), 12..32), 0..3).prop_map(|(bytes, alphabet)| match alphabet {
        0 => BASE64_STANDARD.encode(bytes),
        1 => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// A PEM of a random Ed25519 key, with its line breaks or as one line, and the part of it that nobody may see.
fn random_pem() -> impl Strategy<Value = (String, String)> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    (any::<[u8; 32]>(), prop::sample::select(vec!["\n", "\\n", " "])).prop_map(|(seed, end)| {
        let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let body = BASE64_STANDARD.encode([prefix.as_slice(), &seed].concat());
        (format!("-----BEGIN PRIVATE KEY-----{end}{body}{end}-----END PRIVATE KEY-----"), body)
    })
}

/// What leaks when a text stands under every key in turn, and as the name of one, in the environment and in a file.
/// `known` is a secret that another source gives, `secret` what nobody may see.
fn leak_of(mode: Mode, text: &str, known: Option<&str>, secret: &str) -> Option<String> {
    let literal = format!("{text:?}");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.toml");
    let plant = |name: &str, value: &str| {
        // A problem that is always told, so that `dev` makes no key.
        let known = known.map(|known| ("CONVEX_AUTH_ADAPTER_SECRET", known));
        let others = known.into_iter().chain([("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "")]);
        let pairs: Vec<_> = others.filter(|(other, _)| *other != name).chain([(name, value)]).collect();
        Sources::from_pairs(mode, &pairs)
    };
    let leak = |sources: &Sources| {
        let problems = load(sources).expect_err("a problem");
        let told = format!("{problems}\n{problems:?}");
        leaks(&told, secret).then_some(told)
    };
    let in_environment = |name: &str, value: &str| leak(&plant(name, value));
    let in_file = |file: String| {
        fs::write(&path, file).expect("a file");
        leak(&Sources { file: Some(path.clone()), ..plant("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "") })
    };
    let under_a_key = |key: &mirror::Key| {
        let name = key.guide.map_or_else(|| key.environment_name(), str::to_owned);
        in_environment(&name, text)
            .or_else(|| in_environment(&key.environment_name(), &format!("https://a.b/{text}")))
            .or_else(|| in_environment(&key.environment_name(), &format!("a.b,https://{text}:1")))
            .or_else(|| in_file(format!("[{}]\n{} = {literal}", key.section, key.name)))
            .or_else(|| in_file(format!("[{}]\n{} = ['a', {literal}]", key.section, key.name)))
    };
    mirror::all()
        .find_map(under_a_key)
        .or_else(|| in_environment(&format!("CONVEX_AUTH_PROXY__{text}"), text))
        .or_else(|| in_environment(&format!("CONVEX_AUTH_PROXY__TOKEN__{text}"), text))
        .or_else(|| in_file(format!("{literal} = 1")))
        .or_else(|| in_file(format!("[{literal}]\na = 1")))
        .or_else(|| in_file(format!("[token]\n{literal} = 1")))
        .or_else(|| in_file(format!("[token]\n{literal}.a = 1\n{literal} = 2")))
        .or_else(|| in_file(format!("[token]\nkid = {text}")))
        .or_else(|| in_file(format!("[{text}]\n{text} = {text}")))
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Serve, Mode::Dev])
}

proptest! {
    // Each case is some three hundred configurations.
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Law: a random text is told under no key and as no name, whether or not it is known to be a secret.
    #[test]
    fn a_random_text_is_told_nowhere(mode in mode(), secret in random_text(), is_known: bool) {
        prop_assert_eq!(leak_of(mode, &secret, is_known.then_some(&secret), &secret), None);
    }

    /// Law: the same for a private key.
    #[test]
    fn a_private_key_is_told_nowhere(mode in mode(), (pem, body) in random_pem()) {
        prop_assert_eq!(leak_of(mode, &pem, None, &body), None);
    }

    /// Law: a secret that is known is told nowhere, however short and wordy it is.
    #[test]
    fn a_known_secret_is_told_nowhere(mode in mode(), secret in "[a-z][a-z0-9 ._/:-]{6,28}[a-z]") {
        prop_assert_eq!(leak_of(mode, &secret, Some(&secret), &secret), None);
    }
}

proptest! {
    /// Law: whatever is wrong with the syntax of a file, no message repeats a text of it.
    #[test]
    fn a_broken_file_is_never_quoted(
        before in "[\\[\\]='\"{}\n,.a-c0-9 ]{0,12}",
        after in "[\\[\\]='\"{}\n,.a-c0-9 ]{0,12}",
    ) {
        let (_directory, sources) = with_file(&format!("[adapter]\nsecret = {before}canary{after}"), &[]);
        if let Err(problems) = load(&sources) {
            let is_about_syntax = |problem: &&Problem| problem.name().ends_with("config.toml");
            let about_syntax: Vec<_> = problems.iter().filter(is_about_syntax).collect();
            prop_assert!(!format!("{about_syntax:?}").contains("canary"), "{}", problems);
        }
    }
}
