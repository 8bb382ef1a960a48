use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Freshness, Latest, MintError, Minted, Minter, MinterSettings, Outcome};
use crate::{
    clock::UnixMillis,
    config::ProfileClaim,
    keys::{Algorithm, SigningKey},
    secret::Secret,
    session::{LiveSession, Profile, SessionKeys, SessionToken},
    token::{Bearer, MAX_CLAIM_BYTES, MAX_TOKEN_BYTES},
};

const ISSUER: &str = "https://happy-otter-123.convex.site";
/// 2026-11-23T12:00:00.250Z.
const NOW: UnixMillis = UnixMillis(1_795_435_200_250);
const IAT: i64 = 1_795_435_200;
const LIFETIME_SECONDS: i64 = 3_600;

fn minter_with(claims: &[ProfileClaim], kid: Option<&str>, capacity: u64) -> Minter {
    Minter::new(MinterSettings {
        key: SigningKey::generate(Algorithm::EdDsa).unwrap(),
        kid: kid.map(str::to_owned),
        issuer: ISSUER.to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(3_600),
        claims: claims.to_vec(),
        adapter_secret: &Secret::new("adapter secret"),
        capacity,
    })
}

fn minter() -> Minter {
    minter_with(&[], Some("kid"), 100)
}

fn session(token: &str) -> LiveSession {
    let token = SessionToken::new(token);
    LiveSession {
        key: SessionKeys::new(&Secret::new("adapter secret"), "http://127.0.0.1:3210").key_of(&token),
        token,
        user_id: "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe".to_owned(),
        expires: UnixMillis(NOW.0 + 30 * 24 * 3_600_000),
        profile: Profile {
            email: Some("canary@example.com".to_owned()),
            name: Some("Canary \"Zoë\" \u{1}".to_owned()),
            image: Some("https://example.com/canary.png".to_owned()),
        },
    }
}

fn part(minted: &Minted, index: usize) -> Value {
    let part = minted.token().split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn after_seconds(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * 1_000)
}

fn reuse(minter: &Minter, session: &LiveSession, now: UnixMillis) -> (Arc<Minted>, Outcome) {
    minter.for_session(session, Freshness::Reuse, now).unwrap()
}

#[test]
fn a_session_becomes_a_token_with_convexs_claims() {
    let (minted, outcome) = reuse(&minter(), &session("a8f3"), NOW);
    assert_eq!(outcome, Outcome::Signed);
    assert_eq!(part(&minted, 0), json!({"alg": "EdDSA", "kid": "kid", "typ": "JWT"}));
    let mut claims = part(&minted, 1);
    let jti = claims.as_object_mut().unwrap().shift_remove("jti").unwrap();
    assert!(jti.as_str().unwrap().starts_with("cap1."));
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "aud": "convex", "sub": "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe",
            "iat": IAT, "exp": IAT + LIFETIME_SECONDS,
        })
    );
    assert_eq!((minted.issued_at(), minted.expires_at()), (IAT, IAT + LIFETIME_SECONDS));
    assert_eq!(minted.expires_at_millis(), (IAT + LIFETIME_SECONDS) * 1_000);
}

#[test]
fn configured_members_that_are_present_become_claims() {
    let all = [ProfileClaim::Picture, ProfileClaim::Email, ProfileClaim::Name, ProfileClaim::Email];
    let (minted, _) = reuse(&minter_with(&all, None, 10), &session("a8f3"), NOW);
    assert_eq!(part(&minted, 0), json!({"alg": "EdDSA", "typ": "JWT"}));
    let claims = part(&minted, 1);
    assert_eq!(claims["email"], "canary@example.com");
    assert_eq!(claims["name"], "Canary \"Zoë\" \u{1}");
    assert_eq!(claims["picture"], "https://example.com/canary.png");
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["iss", "aud", "sub", "iat", "exp", "jti", "picture", "email", "name"]);

    let bare = LiveSession { profile: Profile::default(), ..session("b") };
    let (minted, _) = reuse(&minter_with(&all, None, 10), &bare, NOW);
    assert_eq!(part(&minted, 1).as_object().unwrap().len(), 6);
}

#[test]
fn a_member_that_is_too_long_is_left_out_and_the_token_stays_reusable() {
    let minter = minter_with(&[ProfileClaim::Picture], None, 10);
    let with_picture = |length: usize| LiveSession {
        profile: Profile { image: Some("x".repeat(length)), ..Profile::default() },
        ..session(&length.to_string())
    };
    let (longest, too_long) = (with_picture(MAX_CLAIM_BYTES), with_picture(MAX_CLAIM_BYTES + 1));
    assert!(part(&reuse(&minter, &longest, NOW).0, 1).get("picture").is_some());
    assert!(part(&reuse(&minter, &too_long, NOW).0, 1).get("picture").is_none());
    assert_eq!(reuse(&minter, &too_long, NOW).1, Outcome::Reused);
}

#[test]
fn l7_a_token_never_outlives_its_session() {
    let minter = minter();
    let ends = |millis: i64| LiveSession { expires: UnixMillis(millis), ..session(&millis.to_string()) };
    let (minted, _) = reuse(&minter, &ends(IAT * 1_000 + 90_999), NOW);
    assert_eq!(minted.expires_at(), IAT + 90);
    for over in [IAT * 1_000 + 999, NOW.0, NOW.0 - 1, 0, -1] {
        for freshness in [Freshness::Reuse, Freshness::Forced] {
            assert_eq!(minter.for_session(&ends(over), freshness, NOW).err(), Some(MintError::SessionOver));
        }
    }
    assert_eq!(reuse(&minter, &ends(IAT * 1_000 + 1_000), NOW).0.expires_at(), IAT + 1);
}

#[test]
fn l7_a_kept_token_is_not_given_past_the_end_of_a_shortened_session() {
    let minter = minter();
    let long = session("a8f3");
    reuse(&minter, &long, NOW);
    let shortened = LiveSession { expires: UnixMillis(IAT * 1_000 + 600_000), ..long };
    let (minted, outcome) = reuse(&minter, &shortened, NOW);
    assert_eq!((minted.expires_at(), outcome), (IAT + 600, Outcome::Signed));
    assert_eq!(
        minter.for_session(&shortened, Freshness::Reuse, after_seconds(600)).err(),
        Some(MintError::SessionOver)
    );
}

#[test]
fn one_signature_serves_a_session_until_the_last_fifth_of_its_life() {
    let minter = minter();
    let session = session("a8f3");
    let (first, _) = reuse(&minter, &session, NOW);
    let last = UnixMillis((IAT + LIFETIME_SECONDS * 4 / 5) * 1_000 - 1);
    for now in [NOW, after_seconds(1), last] {
        let (again, outcome) = reuse(&minter, &session, now);
        assert_eq!((again.token(), outcome), (first.token(), Outcome::Reused));
    }
    let (second, outcome) = reuse(&minter, &session, UnixMillis(last.0 + 1));
    assert_eq!(outcome, Outcome::Signed);
    assert_eq!(second.issued_at(), IAT + LIFETIME_SECONDS * 4 / 5);
}

#[test]
fn a_clock_that_was_set_back_gives_no_token_from_the_future() {
    let minter = minter();
    let session = session("a8f3");
    reuse(&minter, &session, NOW);
    assert_eq!(reuse(&minter, &session, UnixMillis(IAT * 1_000 - 2_000)).1, Outcome::Reused);
    let (earlier, outcome) = reuse(&minter, &session, UnixMillis(IAT * 1_000 - 2_001));
    assert_eq!((earlier.issued_at(), outcome), (IAT - 3, Outcome::Signed));
}

#[test]
fn another_user_or_another_configured_member_gives_another_token() {
    let minter = minter_with(&[ProfileClaim::Email], None, 10);
    let original = session("a8f3");
    let changed = [
        LiveSession { user_id: "other".to_owned(), ..original.clone() },
        LiveSession { profile: Profile { email: None, ..original.profile.clone() }, ..original.clone() },
        LiveSession {
            profile: Profile { email: Some("new@example.com".to_owned()), ..original.profile.clone() },
            ..original.clone()
        },
    ];
    for changed in changed {
        reuse(&minter, &original, NOW);
        assert_eq!(reuse(&minter, &changed, NOW).1, Outcome::Signed);
        assert_eq!(reuse(&minter, &changed, NOW).1, Outcome::Reused);
    }
    reuse(&minter, &original, NOW);
    let renamed = LiveSession { profile: Profile { name: None, ..original.profile.clone() }, ..original };
    assert_eq!(reuse(&minter, &renamed, NOW).1, Outcome::Reused, "the name is no claim here");
}

#[test]
fn a_forced_token_was_never_given_before_and_serves_from_then_on() {
    let minter = minter();
    let session = session("a8f3");
    let mut given = HashSet::from([reuse(&minter, &session, NOW).0.token().to_owned()]);
    for _ in 0..20 {
        let (forced, outcome) = minter.for_session(&session, Freshness::Forced, NOW).unwrap();
        assert_eq!(outcome, Outcome::Signed);
        assert!(given.insert(forced.token().to_owned()), "given before in the same second");
        assert_eq!(reuse(&minter, &session, NOW).0.token(), forced.token());
    }
}

#[test]
fn whoever_asks_at_once_for_one_session_shares_one_signature() {
    // The slowest signature, so that all of them ask while it is made.
    let minter = Minter::new(MinterSettings {
        key: SigningKey::generate(Algorithm::Rs256).unwrap(),
        kid: None,
        issuer: ISSUER.to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(3_600),
        claims: Vec::new(),
        adapter_secret: &Secret::new("adapter secret"),
        capacity: 100,
    });
    let session = session("a8f3");
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        let ask = || {
            asked.fetch_add(1, Ordering::SeqCst);
            reuse(&minter, &session, NOW)
        };
        let mut asking = Vec::new();
        // The turn is held as a call that signs holds it, until the others have asked, and for some signatures more.
        let turn = minter.turns.take(&session.key);
        asking.extend((0..8).map(|_| scope.spawn(ask)));
        while asked.load(Ordering::SeqCst) < 8 {
            thread::yield_now();
        }
        let mut signed: Vec<_> = (0..50).map(|_| minter.sign_session(&session, NOW).unwrap()).collect();
        let given = Arc::new(signed.remove(0));
        minter.kept.insert(session.key, Latest::new(Arc::clone(&given)));
        drop(turn);
        for asking in asking {
            let (minted, outcome) = asking.join().unwrap();
            assert_eq!(outcome, Outcome::Reused);
            assert!(Arc::ptr_eq(&minted, &given));
        }
    });
}

#[test]
fn l14_a_forgotten_session_gets_a_new_token() {
    let minter = minter();
    let session = session("a8f3");
    reuse(&minter, &session, NOW);
    minter.forget(&session.key);
    assert_eq!(reuse(&minter, &session, NOW).1, Outcome::Signed);
}

#[test]
fn sessions_do_not_share_a_token() {
    let minter = minter();
    let (one, other) = (reuse(&minter, &session("one"), NOW), reuse(&minter, &session("other"), NOW));
    assert_eq!((one.1, other.1), (Outcome::Signed, Outcome::Signed));
    assert_ne!(one.0.token(), other.0.token());
}

#[test]
fn what_is_kept_is_bounded_in_number() {
    let minter = minter_with(&[], None, 10);
    for index in 0..200 {
        reuse(&minter, &session(&index.to_string()), NOW);
    }
    minter.kept.run_pending_tasks();
    assert!(minter.kept.entry_count() <= 10, "{}", minter.kept.entry_count());
    assert_eq!(reuse(&minter_with(&[], None, 0), &session("a"), NOW).1, Outcome::Signed);
}

#[test]
fn a_token_says_to_this_proxy_alone_which_session_it_speaks_for() {
    let minter = minter();
    let (minted, _) = reuse(&minter, &session("a8f3-session"), NOW);
    assert!(matches!(minter.read_bearer(minted.token()), Bearer::Session(token) if token.expose() == "a8f3-session"));
    let replica = Minter::new(MinterSettings {
        key: SigningKey::generate(Algorithm::Es256).unwrap(),
        kid: None,
        issuer: ISSUER.to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(60),
        claims: Vec::new(),
        adapter_secret: &Secret::new("adapter secret"),
        capacity: 1,
    });
    assert!(matches!(replica.read_bearer(minted.token()), Bearer::Session(_)));
}

#[test]
fn a_user_without_a_session_gets_a_token_that_is_never_kept() {
    let minter = minter();
    let (one, other) = (minter.for_user("user", NOW).unwrap(), minter.for_user("user", NOW).unwrap());
    assert_ne!(one.token(), other.token());
    assert_eq!(one.expires_at(), IAT + LIFETIME_SECONDS);
    assert_eq!(part(&one, 1)["sub"], "user");
    assert!(matches!(minter.read_bearer(one.token()), Bearer::User));
    minter.kept.run_pending_tasks();
    assert_eq!(minter.kept.entry_count(), 0);
}

#[test]
fn a_token_too_long_to_be_known_again_is_not_made() {
    let minter = minter();
    let long = session(&"x".repeat(MAX_TOKEN_BYTES));
    assert_eq!(minter.for_session(&long, Freshness::Reuse, NOW).err(), Some(MintError::TooLong));
    assert_eq!(minter.for_user(&"x".repeat(MAX_TOKEN_BYTES), NOW).err(), Some(MintError::TooLong));
}

#[test]
fn debug_output_shows_no_secret_and_no_person() {
    let secret = Secret::new("canary-adapter-secret");
    let settings = MinterSettings {
        key: SigningKey::generate(Algorithm::EdDsa).unwrap(),
        kid: None,
        issuer: ISSUER.to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(60),
        claims: vec![ProfileClaim::Email],
        adapter_secret: &secret,
        capacity: 1,
    };
    let shown = format!("{settings:?}");
    let minter = Minter::new(settings);
    let session = session("canary-session");
    let (minted, outcome) = reuse(&minter, &session, NOW);
    let shown =
        format!("{shown} {minter:?} {minted:?} {outcome:?} {session:?} {:?}", minter.read_bearer(minted.token()));
    let signature = minted.token().rsplit('.').next().unwrap();
    for hidden in ["canary", minted.token(), signature, "cap1."] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    insta::assert_snapshot!(format!("{minted:?}"), @"Minted { issued_at: 1795435200, expires_at: 1795435260, .. }");
}

proptest! {
    /// The law: whatever texts a user row holds, the token has them as they are, and names its session and its end.
    #[test]
    fn claims_say_what_the_rows_say(user_id in ".{0,60}", email in ".{0,60}", token in ".{1,60}", life_millis in 1_000_i64..10_000_000) {
        let minter = minter_with(&[ProfileClaim::Email], None, 1);
        let session = LiveSession {
            user_id: user_id.clone(),
            expires: UnixMillis(NOW.0 + life_millis),
            profile: Profile { email: Some(email.clone()), ..Profile::default() },
            ..session(&token)
        };
        let (minted, _) = reuse(&minter, &session, NOW);
        let claims = part(&minted, 1);
        prop_assert_eq!(&claims["sub"], &json!(user_id));
        prop_assert_eq!(&claims["email"], &json!(email));
        prop_assert_eq!(&claims["exp"], &json!(minted.expires_at()));
        prop_assert!(minted.expires_at_millis() <= session.expires.0);
        prop_assert!(minted.issued_at() * 1_000 <= NOW.0);
        let names_its_session =
            matches!(minter.read_bearer(minted.token()), Bearer::Session(found) if found.expose() == token);
        prop_assert!(names_its_session);
    }
}
