//! The 19 functions of the Auth.js adapter and the shapes of their tables, as the Convex guide defines them.
//!
//! Their faults are kept, because a deployment has them: no uniqueness on insert, `updateUser` and `updateSession` that
//! return nothing, `deleteUser` that leaves passkeys behind. Invariant: every function here is secured.

use std::sync::Arc;

use super::function::{Body, Call, Function, Thrown};
use super::store::{Database, Table, Transaction};
use super::validate::{Fields, Validator};
use super::value::{Object, Value};

/// The functions of the adapter's module.
pub fn functions() -> Vec<Function> {
    let text = || Validator::String;
    let user_id = || Validator::Id(Table::Users);
    let credential = || Fields::new().required("credentialID", text());
    let account_key = || Fields::new().required("provider", text()).required("providerAccountId", text());
    let nested = |name, fields| Fields::new().required(name, Validator::Object(fields));
    let session_update = Fields::new().required("expires", Validator::Float64).required("sessionToken", text());
    let token_key = Fields::new().required("identifier", text()).required("token", text());

    vec![
        secured("createAuthenticator", nested("authenticator", authenticator()), Body::Mutation(create_authenticator)),
        secured("createSession", nested("session", session()), Body::Mutation(create_session)),
        secured("createUser", nested("user", user()), Body::Mutation(create_user)),
        secured(
            "createVerificationToken",
            nested("verificationToken", verification_token()),
            Body::Mutation(create_verification_token),
        ),
        secured("deleteSession", Fields::new().required("sessionToken", text()), Body::Mutation(delete_session)),
        secured("deleteUser", Fields::new().required("id", user_id()), Body::Mutation(delete_user)),
        secured("getAccount", account_key(), Body::Query(get_account)),
        secured("getAuthenticator", credential(), Body::Query(get_authenticator)),
        secured("getSessionAndUser", Fields::new().required("sessionToken", text()), Body::Query(get_session_and_user)),
        secured("getUser", Fields::new().required("id", user_id()), Body::Query(get_user)),
        secured("getUserByAccount", account_key(), Body::Query(get_user_by_account)),
        secured("getUserByEmail", Fields::new().required("email", text()), Body::Query(get_user_by_email)),
        secured("linkAccount", nested("account", account()), Body::Mutation(link_account)),
        secured(
            "listAuthenticatorsByUserId",
            Fields::new().required("userId", user_id()),
            Body::Query(list_authenticators_by_user_id),
        ),
        secured("unlinkAccount", account_key(), Body::Mutation(unlink_account)),
        secured(
            "updateAuthenticatorCounter",
            credential().required("newCounter", Validator::Float64),
            Body::Mutation(update_authenticator_counter),
        ),
        secured("updateSession", nested("session", session_update), Body::Mutation(update_session)),
        secured("updateUser", nested("user", user().partial().required("id", user_id())), Body::Mutation(update_user)),
        secured("useVerificationToken", token_key, Body::Mutation(use_verification_token)),
    ]
}

fn secured(name: &'static str, arguments: Fields, body: Body) -> Function {
    Function { name, arguments: arguments.required("secret", Validator::String), secured: true, body }
}

fn user() -> Fields {
    Fields::new()
        .required("email", Validator::String)
        .optional("name", Validator::String)
        .optional("emailVerified", Validator::Float64)
        .optional("image", Validator::String)
}

fn session() -> Fields {
    Fields::new()
        .required("userId", Validator::Id(Table::Users))
        .required("expires", Validator::Float64)
        .required("sessionToken", Validator::String)
}

fn account() -> Fields {
    let kinds = ["email", "oidc", "oauth", "webauthn"].map(Validator::Literal);
    Fields::new()
        .required("userId", Validator::Id(Table::Users))
        .required("type", Validator::Union(kinds.to_vec()))
        .required("provider", Validator::String)
        .required("providerAccountId", Validator::String)
        .optional("refresh_token", Validator::String)
        .optional("access_token", Validator::String)
        .optional("expires_at", Validator::Float64)
        .optional("token_type", Validator::String)
        .optional("scope", Validator::String)
        .optional("id_token", Validator::String)
        .optional("session_state", Validator::String)
}

fn verification_token() -> Fields {
    Fields::new()
        .required("identifier", Validator::String)
        .required("token", Validator::String)
        .required("expires", Validator::Float64)
}

fn authenticator() -> Fields {
    Fields::new()
        .required("credentialID", Validator::String)
        .required("userId", Validator::Id(Table::Users))
        .required("providerAccountId", Validator::String)
        .required("credentialPublicKey", Validator::String)
        .required("counter", Validator::Float64)
        .required("credentialDeviceType", Validator::String)
        .required("credentialBackedUp", Validator::Boolean)
        .optional("transports", Validator::String)
}

fn create_authenticator(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(Value::String(transaction.insert(Table::Authenticators, call.arguments.object("authenticator"))))
}

fn create_session(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(Value::String(transaction.insert(Table::Sessions, call.arguments.object("session"))))
}

fn create_user(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(Value::String(transaction.insert(Table::Users, call.arguments.object("user"))))
}

fn create_verification_token(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(Value::String(transaction.insert(Table::VerificationTokens, call.arguments.object("verificationToken"))))
}

fn delete_session(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let session = find_session(transaction, call.arguments.text("sessionToken"))?;
    Ok(delete_found(transaction, Table::Sessions, session))
}

fn delete_user(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let id = call.arguments.text("id");
    let Some(user) = transaction.document(Table::Users, id) else { return Ok(Value::Null) };
    transaction.delete(Table::Users, id);
    for table in [Table::Sessions, Table::Accounts] {
        for document in transaction.matching(table, "userId", &[id]) {
            transaction.delete(table, document.text("_id"));
        }
    }
    Ok(returned(Some(user)))
}

fn get_account(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    find_account(database, call.arguments).map(returned)
}

fn get_authenticator(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    find_authenticator(database, call.arguments).map(returned)
}

fn get_session_and_user(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    let Some(session) = find_session(database, call.arguments.text("sessionToken"))? else { return Ok(Value::Null) };
    let Some(user) = database.document(Table::Users, session.text("userId")) else { return Ok(Value::Null) };
    let mut both = Object::default();
    both.set("session", returned(Some(session)));
    both.set("user", returned(Some(user)));
    Ok(Value::Object(both))
}

fn get_user(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(returned(database.document(Table::Users, call.arguments.text("id"))))
}

fn get_user_by_account(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    let account = find_account(database, call.arguments)?;
    Ok(returned(account.and_then(|account| database.document(Table::Users, account.text("userId")))))
}

fn get_user_by_email(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    database.unique(Table::Users, "email", &[call.arguments.text("email")]).map(returned)
}

fn link_account(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let id = transaction.insert(Table::Accounts, call.arguments.object("account"));
    Ok(returned(transaction.document(Table::Accounts, &id)))
}

fn list_authenticators_by_user_id(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    let found = database.matching(Table::Authenticators, "userId", &[call.arguments.text("userId")]);
    Ok(Value::Array(found.into_iter().map(|document| returned(Some(document))).collect()))
}

fn unlink_account(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let account = find_account(transaction, call.arguments)?;
    Ok(delete_found(transaction, Table::Accounts, account))
}

fn update_authenticator_counter(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let Some(found) = find_authenticator(transaction, call.arguments)? else {
        return Err(Thrown::NoAuthenticator { credential_id: call.arguments.text("credentialID").to_owned() });
    };
    let mut changes = Object::default();
    changes.set("counter", call.arguments.field("newCounter").cloned().unwrap_or(Value::Null));
    let mut updated = Object::clone(&found);
    updated.0.extend(changes.0.clone());
    transaction.patch(Table::Authenticators, found.text("_id"), changes);
    Ok(Value::Object(updated))
}

fn update_session(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let changes = call.arguments.object("session");
    if let Some(found) = find_session(transaction, changes.text("sessionToken"))? {
        transaction.patch(Table::Sessions, found.text("_id"), changes);
    }
    Ok(Value::Null)
}

fn update_user(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let mut changes = call.arguments.object("user");
    let id = changes.0.remove("id");
    transaction.patch(Table::Users, id.as_ref().and_then(Value::as_str).unwrap_or_default(), changes);
    Ok(Value::Null)
}

fn use_verification_token(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let key = [call.arguments.text("identifier"), call.arguments.text("token")];
    let found = transaction.unique(Table::VerificationTokens, "identifierToken", &key)?;
    Ok(delete_found(transaction, Table::VerificationTokens, found))
}

fn find_session(database: &Database, token: &str) -> Result<Option<Arc<Object>>, Thrown> {
    database.unique(Table::Sessions, "sessionToken", &[token])
}

fn find_account(database: &Database, arguments: &Object) -> Result<Option<Arc<Object>>, Thrown> {
    let key = [arguments.text("provider"), arguments.text("providerAccountId")];
    database.unique(Table::Accounts, "providerAndAccountId", &key)
}

fn find_authenticator(database: &Database, arguments: &Object) -> Result<Option<Arc<Object>>, Thrown> {
    database.unique(Table::Authenticators, "credentialID", &[arguments.text("credentialID")])
}

fn delete_found(transaction: &mut Transaction<'_>, table: Table, found: Option<Arc<Object>>) -> Value {
    if let Some(document) = &found {
        transaction.delete(table, document.text("_id"));
    }
    returned(found)
}

/// A document as a result; `null` when there is none.
fn returned(document: Option<Arc<Object>>) -> Value {
    document.map_or(Value::Null, |document| Value::Object(Arc::unwrap_or_clone(document)))
}
