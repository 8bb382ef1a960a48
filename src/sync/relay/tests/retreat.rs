//! A deployment that refuses the proxy's token: the client goes on as nobody, on a new connection.

use std::time::Duration;

use serde_json::json;

use super::{
    peer::{Got, Peer},
    rig::{CONNECT, Rig, Store, UPDATED, add, auth_error, authenticate, modify, mutation, transition},
};
use crate::sync::Told;

/// The deployment says no to the first identity; the connection that is opened then.
async fn refuse(rig: &mut Rig) -> Peer {
    rig.upstream.text(&auth_error(true)).await;
    rig.upstream.send(super::peer::CLOSE, b"").await;
    rig.reopened.recv().await.expect("a new connection")
}

#[tokio::test(start_paused = true)]
async fn rule_25_a_refused_token_of_the_proxys_is_never_shown_and_the_client_goes_on_as_nobody() {
    let mut rig = Rig::signed_in();
    let requests = [CONNECT.to_owned(), modify(0, &add(0, "a:b")), mutation(0, "a:c", "{}"), modify(1, &add(1, "a:d"))];
    for request in &requests {
        rig.client.text(request).await;
    }
    assert_eq!(rig.upstream.next_text().await, CONNECT);
    assert_eq!(rig.upstream.json().await["type"], "Authenticate");
    let mut again = refuse(&mut rig).await;
    for request in &requests {
        let (got, sent) = (again.json().await, serde_json::from_str::<serde_json::Value>(request).unwrap());
        assert_eq!(got["type"], sent["type"]);
        assert_eq!(got["requestId"], sent["requestId"]);
        assert_eq!(got["baseVersion"], sent["baseVersion"], "in their order, nothing twice, and nobody's");
    }
    assert_eq!(rig.world.told(), [Told::TokenRefused { goes_on: true }]);
    assert!(rig.world.writes.watchers().is_empty());
    rig.client.text(&mutation(1, "a:c", "{}")).await;
    assert_eq!(again.json().await["requestId"], 1);
    again.text(&transition((0, 0, 0), (2, 0, 1), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((0, 0, 0), (2, 0, 1), UPDATED));
    rig.client.text(&authenticate(0, "mine")).await;
    assert_eq!(again.json().await["baseVersion"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_retreat_keeps_large_first_messages_too() {
    for bytes in [100_000, 400_000, 1_000_000] {
        let mut rig = Rig::signed_in();
        let large = mutation(0, "a:b", &format!("\"{}\"", "l".repeat(bytes)));
        let Rig { client, upstream, .. } = &mut rig;
        let send = async {
            client.text(CONNECT).await;
            client.text(&large).await;
            client.text(&modify(0, &add(0, "a:b"))).await;
        };
        let take = async {
            for kind in ["Connect", "Authenticate", "Mutation", "ModifyQuerySet"] {
                assert_eq!(upstream.json().await["type"], kind);
            }
        };
        tokio::join!(send, take);
        let mut again = refuse(&mut rig).await;
        assert_eq!(again.next_text().await, CONNECT);
        assert_eq!(again.next_text().await.len(), large.len(), "{bytes}");
        assert_eq!(again.json().await["type"], "ModifyQuerySet");
        again.text(&transition((0, 0, 0), (1, 0, 1), UPDATED)).await;
        assert_eq!(rig.client.next_text().await, transition((0, 0, 0), (1, 0, 1), UPDATED));
        assert!(rig.world.has_room_for(512 << 20), "nothing is kept any more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_comes_half_way_through_a_clients_message_loses_nothing() {
    let mut rig = Rig::signed_in();
    let later = mutation(1, "a:b", "{}");
    let frame = rig.client.frame(0x81, later.as_bytes());
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    rig.client.raw(&frame[..20]).await;
    assert_eq!(rig.upstream.json().await["type"], "Authenticate");
    let mut again = refuse(&mut rig).await;
    assert_eq!(again.json().await["type"], "ModifyQuerySet");
    rig.client.raw(&frame[20..]).await;
    assert_eq!(again.json().await["requestId"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_the_client_has_heard_something_closes_the_socket() {
    for first in [
        transition((0, 0, 0), (1, 1, 1), UPDATED),
        // The deployment has not told of the identity yet; still, versions have moved.
        transition((0, 0, 0), (1, 0, 1), UPDATED),
        r#"{"type":"MutationResponse","requestId":0,"success":true,"result":null,"ts":"AQAAAAAAAAA=","logLines":[]}"#
            .to_owned(),
    ] {
        let mut rig = Rig::signed_in();
        rig.client.text(&modify(0, &add(0, "a:b"))).await;
        rig.client.text(&mutation(0, "a:b", "{}")).await;
        for _ in 0..3 {
            rig.upstream.next_text().await;
        }
        rig.upstream.text(&first).await;
        rig.client.next_text().await;
        // The next token is refused.
        rig.world.belong_to("user-2");
        rig.world.write(Store::Lives(100_000));
        tokio::time::sleep(super::peer::MOMENT).await;
        rig.upstream.text(&auth_error(true)).await;
        assert_eq!(rig.client.next_but_pings().await, Got::Close(Some(1012), "TokenRefused".to_owned()), "{first}");
        assert!(rig.world.told().contains(&Told::TokenRefused { goes_on: false }));
        assert!(rig.reopened.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn rule_25_a_token_of_the_proxys_that_the_deployment_finds_expired_is_not_shown() {
    let mut rig = Rig::signed_in();
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    for _ in 0..2 {
        rig.upstream.next_text().await;
    }
    rig.upstream.text(&transition((0, 0, 0), (1, 1, 1), UPDATED)).await;
    rig.client.next_text().await;
    rig.upstream.text(&auth_error(false)).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1012), "IdentityLost".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_clients_own_token_is_the_clients() {
    let mut rig = Rig::signed_in();
    rig.client.text(&authenticate(0, "mine")).await;
    rig.upstream.next_text().await;
    rig.upstream.text(&auth_error(true)).await;
    rig.upstream.send(super::peer::CLOSE, b"").await;
    let error = rig.client.json().await;
    assert_eq!((&error["type"], &error["authUpdateAttempted"]), (&json!("AuthError"), &json!(true)));
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_shown_while_the_connection_is_opened_anew_is_said_on_the_new_one() {
    let mut rig = Rig::signed_in();
    rig.client.text(CONNECT).await;
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    for kind in ["Connect", "Authenticate", "ModifyQuerySet"] {
        assert_eq!(rig.upstream.json().await["type"], kind);
    }
    // Its session is being read when the deployment refuses the cookie's token.
    rig.world.hold(Store::Slow(Duration::from_secs(10)));
    rig.client.text(&authenticate(0, "of-the-session")).await;
    rig.client.hears_nothing().await;
    let mut again = refuse(&mut rig).await;
    assert_eq!(again.next_text().await, CONNECT);
    assert_eq!(again.json().await["type"], "ModifyQuerySet");
    let said = again.json().await;
    assert_eq!((&said["type"], &said["baseVersion"]), (&"Authenticate".into(), &0.into()));
    again.text(&transition((0, 0, 0), (1, 1, 1), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((0, 0, 0), (1, 1, 1), UPDATED));
}

#[tokio::test(start_paused = true)]
async fn first_messages_beyond_a_mebibyte_are_not_kept() {
    let mut rig = Rig::signed_in();
    let large = mutation(0, "a:b", &format!("\"{}\"", "l".repeat(2 << 20)));
    let Rig { client, upstream, .. } = &mut rig;
    tokio::join!(client.text(&large), async {
        for kind in ["Authenticate", "Mutation"] {
            assert_eq!(upstream.json().await["type"], kind);
        }
    });
    rig.upstream.text(&auth_error(true)).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1012), "TokenRefused".to_owned()));
    assert_eq!(rig.world.told(), [Told::TokenRefused { goes_on: false }]);
}
